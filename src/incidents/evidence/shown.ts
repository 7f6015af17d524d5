import { createHmac, randomBytes } from 'node:crypto'

/** Which values may appear in clear in records, pages and messages. */
export interface Shown {
  /** Addresses and networks of clients, and their user agents. */
  readonly clients: boolean
  /** Names of consumers. */
  readonly consumers: boolean
  /** Header fields whose values may, in lower case. */
  readonly headers: readonly string[]
}

/** Digits of a digest: enough to recognize equal values. */
const DIGITS = 12

/** A random key of this process: without it, networks or names could be found by computing digests of candidates. */
const KEY = randomBytes(32)

/** The digest of a value; stable for the life of this process. */
export function digestOf(value: string): string {
  return createHmac('sha256', KEY).update(value).digest('hex').slice(0, DIGITS)
}
