import pino, { type Logger } from 'pino'
import { isSpanContextValid, trace } from '@opentelemetry/api'

export type { Logger } from 'pino'

/** Bytes of log lines waiting for a slow reader; above it lines are dropped and counted, requests are never held up. */
const MAX_BUFFERED_BYTES = 16 * 1024 * 1024

/** How long a line may wait for others to be written with it: each write wakes a thread, which costs more than many lines. */
const BATCH_MS = 50

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
  const lines: string[] = []
  const writeLines = (): void => {
    if (lines.length > 0) destination.write(lines.join(''))
    lines.length = 0
  }
  // Before the destination's own listener, which empties it without us.
  process.once('exit', writeLines)
  const destination = pino.destination({ fd: 1, sync: false, maxLength: MAX_BUFFERED_BYTES })
  let dropped = 0
  destination.on('drop', (batch: string) => (dropped += batch.split('\n').length - 1))
  const log = pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      formatters: { level: label => ({ level: label }) },
      mixin: activeTrace,
    },
    {
      write: line => {
        if (lines.push(line) === 1) setTimeout(writeLines, BATCH_MS)
      },
    },
  )
  destination.on('drain', () => {
    if (dropped === 0) return
    const lines = dropped
    dropped = 0
    log.warn({ event: 'log_lines_dropped', lines }, 'standard output is read too slowly: log lines were dropped')
  })
  const flush = (): void => {
    writeLines()
    destination.flushSync()
  }
  return { log, flush }
}

let lastSecond = 0
let untilSecond = ''

/** Many lines are written in the same second. */
function isoTime(): string {
  const now = Date.now()
  const ms = now % 1_000
  if (now - ms !== lastSecond) {
    lastSecond = now - ms
    untilSecond = `,"time":"${new Date(now).toISOString().slice(0, -4)}`
  }
  return `${untilSecond}${ms < 10 ? '00' : ms < 100 ? '0' : ''}${ms}Z"`
}

function activeTrace(): object {
  const span = trace.getActiveSpan()?.spanContext()
  // A new object each time: pino adds the line's own fields to it.
  return span && isSpanContextValid(span) ? { trace_id: span.traceId, span_id: span.spanId } : {}
}
