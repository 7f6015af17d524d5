import { isSpanContextValid, propagation, trace, type Context, type Span, type TextMapSetter } from '@opentelemetry/api'

const W3C = ['traceparent', 'tracestate']
/** Both forms: whoever reads one of them reads the other as well. */
const B3 = ['b3', 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags']

/** Request fields in which a caller's trace or baggage can be found, by the propagators in force; lower case. */
export function readTraceFields(): readonly string[] {
  const fields = propagation.fields()
  // The propagator for B3 names only the fields that it writes.
  return fields.some(field => B3.includes(field)) ? [...new Set([...fields, ...B3])] : fields
}

/**
 * Request fields that must not reach the upstream beside ours. With our own trace in any format, a caller's trace in
 * another one would contradict it: some upstreams would continue the one, some the other. None without a propagator: then
 * the caller's fields are all there is.
 */
export function replacedTraceFields(): ReadonlySet<string> {
  const fields = propagation.fields()
  const carriesTrace = fields.some(field => W3C.includes(field) || B3.includes(field))
  return new Set(carriesTrace ? [...fields, ...W3C, ...B3] : fields)
}

/** What `traceresponse` says of a request: its trace and the gateway's span in it. Undefined without a trace. */
export function traceResponse(context: Context): string | undefined {
  const span = trace.getSpanContext(context)
  if (span === undefined || !isSpanContextValid(span)) return undefined
  return `00-${span.traceId}-${span.spanId}-0${span.traceFlags.toString(16)}`
}

/** Adds the fields that carry a span's trace on, as flat name, value pairs. */
export type TraceInjector = (span: Span, context: Context, headers: string[]) => void

/** By the propagators in force; undefined without any. */
export function createTraceInjector(): TraceInjector | undefined {
  const fields = propagation.fields()
  if (fields.length === 0) return undefined
  const isW3C = fields.includes('traceparent') && fields.every(field => W3C.includes(field) || field === 'baggage')
  return isW3C ? injectW3C : injectAny
}

const injectAny: TraceInjector = (span, context, headers) => {
  propagation.inject(trace.setSpan(context, span), headers, PUSH)
}

/** What the propagators would write (W3C Trace Context §3.2, §3.3), without a context of its own for each call. */
const injectW3C: TraceInjector = (span, context, headers) => {
  if (propagation.getBaggage(context) !== undefined) return injectAny(span, context, headers)
  const { traceId, spanId, traceFlags, traceState } = span.spanContext()
  headers.push('traceparent', `00-${traceId}-${spanId}-0${traceFlags.toString(16)}`)
  const state = traceState?.serialize()
  if (state) headers.push('tracestate', state)
}

const PUSH: TextMapSetter<string[]> = {
  set: (headers, name, value) => {
    // A tracestate whose every member was dropped is nothing to send.
    if (value !== '') headers.push(name, value)
  },
}
