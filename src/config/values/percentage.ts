import { refuse, type Parse } from './parsed'

const ALLOWED = 'a percentage above 0 and below 100, such as 99.9'

/**
 * Parses an objective such as `99.9`. 100 is rejected: it leaves no error budget, so every failed request would page.
 */
export const parsePercentage: Parse<number> = function parsePercentage(found) {
  if (found === undefined) return refuse('is missing', ALLOWED)
  if (found === null) return refuse('is empty', ALLOWED)
  if (typeof found === 'string') {
    const [, number] = /^(\d+(?:\.\d+)?)\s*%?$/.exec(found.trim()) ?? []
    return refuse('is text, not a number', ALLOWED, number)
  }
  if (typeof found !== 'number' || !Number.isFinite(found)) return refuse('is not a number', ALLOWED)
  if (found <= 0) return refuse('is too small', ALLOWED)
  if (found >= 100) return refuse('is too large: it leaves no error budget', ALLOWED)
  if (found < 1) return refuse('looks like a ratio', ALLOWED, String(Number((found * 100).toPrecision(12))))
  return { value: found }
}
