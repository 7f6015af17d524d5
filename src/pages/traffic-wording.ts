import { duration } from './times'

/** Texts for rates, shares and latencies in tables. */

/** Formats a rate with two digits. */
export function perSecond(value: number): string {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(2)))
}

export function share(part: number, whole: number): string {
  if (whole === 0 || part === 0) return '0 %'
  const percent = (part / whole) * 100
  return percent < 0.1 ? '< 0.1 %' : `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}

export function milliseconds(ms: number | null): string {
  return ms === null ? '–' : duration(Number(ms.toPrecision(2)))
}
