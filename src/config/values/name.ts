import { refuse, notText, type Parse, type Parsed } from './parsed'

const ALLOWED = 'letters, digits, "-", "_" and ".", at most 64 of them, beginning with a letter or digit'

export const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'
const NAME = new RegExp(NAME_PATTERN)

/** Parses the name of a route, upstream or policy: it becomes a metric label and part of the `RateLimit` headers. */
export function parseName(found: unknown): Parsed<string> {
  if (typeof found === 'number') return refuse('is a number, not a name', ALLOWED, `"${found}"`)
  if (typeof found !== 'string') return notText(found, ALLOWED)
  return NAME.test(found) ? { value: found } : refuse('cannot be a name', ALLOWED, respelled(found))
}

/** Parses a reference to an item in the same file; a check between keys verifies that it exists. */
export function referenceTo(what: string): Parse<string> {
  const allowed = `the name of ${what} in this file`
  return function parseReference(found) {
    return typeof found === 'string' ? { value: found } : notText(found, allowed)
  }
}

function respelled(text: string): string | undefined {
  const name = text.trim().replace(/[^A-Za-z0-9._-]+/g, '-')
  return NAME.test(name) ? name : undefined
}
