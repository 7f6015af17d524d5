import { notText, refuse, type Parse, type Parsed } from '../../config/values/parsed'

/** Names that are the same with and without percent-encoding, so that a client cannot spell one in two ways. */
export const CREDENTIAL_NAME_PATTERN = '^[A-Za-z0-9_.-]{1,64}$'
const NAME = new RegExp(CREDENTIAL_NAME_PATTERN)

/** Parses the name of a query parameter with a credential. */
export const parseQueryCredential = credentialName('the name of a query parameter, such as access_token')
/** Parses the name of a cookie with a credential. */
export const parseCookieCredential = credentialName('the name of a cookie, such as session')

function credentialName(what: string): Parse<string> {
  const allowed = `${what}: letters, digits, "_", "-" and "."`
  return function parseCredentialName(found) {
    if (typeof found !== 'string') return notText(found, allowed)
    return NAME.test(found) ? { value: found } : refuse('cannot be the name of a credential', allowed)
  }
}

/** Maximum number of `tokens` entries that one route accepts. */
const MOST_ISSUERS = 20
const TOKENS = 'the name of an entry of "tokens" in this file, or a list of such names'

/** Parses one name of an entry of `tokens`, or a list. A check between keys verifies that the entries exist. */
export function parseTokenNames(found: unknown): Parsed<readonly string[]> {
  if (!Array.isArray(found)) return typeof found === 'string' ? { value: [found] } : notText(found, TOKENS)
  const names: string[] = []
  for (const name of found as readonly unknown[]) {
    if (typeof name !== 'string') return refuse('has an entry that is not a name', TOKENS)
    if (names.includes(name)) return refuse(`has "${name}" twice`, 'each entry of "tokens" once')
    names.push(name)
  }
  if (names.length === 0) return refuse('has nothing in it', TOKENS)
  return names.length <= MOST_ISSUERS ? { value: names } : refuse('has too many entries', `at most ${MOST_ISSUERS}`)
}
