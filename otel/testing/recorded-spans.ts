import { trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace'

let exporter: InMemorySpanExporter | undefined

/**
 * Records the spans of this process from now on, for tests.
 *
 * @returns those that have ended since, in the order in which they ended
 * @throws Error where the process has another tracer provider
 */
export function recordSpans(): () => readonly ReadableSpan[] {
  if (exporter === undefined) {
    const made = new InMemorySpanExporter()
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter: made })] })
    if (!trace.setGlobalTracerProvider(provider)) throw new Error('this process has another tracer provider already')
    exporter = made
  }
  const all = exporter
  const first = all.getFinishedSpans().length
  return () => all.getFinishedSpans().slice(first)
}
