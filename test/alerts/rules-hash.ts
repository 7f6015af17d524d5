import { createHash } from 'node:crypto'
import { ruleFiles, rulesIn } from '../monitoring/monitoring-files'

/** Of what decides when an alert fires and who is told: a text may change without a new run. */
export function rulesHash(): string {
  const rules = ruleFiles()
    .flatMap(rulesIn)
    .map(({ alert, record, expr, for: hold, keep_firing_for: keep, labels }) => [
      alert ?? record,
      expr.replaceAll(/\s+/g, ' '),
      hold,
      keep,
      labels,
    ])
  return createHash('sha256').update(JSON.stringify(rules)).digest('hex').slice(0, 16)
}
