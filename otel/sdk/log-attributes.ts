import type { LogRecordProcessor, ReadWriteLogRecord } from '@opentelemetry/sdk-logs'

/**
 * Adds the semantic-convention names to the fields of an access line, whose own names are short, so that log records
 * can be searched with the names of spans and metrics. The short names stay for one release.
 */
export class LogAttributes implements LogRecordProcessor {
  onEmit(record: ReadWriteLogRecord): void {
    const { attributes } = record
    if (attributes['event'] !== 'request') return
    for (const [field, name] of NAMES) {
      const value = attributes[field]
      if (value !== undefined) record.setAttribute(name, value)
    }
  }

  forceFlush(): Promise<void> {
    return Promise.resolve()
  }

  shutdown(): Promise<void> {
    return Promise.resolve()
  }
}

// As src/telemetry/semconv.ts writes them; this side of the process imports nothing from there.
const NAMES = [
  ['method', 'http.request.method'],
  ['path', 'url.path'],
  ['route', 'http.route'],
  ['status', 'http.response.status_code'],
  ['client', 'client.address'],
  ['upstream', 'gateway.upstream.name'],
  ['variant', 'gateway.variant'],
  ['consumer', 'gateway.consumer.name'],
  ['outcome', 'gateway.outcome'],
  ['reason', 'gateway.reason'],
  ['stream', 'gateway.stream'],
] as const
