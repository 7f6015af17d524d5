import type { TraceState } from '@opentelemetry/api'
import { W3CTraceState } from '../propagation/trace-state'
import { readThreshold, writtenThreshold, type Threshold } from './threshold'

/** OpenTelemetry's member of `tracestate`. */
const KEY = 'ot'
/** Maximum length of a member's value (W3C Trace Context §3.3.1.3.2). */
const LONGEST = 256

/** What OpenTelemetry's member of `tracestate` says: `ot=th:c;rv:01234567890123`. */
export interface OtelTraceState {
  /** Threshold by which the trace was sampled; undefined if it is unknown or the trace is not sampled. */
  readonly threshold: Threshold | undefined
  /** `rv`: randomness that the origin of the trace chose instead of bits of the id. */
  readonly randomness: string | undefined
}

const NOTHING: OtelTraceState = { threshold: undefined, randomness: undefined }

export function readOtelTraceState(state: TraceState | undefined): OtelTraceState {
  const member = state?.get(KEY)
  if (member === undefined) return NOTHING
  let threshold: Threshold | undefined
  let randomness: string | undefined
  for (const field of member.split(';')) {
    if (field.startsWith('th:')) threshold = readThreshold(field.slice(3))
    else if (/^rv:[0-9a-f]{14}$/.test(field)) randomness = field.slice(3)
  }
  return { threshold, randomness }
}

/**
 * Sets or removes the threshold; other members and fields stay.
 *
 * @returns undefined if there is neither a state nor a threshold
 */
export function withThreshold(state: TraceState | undefined, threshold: Threshold | undefined): TraceState | undefined {
  const member = state?.get(KEY)
  if (member === undefined) {
    if (threshold === undefined) return state
    // Nearly every trace begins here and has no other member: one object for each threshold is enough.
    return state === undefined ? soleMember(threshold) : state.set(KEY, `th:${writtenThreshold(threshold)}`)
  }
  const others = member.split(';').filter(field => field !== '' && !field.startsWith('th:'))
  const fields = threshold === undefined ? others : [`th:${writtenThreshold(threshold)}`, ...others]
  const text = fields.join(';')
  // An empty state is returned as such: without one the SDK would keep the parent's.
  return text !== '' && text.length <= LONGEST ? state?.set(KEY, text) : state?.unset(KEY)
}

/** Bound of the cache below; there is one threshold for each configured rate. */
const MOST_SOLE = 256
const sole = new Map<Threshold, TraceState>()

function soleMember(threshold: Threshold): TraceState | undefined {
  let state: TraceState | undefined = sole.get(threshold)
  if (state === undefined) {
    state = W3CTraceState.parse(`${KEY}=th:${writtenThreshold(threshold)}`)
    if (sole.size >= MOST_SOLE) sole.clear()
    if (state !== undefined) sole.set(threshold, state)
  }
  return state
}
