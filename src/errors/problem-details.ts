import { REASONS, type Reason } from './reasons'

/**
 * Prefix of the gateway's problem types, a tag URI (RFC 4151). It cannot be resolved: the project owns no domain.
 * `docs/errors.md` explains each type.
 */
const TYPE_PREFIX = 'tag:myesi-gateway,2026:'

/** Problem type of the draft on RateLimit fields. Its clients find the policies by the names in `RateLimit-Policy`. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

/**
 * Returns problem details (RFC 9457): reason and trace id, without anything about the upstreams.
 *
 * @param members further members of this type
 */
export function problemDetails(reason: Reason, traceId?: string, members?: Readonly<Record<string, unknown>>): string {
  const { title, status, outcome } = REASONS[reason]
  const type = reason === 'limited' ? QUOTA_EXCEEDED : TYPE_PREFIX + reason
  return JSON.stringify({ type, title, status, ...members, outcome, reason, trace_id: traceId })
}

/** Header fields of an error's body, as flat name, value pairs. */
export function errorFields(body: string, contentType: string): string[] {
  return ['Content-Type', contentType, 'Content-Length', String(Buffer.byteLength(body)), 'Cache-Control', 'no-store']
}
