import { REASONS, type Reason } from './reasons'

/**
 * Names the problem types of this gateway (RFC 4151): a tag identifies and leads nowhere, as the project owns no domain that
 * could answer. `docs/errors.md` explains each.
 */
const TYPE_PREFIX = 'tag:myesi-gateway,2026:'

/** The type of the draft on RateLimit fields: clients that know it find the policies by the names in `RateLimit-Policy`. */
const QUOTA_EXCEEDED = 'https://iana.org/assignments/http-problem-types#quota-exceeded'

/**
 * Problem details (RFC 9457): what happened and under which trace, and nothing of what is behind the gateway.
 *
 * @param members more of them, for this type
 */
export function problemDetails(reason: Reason, traceId?: string, members?: Readonly<Record<string, unknown>>): string {
  const { title, status, outcome } = REASONS[reason]
  const type = reason === 'limited' ? QUOTA_EXCEEDED : TYPE_PREFIX + reason
  return JSON.stringify({ type, title, status, ...members, outcome, reason, trace_id: traceId })
}

/** The fields that go with them, as flat name, value pairs. */
export function problemFields(body: string): string[] {
  return [
    'Content-Type',
    'application/problem+json',
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Cache-Control',
    'no-store',
  ]
}
