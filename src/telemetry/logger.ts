import pino, { type Logger } from 'pino'
import { isSpanContextValid, trace } from '@opentelemetry/api'

export type { Logger } from 'pino'

/** Bytes of log lines waiting for a slow reader; above it lines are dropped and counted, requests are never held up. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

/** A logger and the way to empty it before the process ends. */
export interface ProcessLog {
  readonly log: Logger
  readonly flush: () => void
}

/**
 * One JSON object per line on standard output. Lines written inside a request carry its `trace_id` and `span_id`, with
 * every exporter setting and without any (OpenTelemetry, "Trace Context in non-OTLP Log Formats").
 */
export function createLogger(level: string): ProcessLog {
  const destination = pino.destination({ fd: 1, sync: false, maxLength: MAX_BUFFERED_BYTES })
  let dropped = 0
  destination.on('drop', () => dropped++)
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      mixin: activeTrace,
    },
    destination,
  )
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    log.warn({ event: 'log_lines_dropped', lines }, 'standard output is read too slowly: log lines were dropped')
  })
  return { log, flush: () => destination.flushSync() }
}

function activeTrace(): object {
  const span = trace.getActiveSpan()?.spanContext()
  // A new object each time: pino adds the line's own fields to it.
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {}
}
