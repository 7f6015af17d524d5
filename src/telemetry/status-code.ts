import { STATUS_CODES } from 'node:http'

/** Status codes allowed as label values: registered final ones, 101, and 499 for a client that left. */
export const KNOWN_STATUSES: ReadonlySet<number> = new Set([
  ...Object.keys(STATUS_CODES)
    .map(Number)
    .filter(status => status >= 200),
  101, // no final response follows an upgrade
  499,
])

/** The first code of each class. */
export const STATUS_CLASSES = [200, 300, 400, 500] as const

/**
 * Returns the status as a label value, so that an upstream cannot create hundreds of series. An unregistered status is
 * reported as the first of its class, as RFC 9110 §15 prescribes for clients; an invalid one as 500.
 */
export function statusLabel(status: number): number {
  return KNOWN_STATUSES.has(status) ? status : statusClass(status)
}

/** Returns the class of a status: 200, 300, 400 or 500. */
export function statusClass(status: number): number {
  return status >= 200 && status <= 599 ? Math.floor(status / 100) * 100 : 500
}
