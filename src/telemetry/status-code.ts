import { STATUS_CODES } from 'node:http'

/** Status codes that may be a label value: the registered ones of final responses, 101, and 499 for a client that went away. */
export const KNOWN_STATUSES: ReadonlySet<number> = new Set([
  ...Object.keys(STATUS_CODES)
    .map(Number)
    .filter(status => status >= 200),
  101, // after it there is no other
  499,
])

/** The first code of each class. */
export const STATUS_CLASSES = [200, 300, 400, 500] as const

/**
 * The status as a label value, so that an upstream cannot make hundreds of series. What nobody has registered counts as the
 * first of its class, which is how RFC 9110 §15 has clients read it; what is not a status at all, as 500.
 */
export function statusLabel(status: number): number {
  return KNOWN_STATUSES.has(status) ? status : statusClass(status)
}

/** 200, 300, 400 or 500. */
export function statusClass(status: number): number {
  return status >= 200 && status <= 599 ? Math.floor(status / 100) * 100 : 500
}
