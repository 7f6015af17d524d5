import type { TraceSpan } from './otlp-trace'

/** A step of a request in a failing trace and in a good one. */
export interface Step {
  readonly service: string
  readonly name: string
  readonly kind: TraceSpan['kind']
  /** Undefined: the trace has no such span. */
  readonly failing: TraceSpan | undefined
  readonly good: TraceSpan | undefined
  readonly difference: 'missing' | 'additional' | 'failed' | 'longer' | 'shorter' | undefined
}

/** A span counts as longer if it takes this many times as long, and this much more: smaller differences are chance. */
const TIMES_LONGER = 2
const LEAST_DIFFERENCE_MS = 5

/**
 * Compares two traces span by span, in order of start. Spans are the same step if service, kind and name are equal;
 * several of them are paired in order.
 */
export function putBeside(failing: readonly TraceSpan[], good: readonly TraceSpan[]): Step[] {
  const inGood = Map.groupBy(good, keyOf)
  const steps = failing.map(span => stepOf(span, inGood.get(keyOf(span))?.shift()))
  const missing = [...inGood.values()].flat().map(span => stepOf(undefined, span))
  const begins = (spans: readonly TraceSpan[]): number => Math.min(...spans.map(({ startMs }) => startMs))
  const [failingBegin, goodBegin] = [begins(failing), begins(good)]
  const offset = ({ failing: one, good: other }: Step): number =>
    one === undefined ? (other?.startMs ?? 0) - goodBegin : one.startMs - failingBegin
  return [...steps, ...missing].sort((a, b) => offset(a) - offset(b))
}

function keyOf({ service, kind, name }: TraceSpan): string {
  return JSON.stringify([service, kind, name])
}

function stepOf(failing: TraceSpan | undefined, good: TraceSpan | undefined): Step {
  const { service = '', name = '', kind = 'other' } = failing ?? good ?? {}
  return { service, name, kind, failing, good, difference: differenceOf(failing, good) }
}

function differenceOf(failing: TraceSpan | undefined, good: TraceSpan | undefined): Step['difference'] {
  if (failing === undefined) return 'missing'
  if (failing.isError && good?.isError !== true) return 'failed'
  if (good === undefined) return 'additional'
  if (isLonger(failing.durationMs, good.durationMs)) return 'longer'
  return isLonger(good.durationMs, failing.durationMs) ? 'shorter' : undefined
}

function isLonger(one: number, other: number): boolean {
  return one >= TIMES_LONGER * other && one - other >= LEAST_DIFFERENCE_MS
}
