import { createHmac, randomBytes } from 'node:crypto'
import type { Comparison } from './compare'
import type { Value } from './find-differences'

/** What may stand in records and messages in clear. */
export interface Shown {
  readonly clients: boolean
  readonly consumers: boolean
}

/** Digits of a digest: enough to see that two are the same. */
const DIGITS = 12

/** Of this process: a network or a name could be found again from a digest that anybody can make. */
const KEY = randomBytes(32)

/** The comparison with digests for who the clients are, except where the settings show them. */
export function redacted(comparison: Comparison, shown: Shown): Comparison {
  const redact = <V extends Value>(of: V): V => {
    const isHidden = of.dimension === 'consumer' ? !shown.consumers : of.dimension === 'clientNetwork' && !shown.clients
    return isHidden && of.value !== 'none' ? { ...of, value: digestOf(of.value) } : of
  }
  return {
    ...comparison,
    differences: comparison.differences.map(difference => ({
      ...redact(difference),
      alsoKnownAs: difference.alsoKnownAs.map(redact),
    })),
  }
}

/** The same for the same value as long as this process runs. */
export function digestOf(value: string): string {
  return createHmac('sha256', KEY).update(value).digest('hex').slice(0, DIGITS)
}
