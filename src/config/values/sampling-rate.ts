import { refuse, type Parse } from './parsed'

const ALLOWED = 'a fraction from 0 to 1, such as 0.1'

/** Parses the part of traces that are sampled, such as `0.1`. */
export const parseSamplingRate: Parse<number> = function parseSamplingRate(found) {
  if (found === undefined) return refuse('is missing', ALLOWED)
  if (found === null) return refuse('is empty', ALLOWED)
  if (typeof found === 'string') {
    const [, number, percent] = /^(\d+(?:\.\d+)?)\s*(%?)$/.exec(found.trim()) ?? []
    const fraction = number === undefined ? undefined : fractionOf(Number(number), percent === '%')
    return refuse('is text, not a number', ALLOWED, fraction)
  }
  if (typeof found !== 'number' || !Number.isFinite(found)) return refuse('is not a number', ALLOWED)
  if (found < 0) return refuse('is too small', ALLOWED)
  if (found > 1) return refuse('is more than all', ALLOWED, fractionOf(found, true))
  return { value: found }
}

function fractionOf(number: number, isPercentage: boolean): string | undefined {
  const fraction = isPercentage ? Number((number / 100).toPrecision(12)) : number
  return fraction <= 1 ? String(fraction) : undefined
}
