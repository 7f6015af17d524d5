import { createHash, randomBytes, scryptSync } from 'node:crypto'
import { passwordHashText, scryptBytes } from '../config/values/password-hash'

/**
 * Minimum length of a key. Keys are hashed once and without salt, so that they can be looked up by hash; a short key
 * could be found by guessing.
 */
const FEWEST_CHARACTERS = 20
const FEWEST_DIFFERENT = 8

/** Creates a key of 256 random bits; its prefix identifies it when found in a log or a repository. */
export function newApiKey(): string {
  return `myesi_${randomBytes(32).toString('base64url')}`
}

/** Why a text is not acceptable as an API key; undefined if it is. */
export function keyProblem(key: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(key)) return 'a key is made of visible ASCII characters, without spaces'
  if (key.length < FEWEST_CHARACTERS) return `a key has at least ${FEWEST_CHARACTERS} characters`
  if (new Set(key).size < FEWEST_DIFFERENT) return `a key has at least ${FEWEST_DIFFERENT} different characters`
  return undefined
}

/** The form of a key that `gateway.yaml` stores. */
export function hashApiKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}

const SHORTEST_PASSWORD = 8
/** Cost of new hashes: 32 MiB, about a tenth of a second. */
const COST = { ln: 15, r: 8, p: 3 }

/** Why a text is not acceptable as a password; undefined if it is. */
export function passwordProblem(password: string): string | undefined {
  if (/\p{Cc}/u.test(password)) return 'a password has no control characters'
  return password.length < SHORTEST_PASSWORD ? `a password has at least ${SHORTEST_PASSWORD} characters` : undefined
}

/** The form of a password that `gateway.yaml` stores: scrypt with a salt of its own. */
export function hashPassword(password: string, cost = COST): string {
  const salt = randomBytes(16)
  const { ln, r, p } = cost
  const hash = scryptSync(password, salt, 32, { N: 2 ** ln, r, p, maxmem: 2 * scryptBytes(cost) })
  return passwordHashText({ ...cost, salt: unpadded(salt), hash: unpadded(hash) })
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '')
}
