import { createHmac, randomBytes } from 'node:crypto'

/** What may stand in records, pages and messages in clear. */
export interface Shown {
  /** Addresses and networks of clients, and their user agents. */
  readonly clients: boolean
  /** Names of consumers. */
  readonly consumers: boolean
  /** Header fields whose values may, in lower case. */
  readonly headers: readonly string[]
}

/** Digits of a digest: enough to see that two are the same. */
const DIGITS = 12

/** Of this process: a network or a name could be found again from a digest that anybody can make. */
const KEY = randomBytes(32)

/** The same for the same value as long as this process runs. */
export function digestOf(value: string): string {
  return createHmac('sha256', KEY).update(value).digest('hex').slice(0, DIGITS)
}
