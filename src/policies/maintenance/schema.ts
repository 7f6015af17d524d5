import type { z } from 'zod'
import { duration, DURATION_PATTERN } from '../../config/values/duration'
import { field } from '../../config/values/field'
import { refuse, type Parsed } from '../../config/values/parsed'

export interface MaintenanceConfig {
  /** Value of `Retry-After`; undefined: not sent. */
  readonly retryAfterMs: number | undefined
}

const ALLOWED = 'true, false, or when to try again, such as { retryAfter: 10m }'
const parseRetryAfter = duration({ atLeast: '1s' })

/** JSON schema forms, for editors. */
const MAINTENANCE_FORMS = [
  { type: 'boolean' },
  {
    type: 'object',
    properties: {
      retryAfter: {
        type: 'string',
        pattern: `${DURATION_PATTERN}|\\$\\{`,
        description: 'Instead of `true`: maintenance with this `Retry-After`.',
        value: '`1s` to `24d`',
      },
    },
    required: ['retryAfter'],
    additionalProperties: false,
  },
]

/** Parses maintenance with its end. `false` keeps a route open while the entrypoint is in maintenance. */
function parseMaintenance(found: unknown): Parsed<MaintenanceConfig | false> {
  if (found === true) return { value: { retryAfterMs: undefined } }
  if (found === false) return { value: false }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) {
    return refuse('is neither true, false nor a map', ALLOWED)
  }
  const { retryAfter, ...others } = found as Readonly<Record<string, unknown>>
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) return refuse(`has "${unknown}", which is not a key here`, ALLOWED)
  const parsed = parseRetryAfter(retryAfter)
  if ('value' in parsed) return { value: { retryAfterMs: parsed.value } }
  const { problem, allowed, nearest } = parsed.mistake
  return refuse(`has a retryAfter that ${problem}`, allowed, nearest && `{ retryAfter: ${nearest} }`)
}

export function maintenanceField(description: string): z.ZodType<MaintenanceConfig | false> {
  return field(parseMaintenance, { description, value: '`true`, `false`, or map', anyOf: MAINTENANCE_FORMS })
}
