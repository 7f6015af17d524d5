import { createHash } from 'node:crypto'
import { ruleFiles, rulesIn, type Rule } from '../monitoring/monitoring-files'
import { metricNamesIn } from '../monitoring/metric-names'

/**
 * Hash of an alert's rule, and of the recording rules that it reads: of what decides when it fires and where it goes. A text may
 * change without a new run. One for each alert, so that a new alert does not make the runs of the others invalid.
 */
export function ruleHash(alert: string): string {
  const all = ruleFiles().flatMap(rulesIn)
  const found = new Set(all.filter(rule => rule.alert === alert))
  // A recording rule may read another one. Sets grow while they are iterated.
  for (const { expr } of found) {
    const names = metricNamesIn(expr)
    for (const rule of all) if (rule.record !== undefined && names.includes(rule.record)) found.add(rule)
  }
  return createHash('sha256')
    .update(JSON.stringify([...found].map(decisive)))
    .digest('hex')
    .slice(0, 8)
}

function decisive({ alert, record, expr, for: hold, keep_firing_for: keep, labels }: Rule): unknown[] {
  return [alert ?? record, expr.replaceAll(/\s+/g, ' '), hold, keep, labels]
}
