import {
  isSpanContextValid,
  trace,
  type Context,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { W3CTraceState } from './trace-state'

const TRACEPARENT = 'traceparent'
const TRACESTATE = 'tracestate'
const FORMAT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
/**
 * The flags `sampled` and, of level 2, `random`. The other bits are not defined yet and must not be sent on (§3.2.2.5).
 */
const KNOWN_FLAGS = 0b11

/**
 * W3C Trace Context, level 2: https://www.w3.org/TR/trace-context-2/. Replaces the SDK's propagator, which loses the
 * random flag and forwards invalid fields.
 */
export class TraceContextPropagator implements TextMapPropagator {
  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    const span = trace.getSpanContext(context)
    if (span === undefined || isTracingSuppressed(context) || !isSpanContextValid(span)) return
    setter.set(carrier, TRACEPARENT, traceparent(span))
    const state = span.traceState?.serialize()
    if (state) setter.set(carrier, TRACESTATE, state)
  }

  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const field = single(getter.get(carrier, TRACEPARENT))
    const parent = field === undefined ? undefined : parseTraceparent(field)
    if (parent === undefined) return context // tracestate is invalid without it (§4.3)
    const states = getter.get(carrier, TRACESTATE)
    const text = Array.isArray(states) ? states.join(',') : states
    const traceState = text === undefined || text === '' ? undefined : W3CTraceState.parse(text)
    return trace.setSpanContext(context, traceState === undefined ? parent : { ...parent, traceState })
  }

  fields(): string[] {
    return [TRACEPARENT, TRACESTATE]
  }
}

/** The field's only value: several values contradict each other (§3.2). */
function single(field: undefined | string | string[]): string | undefined {
  if (!Array.isArray(field)) return field
  return field.length === 1 ? field[0] : undefined
}

/** @returns undefined for an invalid field: a new trace is then started (§3.2.2, §4.3) */
export function parseTraceparent(text: string): SpanContext | undefined {
  const match = FORMAT.exec(text)
  if (match === null) return undefined
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match
  // A later version may append more fields.
  if (version === 'ff' || (version === '00' && more !== undefined)) return undefined
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & KNOWN_FLAGS, isRemote: true }
}

function traceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-0${(traceFlags & KNOWN_FLAGS).toString(16)}`
}
