import { createHash, randomBytes } from 'node:crypto'

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
