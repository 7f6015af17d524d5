import { ROOT_CONTEXT, SpanKind, trace, TraceFlags, type Attributes, type Context, type Span } from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  SimpleSpanProcessor,
  TracerProvider,
  type ReadableSpan,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { KeptTraces, type KeptTracesOptions } from '../../../../otel/sdk/kept-traces/kept-traces'
import { Recorder } from '../../../../otel/sdk/kept-traces/recorder'
import { createSampler, headSampler } from '../../../../otel/sdk/sampling/sampler'

export const FAULT: Attributes = {
  'http.route': '/orders',
  'gateway.outcome': 'fault',
  'gateway.reason': 'connect_refused',
  'http.response.status_code': 502,
}
export const LIMITED: Attributes = {
  'http.route': '/orders',
  'gateway.outcome': 'refusal',
  'gateway.reason': 'limited',
  'http.response.status_code': 429,
}
export const GOOD: Attributes = {
  'http.route': '/orders',
  'gateway.outcome': 'ok',
  'http.response.status_code': 200,
}

export interface Tracing {
  readonly keptTraces: KeptTraces
  readonly recorder: Recorder
  /** What left the process, in order. */
  readonly exported: () => readonly ReadableSpan[]
  /** Clock of the kept traces; spans have their own. */
  readonly tick: (ms: number) => void
  readonly begin: (options?: { parent?: Context; startTime?: number; name?: string }) => Begun
  /** A request with one CLIENT span, from beginning to end; `tookMs` after its own start time. */
  readonly request: (attributes: Attributes, options?: { tookMs?: number; parent?: Context }) => ReadableSpan
}

export interface Begun {
  readonly span: Span
  readonly context: Context
  readonly child: (name?: string) => Span
}

/** A real tracer provider with the sampler and the processor of the gateway; 1 % in force means: nothing, unless told. */
export function startTracing(
  options: Partial<Omit<KeptTracesOptions, 'exports' | 'now'>> & {
    sampler?: string
    /** For samplers by ratio. */
    ratio?: number
    exports?: readonly SpanProcessor[]
  } = {},
): Tracing {
  const exporter = new InMemorySpanExporter()
  const recorder = options.recorder ?? new Recorder()
  let now = 0
  const keptTraces = new KeptTraces({
    slowMs: 1_000,
    perSecond: 5,
    exports: [new SimpleSpanProcessor({ exporter })],
    ...options,
    recorder,
    now: () => now,
  })
  const sampler = createSampler(
    headSampler({ name: options.sampler ?? 'parentbased_always_off', ratio: options.ratio ?? 1 }),
  )
  const tracer = new TracerProvider({ sampler, spanProcessors: [keptTraces] }).getTracer('test')
  const begin: Tracing['begin'] = ({ parent = ROOT_CONTEXT, startTime, name = 'GET /orders' } = {}) => {
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER, ...(startTime && { startTime }) }, parent)
    const context = trace.setSpan(parent, span)
    return { span, context, child: (name = 'GET') => tracer.startSpan(name, { kind: SpanKind.CLIENT }, context) }
  }
  return {
    keptTraces,
    recorder,
    exported: () => exporter.getFinishedSpans(),
    tick: ms => {
      now += ms
    },
    begin,
    request: (attributes, { tookMs = 5, parent } = {}) => {
      const startTime = Date.now()
      const { span, child } = begin({ startTime, ...(parent && { parent }) })
      child().end()
      span.setAttributes(attributes)
      span.end(startTime + tookMs)
      return span as unknown as ReadableSpan
    },
  }
}

export function traceIdOf(span: Span | ReadableSpan): string {
  return span.spanContext().traceId
}

/** As it comes in by `traceparent`. */
export function remoteParent(traceId: string, isSampled = false): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId: '00f067aa0ba902b7',
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  })
}
