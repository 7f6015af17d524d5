import { refuse, type Parse } from './parsed'

/** Parses a whole number, both bounds included. */
export function wholeNumber(bounds: { atLeast: number; atMost: number }): Parse<number> {
  const allowed = `a whole number from ${bounds.atLeast} to ${bounds.atMost}`
  return function parseWholeNumber(found) {
    if (found === undefined) return refuse('is missing', allowed)
    if (found === null) return refuse('is empty', allowed)
    if (typeof found === 'string' && /^\d+$/.test(found)) return refuse('is text, not a number', allowed, found)
    if (typeof found !== 'number' || !Number.isInteger(found)) return refuse('is not a whole number', allowed)
    if (found < bounds.atLeast) return refuse('is too small', allowed)
    if (found > bounds.atMost) return refuse('is too large', allowed)
    return { value: found }
  }
}

/** Parses a whole number from an environment variable, where every value is text. */
export function wholeNumberText(bounds: { atLeast: number; atMost: number }): Parse<number> {
  const parse = wholeNumber(bounds)
  return function parseWholeNumberText(found) {
    return parse(typeof found === 'string' && /^[+-]?\d+$/.test(found) ? Number(found) : Number.NaN)
  }
}
