import { notText, refuse, type Parsed } from './parsed'

const ALLOWED = 'one word such as orders:read, without spaces, quotes and backslashes'

/** A scope, RFC 6749 §3.3. */
export const SCOPE_PATTERN = '^[\\x21\\x23-\\x5b\\x5d-\\x7e]{1,128}$'

export function parseScope(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  return new RegExp(SCOPE_PATTERN).test(found) ? { value: found } : refuse('is not a scope', ALLOWED)
}
