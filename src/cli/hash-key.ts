import { createHash, randomBytes } from 'node:crypto'

/** A key is hashed once and without salt, so that it is found by its hash: what can be guessed would be found out. */
const FEWEST_CHARACTERS = 20
const FEWEST_DIFFERENT = 8

/** 256 bits; the beginning says in a log or a repository what has been found there. */
export function newApiKey(): string {
  return `myesi_${randomBytes(32).toString('base64url')}`
}

/** Why a text is no good as an API key; undefined when it is. */
export function keyProblem(key: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(key)) return 'a key is made of visible ASCII characters, without spaces'
  if (key.length < FEWEST_CHARACTERS) return `a key has at least ${FEWEST_CHARACTERS} characters`
  if (new Set(key).size < FEWEST_DIFFERENT) return `a key has at least ${FEWEST_DIFFERENT} different characters`
  return undefined
}

/** What `gateway.yaml` keeps of a key. */
export function hashApiKey(key: string): string {
  return `sha256:${createHash('sha256').update(key).digest('hex')}`
}
