import type { ServerResponse } from 'node:http'
import type { RateLimitPolicy } from './schema'
import type { Standing } from './rate-limit-store'

/** Response field with the degraded mode: `local`, `open` or `closed`. */
export const DEGRADED_HEADER = 'X-RateLimit-Degraded'

/**
 * `RateLimit-Policy` of a policy (draft-ietf-httpapi-ratelimit-headers-10): an item with parameters (RFC 9651 §3.3), here
 * one field line of the list each. It never changes.
 */
export function policyItem({ name, limit, windowMs }: RateLimitPolicy): string {
  return `"${name}"; q=${limit}; w=${seconds(windowMs)}`
}

/**
 * `RateLimit` of a policy: the rest of the limit, and seconds until there is more. For a refused request, `t` is the time
 * until it would be allowed, as in `Retry-After`.
 */
export function limitItem(policy: RateLimitPolicy, standing: Standing): string {
  const moreMs = standing.allowed ? untilMoreMs(policy, standing) : standing.retryMs
  return `"${policy.name}"; r=${standing.remaining}; t=${seconds(moreMs)}`
}

/** Returns the time until more is available: a fixed window resets at its end, GCRA frees one request after the other. */
function untilMoreMs({ algorithm, limit, windowMs }: RateLimitPolicy, { remaining, resetMs }: Standing): number {
  if (algorithm === 'fixed-window') return resetMs
  const othersMs = ((limit - remaining - 1) * windowMs) / limit
  return Math.max(0, resetMs - Math.max(0, othersMs))
}

/** Converts to whole seconds, rounded up. */
export function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}

/**
 * Sets the `X-RateLimit-*` fields from before the draft, for the policy with the smallest rest in all stages. The reset is
 * in seconds since 1970.
 */
export function setLegacyHeaders(response: ServerResponse, { limit }: RateLimitPolicy, standing: Standing): void {
  const earlier = response.getHeader('X-RateLimit-Remaining')
  if (typeof earlier === 'number' && earlier <= standing.remaining) return
  response.setHeader('X-RateLimit-Limit', limit)
  response.setHeader('X-RateLimit-Remaining', standing.remaining)
  response.setHeader('X-RateLimit-Reset', seconds(Date.now() + standing.resetMs))
}
