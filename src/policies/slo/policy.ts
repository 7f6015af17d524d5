import { mistake } from '../../config/values/parsed'
import { asMap } from '../../config/understood'
import { durationText, periodText } from '../../config/values/duration'
import { resolveSlo, routeSloSchema, type SloConfig } from '../../slo/slo-schema'
import { definePolicy } from '../define-policy'

/** Service level objectives of a route. They do not affect requests; Prometheus rules are generated from them. */
export const slo = definePolicy({
  name: 'slo',
  schema: routeSloSchema,
  resolve: (own, file, { hasUpstream }): SloConfig | undefined => resolveSlo(own, file.slo, hasUpstream),
  check(own, context) {
    if (own === undefined || own === false) return []
    const promised = { ...asMap(context.inFile('slo')), ...asMap(context.written) }
    if (promised['availability'] !== undefined || promised['latency'] !== undefined) return []
    return [context.problemAtKey([], mistake('promises nothing', 'availability, latency, or both; false for none'))]
  },
  describe: ({ availability, latency, window }) => [
    {
      about: 'objectives',
      text: [
        ...(availability === undefined ? [] : [`${availability} % without a fault`]),
        ...(latency === undefined ? [] : [`${latency.target} % within ${durationText(latency.threshold)}`]),
        `over ${periodText(window)}`,
      ].join(', '),
      subject: 'slo',
    },
  ],
})
