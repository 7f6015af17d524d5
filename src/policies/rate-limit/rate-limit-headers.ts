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
export function setLegacyHeaders(fields: string[], { limit }: RateLimitPolicy, standing: Standing): void {
  const earlier = fields.indexOf('X-RateLimit-Remaining')
  if (earlier !== -1 && Number(fields[earlier + 1]) <= standing.remaining) return
  setField(fields, 'X-RateLimit-Limit', String(limit))
  setField(fields, 'X-RateLimit-Remaining', String(standing.remaining))
  setField(fields, 'X-RateLimit-Reset', String(seconds(Date.now() + standing.resetMs)))
}

/** Sets a field in flat name, value pairs; replaces one of an earlier stage. */
export function setField(fields: string[], name: string, value: string): void {
  const index = fields.indexOf(name)
  if (index === -1) fields.push(name, value)
  else fields[index + 1] = value
}
