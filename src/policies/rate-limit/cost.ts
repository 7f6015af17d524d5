import { parseResponseEditName } from '../../config/values/header'
import { parseMethod } from '../../config/values/method'
import { mistake, refuse, type Parsed } from '../../config/values/parsed'
import { wholeNumber } from '../../config/values/whole-number'

export interface Cost {
  readonly standard: number
  readonly methods: Readonly<Record<string, number>>
  /** Field in which the upstream reports the cost, lower case. */
  readonly responseHeader?: string
  /** Whether clients get that field. */
  readonly forwardsHeader?: boolean
}

export const MAX_COST = 1_000_000
const ALLOWED =
  'a whole number from 1 to 1000000, a map of methods to such numbers, such as { POST: 5 }, or { responseHeader: x-cost }'
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
  const { responseHeader, forward, ...others } = found as Record<string, unknown>
  const reported = parseReported(responseHeader, forward)
  if ('mistake' in reported) return reported
  for (const [name, raw] of Object.entries(others)) {
    const method = parseMethod(name)
    const cost = parseNumber(raw)
    if (!('value' in method)) return refuse(`has "${name}", which ${method.mistake.problem}`, ALLOWED)
    if (!('value' in cost)) return refuse(`has a cost of ${name} that ${cost.mistake.problem}`, ALLOWED)
    methods[method.value] = cost.value
  }
  return { value: { standard: 1, methods, ...reported.value } }
}

/** Parses the field in which the upstream reports the cost. */
function parseReported(header: unknown, forward: unknown): Parsed<Pick<Cost, 'responseHeader' | 'forwardsHeader'>> {
  if (header === undefined) {
    return forward === undefined ? { value: {} } : refuse('has "forward" without "responseHeader"', ALLOWED)
  }
  const name = parseResponseEditName(header)
  if (!('value' in name)) return refuse(`has a responseHeader that ${name.mistake.problem}`, ALLOWED)
  if (forward === undefined) return { value: { responseHeader: name.value, forwardsHeader: false } }
  if (typeof forward !== 'boolean') return refuse('has a "forward" that is not true or false', ALLOWED)
  return { value: { responseHeader: name.value, forwardsHeader: forward } }
}

/**
 * Returns the cost that an upstream reports, rounded up; undefined if the value is not a number of at most nine digits. A
 * report is at most the limit: a wrong one must not lock a client out for longer than a window.
 */
export function reportedCost(value: string, limit: number): number | undefined {
  return /^\d{1,9}(?:\.\d{1,9})?$/.test(value) ? Math.min(Math.ceil(Number(value)), limit) : undefined
}
