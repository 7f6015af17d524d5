import { nearestName } from '../nearest-name'
import { notText, refuse, type Parsed } from './parsed'

/**
 * Accepted signature algorithms: those with a public key. With a shared secret (HS256) every verifier could also issue
 * tokens; `none` is no signature.
 */
export const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const
export type Algorithm = (typeof ALGORITHMS)[number]

export function parseAlgorithm(found: unknown): Parsed<Algorithm> {
  const allowed = ALGORITHMS.join(', ')
  if (typeof found !== 'string') return notText(found, allowed)
  const known = ALGORITHMS.find(algorithm => algorithm === found)
  if (known !== undefined) return { value: known }
  if (/^none$/i.test(found)) return refuse('would accept tokens without a signature', allowed)
  if (/^HS\d+$/i.test(found)) return refuse('uses a shared secret, which could also create tokens', allowed)
  return refuse('is not an algorithm for signatures with a public key', allowed, nearestName(found, ALGORITHMS))
}

/**
 * Source of public keys (RFC 7517 §5): a URL that is fetched repeatedly, or a file that is read with the configuration.
 */
export type KeySource = { readonly url: string } | { readonly file: string }

const TYPE = 'the typ of a token, such as at+jwt or JWT'

/** Parses a token type: a media type without `application/` (RFC 7515 §4.1.9), in lower case. */
export function parseTokenType(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, TYPE)
  const type = tokenType(found)
  return /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}$/.test(type) ? { value: type } : refuse('is not the type of a token', TYPE)
}

/** Normalizes a `typ` for comparison: case-insensitive, with the optional `application/` removed. */
export function tokenType(typ: string): string {
  return typ.toLowerCase().replace(/^application\/(?=[^/]+$)/, '')
}

const KEYS = 'the URL of a key set (JWKS), such as https://login.example/.well-known/jwks.json, or the path of a file'

/** Parses the source of the public keys. */
export function parseKeySource(found: unknown): Parsed<KeySource> {
  if (typeof found !== 'string') return notText(found, KEYS)
  if (found === '') return refuse('is empty', KEYS)
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(found)) return { value: { file: found } }
  const url = URL.parse(found)
  if (url === null) return refuse('is not a valid URL', KEYS)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return refuse('is neither http nor https', KEYS)
  if (url.username !== '' || url.password !== '') return refuse('has credentials in it', KEYS)
  return { value: { url: url.href } }
}

const CLAIM = 'text without line ends, at most 256 characters'

/** Parses a claim's name or value, which is compared exactly. */
export function parseClaimText(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, CLAIM)
  if (found === '') return refuse('is empty', CLAIM)
  return /^[^\r\n\0]{1,256}$/.test(found) ? { value: found } : refuse('cannot be the text of a claim', CLAIM)
}

/** Parses one audience, or a list of which one must match. */
export function parseAudience(found: unknown): Parsed<readonly string[]> {
  const audiences: string[] = []
  for (const one of Array.isArray(found) ? (found as unknown[]) : [found]) {
    const parsed = parseClaimText(one)
    if (!('value' in parsed)) return parsed
    audiences.push(parsed.value)
  }
  return audiences.length > 0 ? { value: audiences } : refuse('has nothing in it', CLAIM)
}
