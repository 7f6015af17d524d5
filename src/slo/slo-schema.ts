import { z } from 'zod'
import { durationField } from '../config/fields'
import { field } from '../config/values/field'
import { parsePercentage } from '../config/values/percentage'

function percentage(description: string, example: number): z.ZodType<number> {
  return field(parsePercentage, { description, type: 'number', minimum: 1, maximum: 99.999, examples: [example] })
}

const objectives = z
  .strictObject({
    availability: percentage(
      "Percent of a route's requests that must not end in a fault (a 5xx, a timeout, a broken response). Refused requests (4xx, limits) and clients that left are not counted.",
      99.9,
    ).optional(),
    latency: z
      .strictObject({
        threshold: durationField('How long a good request may take, from its first byte to the last of its response.', {
          atLeast: '5ms',
          atMost: '10m',
        }),
        target: percentage('Percent of the requests that must be faster than the threshold.', 99),
      })
      .optional()
      .meta({ description: 'Event streams, WebSockets and faults are not counted.' }),
    window: durationField('The period that the error budget is for.', { atLeast: '7d', atMost: '90d' }).prefault('30d'),
  })
  .meta({
    description:
      'Service level objectives. `npm run monitoring` writes Prometheus rules, alerts and their tests from them.',
  })

/** `slo` of a route: objectives of its own, or `false` where the defaults of all routes do not apply. */
export const sloSchema = z.union([z.literal(false), objectives])

export type SloConfig = Exclude<z.output<typeof sloSchema>, false>
