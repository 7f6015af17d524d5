import type { Curve } from '../evidence/curve'
import { duration } from '../../pages/times'

export function yTicks(
  ticks: readonly number[],
  unit: Curve['unit'],
): { readonly value: number; readonly text: string }[] {
  if (unit === 'on or off') return [0, 1].map(value => ({ value, text: valueText(value, unit) }))
  return ticks.map(value => ({ value, text: value === 0 ? '0' : valueText(value, unit) }))
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
