import { z } from 'zod'
import type { Frozen } from '../../config/frozen'
import { headerName, headerValue } from '../../config/fields'
import { field } from '../../config/values/field'
import { parseConditionName, toFields } from '../../config/values/header'
import { parseMethod } from '../../config/values/method'
import { parseSamplingRate } from '../../config/values/sampling-rate'

/** Maximum rules of one list: they are tried one after the other for each request. */
const MOST_RULES = 32

function rateField(description: string): z.ZodType<number> {
  return field(parseSamplingRate, { description, value: '0 to 1', type: 'number', minimum: 0, maximum: 1 })
}

const ruleSchema = z
  .strictObject({
    methods: z
      .array(field(parseMethod, { description: 'An HTTP method.', type: 'string', examples: ['POST'] }))
      .min(1)
      .optional()
      .meta({ description: 'Only requests with one of these methods. Left out: any.', value: 'list of methods' }),
    headers: z.record(headerName(parseConditionName), headerValue).optional().meta({
      description:
        'Only requests with these header fields, once and with exactly this value: `{ x-debug: on }`. Left out: any.',
      value: 'map of names to values',
    }),
    sample: rateField('Part of the matching traces that is sampled.'),
  })
  .transform(({ methods, headers, sample }) => ({ methods, headers: toFields(headers), sample }))

export function telemetrySchema(description: string) {
  return z
    .strictObject({
      sample: rateField(
        "Part of the traces that begin here that is sampled, instead of `OTEL_TRACES_SAMPLER`: `0.1` is a tenth. The threshold is written into `tracestate` (`ot=th:…`), so that counts can be derived from sampled spans. A trace that a caller began keeps the caller's decision. Faults, slow and limited requests are kept in any case.",
      ).optional(),
      rules: z.array(ruleSchema).max(MOST_RULES).optional().meta({
        description: 'Other rates for some requests, by method and header fields. The first rule that matches counts.',
        value: 'list of maps',
      }),
    })
    .meta({ description })
}

/** What is sampled. */
export type TelemetryConfig = Frozen<z.output<ReturnType<typeof telemetrySchema>>>
