import { notText, type Parsed } from './parsed'

/** A password hashed with scrypt (RFC 7914). */
export interface PasswordHash {
  /** Binary logarithm of the cost N. */
  readonly ln: number
  readonly r: number
  readonly p: number
  /** Base64. */
  readonly salt: string
  readonly hash: string
}

const ALLOWED = 'a scrypt hash, as "npm run hash-key -- --password" prints it'

export const PASSWORD_HASH_PATTERN = '^\\$scrypt\\$ln=\\d{1,2},r=\\d{1,2},p=\\d\\$[A-Za-z0-9+/]+\\$[A-Za-z0-9+/]+$'
const PARTS = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d)\$([A-Za-z0-9+/]{11,64})\$([A-Za-z0-9+/]{22,86})$/

/** Costs below are found by guessing; costs above would let a few requests use up memory and processor. */
const LEAST_LN = 14
const MOST_LN = 17
const MOST_BYTES = 128 * 1_024 * 1_024
const MOST_P = 4

/** Parses the stored form of a password, in the PHC string format. Messages never repeat it: it may be the password. */
export function parsePasswordHash(found: unknown): Parsed<PasswordHash> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const [, ln = '', r = '', p = '', salt = '', hash = ''] = PARTS.exec(found) ?? []
  if (hash === '') return secret('is not the hash of a password', ALLOWED)
  const parsed = { ln: Number(ln), r: Number(r), p: Number(p), salt, hash }
  const bytes = scryptBytes(parsed)
  const costs = `ln from ${LEAST_LN} to ${MOST_LN}, p from 1 to ${MOST_P}, at most 128 MiB`
  if (parsed.ln < LEAST_LN || parsed.r < 1 || parsed.p < 1) return secret('is a hash that costs too little', costs)
  if (parsed.ln > MOST_LN || parsed.p > MOST_P || bytes > MOST_BYTES)
    return secret('is a hash that costs too much', costs)
  return { value: parsed }
}

/** Returns the memory that a check needs. */
export function scryptBytes({ ln, r }: Pick<PasswordHash, 'ln' | 'r'>): number {
  return 128 * 2 ** ln * r
}

/** Formats a hash for the file. */
export function passwordHashText({ ln, r, p, salt, hash }: PasswordHash): string {
  return `$scrypt$ln=${ln},r=${r},p=${p}$${salt}$${hash}`
}

function secret(problem: string, allowed: string): Parsed<never> {
  return { mistake: { problem, allowed, isSecret: true } }
}
