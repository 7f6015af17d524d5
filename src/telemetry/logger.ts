import pino, { type Logger } from 'pino'
import { isSpanContextValid, trace } from '@opentelemetry/api'
import { StandardOutput } from './standard-output'

export type { Logger } from 'pino'

/** Time limit for writing the last lines when the process ends. */
const FLUSH_MS = 1_000

/** A logger and the function that flushes it before the process ends. */
export interface ProcessLog {
  readonly log: Logger
  /** Always resolves, after at most a second. */
  readonly flush: () => Promise<void>
  /** Flushes, for a log that ends before its process. */
  readonly close: () => Promise<void>
}

/**
 * Creates a logger that writes one JSON object per line to standard output. Lines written inside a request carry its
 * `trace_id` and `span_id`, regardless of exporters (OpenTelemetry, "Trace Context in non-OTLP Log Formats").
 *
 * @param isShared whether other processes write to the same output
 */
export function createLogger(level: string, isShared = false): ProcessLog {
  const output = new StandardOutput({
    isShared,
    onRecovered: (lines, cause) => {
      log.warn(
        { event: 'log_lines_dropped', lines, cause },
        'log lines were dropped while standard output could not be written',
      )
    },
  })
  const log = pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      formatters: { level: label => ({ level: label }) },
      mixin: activeTrace,
    },
    { write: line => output.write(line) },
  )
  return { log, flush: () => output.flush(FLUSH_MS), close: () => output.close(FLUSH_MS) }
}

let lastTime = 0
let formatted = ''

/** Formats the time, with a cache because many lines are written in the same millisecond. */
function isoTime(): string {
  const now = Date.now()
  if (now !== lastTime) {
    lastTime = now
    formatted = `,"time":"${new Date(now).toISOString()}"`
  }
  return formatted
}

function activeTrace(): object {
  const span = trace.getActiveSpan()?.spanContext()
  // Must be a new object each time, because pino adds the fields of the line to it.
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {}
}
