import { digestOf, type Shown } from '../shown'
import type { Comparison } from './compare'
import type { Value } from './find-differences'

/** The comparison with digests of client identities, unless the settings show them. */
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
