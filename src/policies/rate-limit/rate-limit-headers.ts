import type { ServerResponse } from 'node:http'
import type { RateLimitPolicy } from './schema'
import type { Standing } from './rate-limit-store'

/** Says on an answer what is done in place of counting in Redis: `local`, `open` or `closed`. */
export const DEGRADED_HEADER = 'X-RateLimit-Degraded'

/**
 * `RateLimit-Policy` of a policy (draft-ietf-httpapi-ratelimit-headers-10): an item with parameters (RFC 9651 §3.3), here
 * one field line of the list each. It never changes.
 */
export function policyItem({ name, limit, windowMs }: RateLimitPolicy): string {
  return `"${name}"; q=${limit}; w=${seconds(windowMs)}`
}

/**
 * `RateLimit` of the same: what is left, and in how many seconds there is more. For a request that the policy refuses, more is
 * what this request needs: then `t` is what the policy has `Retry-After` say.
 */
export function limitItem(policy: RateLimitPolicy, standing: Standing): string {
  const moreMs = standing.allowed ? untilMoreMs(policy, standing) : standing.retryMs
  return `"${policy.name}"; r=${standing.remaining}; t=${seconds(moreMs)}`
}

/** A fixed window gives everything back at its end, GCRA one after the other. */
function untilMoreMs({ algorithm, limit, windowMs }: RateLimitPolicy, { remaining, resetMs }: Standing): number {
  if (algorithm === 'fixed-window') return resetMs
  const othersMs = ((limit - remaining - 1) * windowMs) / limit
  return Math.max(0, resetMs - Math.max(0, othersMs))
}

/** Whole seconds, upwards: after so many it is true. */
export function seconds(ms: number): number {
  return Math.ceil(ms / 1000)
}

/**
 * The fields before there was a draft: of one policy, that with least left of those of all stages, with the moment of the
 * reset in seconds since 1970.
 */
export function setLegacyHeaders(response: ServerResponse, { limit }: RateLimitPolicy, standing: Standing): void {
  const earlier = response.getHeader('X-RateLimit-Remaining')
  if (typeof earlier === 'number' && earlier <= standing.remaining) return
  response.setHeader('X-RateLimit-Limit', limit)
  response.setHeader('X-RateLimit-Remaining', standing.remaining)
  response.setHeader('X-RateLimit-Reset', seconds(Date.now() + standing.resetMs))
}
