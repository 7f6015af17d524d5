import type { Curve } from '../evidence/curve'
import { clock, duration } from '../../page/times'

export function yTicks(
  ticks: readonly number[],
  unit: Curve['unit'],
): { readonly value: number; readonly text: string }[] {
  if (unit === 'on or off') return [0, 1].map(value => ({ value, text: valueText(value, unit) }))
  // The ground line needs no number, and changes are marked there.
  return ticks.map(value => ({ value, text: value === 0 ? '' : valueText(value, unit) }))
}

export function valueText(value: number, unit: Curve['unit']): string {
  switch (unit) {
    case 'per second':
      return `${Number(value.toPrecision(3))}/s`
    case 'seconds':
      return value === 0 ? '0' : duration(value * 1_000)
    case 'share':
      return `${Math.round(value * 100)} %`
    case 'on or off':
      return value === 0 ? 'no' : 'yes'
  }
}

export function unitInWords(unit: Curve['unit']): string {
  return unit === 'per second' ? 'per second' : unit === 'share' ? 'in per cent' : ''
}

/** Seconds between two ticks, and how they are written: not finer than what a phone has room for. */
const TICK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 21_600]
const MAX_STEPS = { seconds: 4, minutes: 6 }

/** d3's own steps go from one minute to five: on a phone, eleven ticks would stand on each other. */
export function timeTicks(startMs: number, endMs: number): { readonly timeMs: number; readonly text: string }[] {
  const fits = (step: number): boolean => {
    return (endMs - startMs) / 1_000 / step <= (step < 60 ? MAX_STEPS.seconds : MAX_STEPS.minutes)
  }
  const step = TICK_STEPS.find(fits) ?? 86_400
  const first = Math.ceil(startMs / 1_000 / step) * step
  const count = Math.max(0, Math.floor((endMs / 1_000 - first) / step) + 1)
  return Array.from({ length: Math.min(count, 100) }, (_, index) => {
    const timeMs = (first + index * step) * 1_000
    return { timeMs, text: step < 60 ? clock(timeMs) : clock(timeMs).slice(0, 5) }
  })
}
