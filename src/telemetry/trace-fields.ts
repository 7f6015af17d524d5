import { isSpanContextValid, propagation, trace, type Context, type Span, type TextMapSetter } from '@opentelemetry/api'

const W3C = ['traceparent', 'tracestate']
/** Both forms of B3, because a reader of one form also reads the other. */
const B3 = ['b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags']

/** Returns the request fields from which the active propagators read a trace or baggage; lower case. */
export function readTraceFields(): readonly string[] {
  const fields = propagation.fields()
  // The B3 propagator lists only the fields that it writes.
  return fields.some(field => B3.includes(field)) ? [...new Set([...fields, ...B3])] : fields
}

/**
 * Returns the trace fields of the caller that are removed from requests to the upstream. A caller's trace in another
 * format would contradict the gateway's, and upstreams would continue one or the other. Empty without a propagator,
 * because the gateway then sends no trace of its own.
 */
export function replacedTraceFields(): ReadonlySet<string> {
  const fields = propagation.fields()
  const carriesTrace = fields.some(field => W3C.includes(field) || B3.includes(field))
  return new Set(carriesTrace ? [...fields, ...W3C, ...B3] : fields)
}

/** Returns the value of `traceresponse`: the trace and the gateway's span. Undefined without a trace. */
export function traceResponse(context: Context): string | undefined {
  const span = trace.getSpanContext(context)
  if (span === undefined || !isSpanContextValid(span)) return undefined
  return `00-${span.traceId}-${span.spanId}-0${span.traceFlags.toString(16)}`
}

/** Adds the fields that propagate a span, as flat name, value pairs. */
export type TraceInjector = (span: Span, context: Context, headers: string[]) => void

/** Creates the injector of the active propagators; undefined without any. */
export function createTraceInjector(): TraceInjector | undefined {
  const fields = propagation.fields()
  if (fields.length === 0) return undefined
  const isW3C = fields.includes('traceparent') && fields.every(field => W3C.includes(field) || field === 'baggage')
  return isW3C ? injectW3C : injectAny
}

const injectAny: TraceInjector = (span, context, headers) => {
  propagation.inject(trace.setSpan(context, span), headers, PUSH)
}

/** Writes what the W3C propagator would (Trace Context §3.2, §3.3), without creating a context for each call. */
const injectW3C: TraceInjector = (span, context, headers) => {
  if (propagation.getBaggage(context) !== undefined) return injectAny(span, context, headers)
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  headers.push('traceparent', `00-${traceId}-${spanId}-0${traceFlags.toString(16)}`)
  const state = traceState?.serialize()
  if (state) headers.push('tracestate', state)
}

const PUSH: TextMapSetter<string[]> = {
  set: (headers, name, value) => {
    // Omit a tracestate whose members were all dropped.
    if (value !== '') headers.push(name, value)
  },
}
