import { z } from 'zod'
import { durationField } from '../config/fields'
import { field } from '../config/values/field'
import { refuse, type Parsed } from '../config/values/parsed'
import { parsePercentage } from '../config/values/percentage'

function percentage(description: string, example: number): z.ZodType<number> {
  return field(parsePercentage, { description, type: 'number', minimum: 1, maximum: 99.999, examples: [example] })
}

export const latencyThreshold = durationField(
  'Maximum duration of a fast request, from its first byte to the last byte of its response. At most 8 different thresholds per file besides the default boundaries of the duration histogram.',
  { atLeast: '5ms', atMost: '10m' },
)

const budgetWindow = durationField('The period of the error budget.', { atLeast: '7d', atMost: '90d' })

const objectives = z.strictObject({
  availability: percentage(
    'Percentage of requests that must not end in a fault (a 5xx, a timeout, a broken response). Refused requests (4xx, limits) and closed clients are not counted.',
    99.9,
  ).optional(),
  latency: z
    .strictObject({
      threshold: latencyThreshold,
      target: percentage('Percentage of requests that must be faster than the threshold.', 99),
    })
    .optional()
    .meta({ description: 'Event streams, WebSockets and faults are not counted.' }),
  window: budgetWindow.optional(),
})

/** `slo` of the file: defaults for every route that has an upstream. */
export const fileSloSchema = objectives
  .extend({ window: budgetWindow.prefault('30d') })
  .prefault({})
  .meta({
    description:
      'Service level objectives of all routes with an upstream. `npm run monitoring` writes Prometheus rules, alerts and their tests from them.',
  })

const noObjectives = field(parseNoObjectives, { description: 'No objectives.', anyOf: [{ const: false }] })

/** `slo` of a route: replaces the defaults key by key; `false` where they do not apply. */
export const routeSloSchema = z
  .union([objectives, noObjectives])
  .optional()
  .meta({ description: "Objectives of this route; each key replaces the file's. `false`: none." })

function parseNoObjectives(found: unknown): Parsed<false> {
  if (found === false) return { value: false }
  return refuse('sets no objective', 'a map with availability, latency and window, or false')
}

type Objectives = z.output<typeof objectives>

/** What one route promises. */
export interface SloConfig extends Omit<Objectives, 'window'> {
  /** Milliseconds. */
  readonly window: number
}

export type FileSlo = SloConfig
export type RouteSlo = z.output<typeof routeSloSchema>

/**
 * The route's own keys, else the file's. A route without an upstream promises nothing that it does not say itself: most of
 * them are health checks and redirects.
 */
export function resolveSlo(own: RouteSlo, file: FileSlo, hasUpstream: boolean): SloConfig | undefined {
  if (own === false || (own === undefined && !hasUpstream)) return undefined
  const { availability, latency, window } = { ...file, ...own, window: own?.window ?? file.window }
  if (availability === undefined && latency === undefined) return undefined
  return { availability, latency, window }
}
