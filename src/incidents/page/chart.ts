import type { Curve, CurveLine } from '../evidence/curve'
import { clock } from '../../pages/times'
import { valueText } from './chart-ticks'

/** A request shown as a dot on the curve. */
export interface Dot {
  readonly timeMs: number
  readonly durationMs: number
  readonly href: string | undefined
  readonly label: string
}

/** A labelled moment above the curve. */
export interface Mark {
  readonly timeMs: number
  readonly kind: 'bad' | 'fired' | 'resolved'
  readonly label: string
}

export interface Chart {
  /** Distinguishes its elements from those of other charts on the page. */
  readonly id: string
  readonly curve: Curve
  readonly dots: readonly Dot[]
  readonly marks: readonly Mark[]
  /** Times of changes. */
  readonly changes: readonly number[]
}

/** The range from the first known value on: a Prometheus that was just started has no earlier ones. */
export function extent({ startMs, stepMs, lines }: Curve): { readonly startMs: number; readonly endMs: number } {
  const length = Math.max(2, ...lines.map(({ values }) => values.length))
  const firsts = lines.map(({ values }) => values.findIndex(value => value !== null)).filter(index => index >= 0)
  const first = Math.min(length - 2, ...firsts)
  return { startMs: startMs + Math.max(0, first) * stepMs, endMs: startMs + (length - 1) * stepMs }
}

/** The dots, marks and changes within the shown time. */
export function within({ curve, dots, marks, changes }: Chart): Pick<Chart, 'dots' | 'marks' | 'changes'> {
  const { startMs, endMs } = extent(curve)
  const isIn = (timeMs: number): boolean => timeMs >= startMs && timeMs <= endMs
  const wasIn = ({ timeMs }: { readonly timeMs: number }): boolean => isIn(timeMs)
  return { dots: dots.filter(wasIn), marks: marks.filter(wasIn), changes: changes.filter(isIn) }
}

/** Maximum height of a comparison line, as a multiple of the main line's: a higher one would flatten it. */
const FLATTENING = 12

export function drawnLines({ lines }: Curve): readonly CurveLine[] {
  const [main, ...others] = lines
  if (main === undefined) return []
  const highest = highestOf(main)
  return [main, ...others.filter(other => highest === 0 || highestOf(other) <= highest * FLATTENING)]
}

export function highestOf({ values }: CurveLine): number {
  return Math.max(0, ...values.map(value => value ?? 0))
}

/** The value at a time, interpolated between the two nearest points. */
export function valueAt({ startMs, stepMs }: Curve, main: CurveLine | undefined, timeMs: number): number {
  const place = (timeMs - startMs) / stepMs
  const before = main?.values[Math.floor(place)] ?? 0
  const after = main?.values[Math.ceil(place)] ?? before
  return before + (after - before) * (place - Math.floor(place))
}

export function describe(curve: Curve, dots: number): string {
  const { startMs, endMs } = extent(curve)
  const [main] = curve.lines
  if (main === undefined) return ''
  const highest = highestOf(main)
  const at = curve.startMs + main.values.indexOf(highest) * curve.stepMs
  const last = main.values.findLast(value => value !== null) ?? 0
  return [
    `From ${clock(startMs)} to ${clock(endMs)} UTC.`,
    `Highest: ${valueText(highest, curve.unit)} at ${clock(at)}; last: ${valueText(last, curve.unit)}.`,
    ...(dots > 0 ? [`${dots} failing requests link to their traces.`] : []),
  ].join(' ')
}
