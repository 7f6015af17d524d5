import { parseName } from '../../config/values/name'
import { notText, refuse, type Parsed } from '../../config/values/parsed'
import { wholeNumber } from '../../config/values/whole-number'

export const MAX_LIMIT = 1_000_000_000
const ALLOWED = 'a map of tiers to limits, such as { gold: 1000 }'
const parseLimit = wholeNumber({ atLeast: 1, atMost: MAX_LIMIT })

/** Parses the limit of each tier. A check between keys verifies that the tiers exist. */
export function parseTiers(found: unknown): Parsed<Readonly<Record<string, number>>> {
  if (found === undefined || found === null) return notText(found, ALLOWED)
  if (typeof found !== 'object' || Array.isArray(found)) return refuse('is not a map', ALLOWED)
  const tiers: Record<string, number> = {}
  for (const [name, raw] of Object.entries(found)) {
    const tier = parseName(name)
    const limit = parseLimit(raw)
    if (!('value' in tier)) return refuse(`has "${name}", which ${tier.mistake.problem}`, ALLOWED)
    if (!('value' in limit)) return refuse(`has a limit of ${name} that ${limit.mistake.problem}`, ALLOWED)
    tiers[name] = limit.value
  }
  return { value: tiers }
}
