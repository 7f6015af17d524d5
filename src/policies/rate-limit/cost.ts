import { parseMethod } from '../../config/values/method'
import { mistake, refuse, type Parsed } from '../../config/values/parsed'
import { wholeNumber } from '../../config/values/whole-number'

export interface Cost {
  readonly standard: number
  readonly methods: Readonly<Record<string, number>>
}

export const MAX_COST = 1_000_000
const ALLOWED = 'a whole number from 1 to 1000000, or a map of methods to such numbers, such as { POST: 5 }'
const parseNumber = wholeNumber({ atLeast: 1, atMost: MAX_COST })

/** Parses the cost of a request: one number, or one per method; methods not named cost one. */
export function parseCost(found: unknown): Parsed<Cost> {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    const parsed = parseNumber(found)
    if ('value' in parsed) return { value: { standard: parsed.value, methods: {} } }
    const { problem, nearest } = parsed.mistake
    return { mistake: mistake(problem, ALLOWED, nearest) }
  }
  const methods: Record<string, number> = {}
  for (const [name, raw] of Object.entries(found)) {
    const method = parseMethod(name)
    const cost = parseNumber(raw)
    if (!('value' in method)) return refuse(`has "${name}", which ${method.mistake.problem}`, ALLOWED)
    if (!('value' in cost)) return refuse(`has a cost of ${name} that ${cost.mistake.problem}`, ALLOWED)
    methods[method.value] = cost.value
  }
  return { value: { standard: 1, methods } }
}
