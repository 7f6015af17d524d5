import { REASONS, type Reason } from './reasons'

/** Problem details (RFC 9457): what happened and under which trace, and nothing of what is behind the gateway. */
export function problemDetails(reason: Reason, traceId?: string): string {
  const { title, status, outcome } = REASONS[reason]
  return JSON.stringify({
    type: `urn:myesi-gateway:problem:${reason}`,
    title,
    status,
    outcome,
    reason,
    trace_id: traceId,
  })
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
