import { ORIGIN_PATTERN, parseOrigin } from './origin'
import { refuse, type Parsed } from './parsed'
import { wholeNumber } from './whole-number'

export interface TargetConfig {
  /** Such as `http://127.0.0.1:9001`, without a path. */
  readonly origin: string
  /** Its share of the requests, relative to the other targets. */
  readonly weight: number
  /** The `Host` and TLS name of a target that was found by its name; undefined: those of the origin. */
  readonly authority?: string
  /** Targets of a higher number get requests only while none of a lower number is available; undefined: 0. */
  readonly priority?: number
}

const MAX_WEIGHT = 1_000
const ALLOWED = 'a URL such as http://127.0.0.1:9001, or { url: http://127.0.0.1:9001, weight: 2 }'
const parseWeight = wholeNumber({ atLeast: 1, atMost: MAX_WEIGHT })

const WEIGHT = { type: 'integer', minimum: 1, maximum: MAX_WEIGHT }
const VARIABLE = { type: 'string', pattern: '\\$\\{' }
const URL_FORM = { type: 'string', pattern: `${ORIGIN_PATTERN}|\\$\\{` }

export const TARGET_FORMS = [
  URL_FORM,
  {
    type: 'object',
    properties: {
      url: { description: 'Scheme, host and port.', ...URL_FORM },
      weight: { description: 'Its share of the requests.', default: 1, anyOf: [WEIGHT, VARIABLE] },
    },
    required: ['url'],
    additionalProperties: false,
  },
]

/** Parses a target: its origin, or its origin and weight. */
export function parseTarget(found: unknown): Parsed<TargetConfig> {
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    const origin = parseOrigin(found)
    return 'value' in origin ? { value: { origin: origin.value, weight: 1 } } : origin
  }
  const { url, weight: rawWeight = 1, ...unknown } = found as Record<string, unknown>
  const [key] = Object.keys(unknown)
  if (key !== undefined) return refuse(`has "${key}", which is not a key here`, ALLOWED)
  const origin = parseOrigin(url)
  if (!('value' in origin)) return refuse(`has a url that ${origin.mistake.problem}`, ALLOWED)
  const weight = parseWeight(rawWeight)
  if (!('value' in weight)) return refuse(`has a weight that ${weight.mistake.problem}`, weight.mistake.allowed)
  return { value: { origin: origin.value, weight: weight.value } }
}
