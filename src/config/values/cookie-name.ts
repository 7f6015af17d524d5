import { notText, refuse, type Parsed } from './parsed'

/** A cookie name (RFC 6265 §4.1.1: a token). `__Host-` and `__Secure-` need attributes that plain HTTP cannot have. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}"
export const COOKIE_NAME_PATTERN = `^${TOKEN}$`
const NAME = new RegExp(COOKIE_NAME_PATTERN)
const ALLOWED = 'the name of a cookie, such as canary'

/** Parses the name of a cookie that a client sends. */
export function parseCookieName(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  return NAME.test(found) ? { value: found } : refuse('is not the name of a cookie', ALLOWED)
}

/** Parses the name of a cookie that the gateway sets. */
export function parseOwnCookieName(found: unknown): Parsed<string> {
  const parsed = parseCookieName(found)
  if ('value' in parsed && /^__(?:host|secure)-/i.test(parsed.value)) {
    return refuse(
      'begins with a prefix that browsers accept only over TLS',
      ALLOWED,
      parsed.value.replace(/^__\w+-/, ''),
    )
  }
  return parsed
}

/** Parses the value of a cookie: no characters that end it (RFC 6265 §4.1.1). */
export function parseCookieValue(found: unknown): Parsed<string> {
  const allowed = 'text without spaces, quotes, commas, semicolons and backslashes'
  if (typeof found === 'number' || typeof found === 'boolean') return refuse('is not text', allowed, `"${found}"`)
  if (typeof found !== 'string') return notText(found, allowed)
  return /^[!#-+\--:<-[\]-~]{1,256}$/.test(found) ? { value: found } : refuse('is not the value of a cookie', allowed)
}

export const COOKIE_VALUE_PATTERN = '^[!#-+\\--:<-\\[\\]-~]{1,256}$'

/** Parses the key of the hash in an affinity cookie. Messages never repeat it. */
export function parseAffinitySecret(found: unknown): Parsed<string> {
  const allowed = 'at least 16 characters, such as ${AFFINITY_SECRET}'
  const isTooShort = typeof found === 'string' && found.length < 16
  if (typeof found === 'string' && !isTooShort) return { value: found }
  const { mistake } = isTooShort ? refuse('is shorter than 16 characters', allowed) : notText(found, allowed)
  return { mistake: { ...mistake, isSecret: true } }
}
