import type { ShownSpan } from '../../pages/shown-span'
import type { TraceSpan } from '../evidence/otlp-trace'

/** Converts a recorded span for display. */
export function toShownSpan({ kind, exception, attributes, ...span }: TraceSpan): ShownSpan {
  const event = { name: 'exception', atMs: span.startMs + span.durationMs }
  return {
    ...span,
    kind: kind === 'other' ? 'internal' : kind,
    scope: undefined,
    statusMessage: undefined,
    attributes: Object.entries(attributes),
    events: exception === undefined ? [] : [{ ...event, attributes: [['exception.message', exception]] }],
  }
}
