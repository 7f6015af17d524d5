import assert from 'node:assert/strict'
import { differencesOf } from '../../../../src/incidents/page/differences'
import { alertRecord } from '../../../support/incident-record'

describe('what distinguishes the failing requests of an incident', () => {
  it('is said once by several alerts about the same requests, with the largest count', () => {
    const alert = alertRecord()
    const comparison = alert.evidence?.comparison
    assert.ok(comparison)
    const larger = { ...comparison, failing: 80, sampled: 80, differences: comparison.differences.map(twice) }
    const others = [
      { ...alert, labels: { ...alert.labels, family: 'slo' }, evidence: { ...alert.evidence, comparison: larger } },
      { ...alert, evidence: undefined },
    ] as (typeof alert)[]
    const lines = differencesOf([alert, ...others])
    assert.equal(lines.length, comparison.differences.length)
    assert.match(lines[0] ?? '', /^76 of 80 failing requests went to 10\.0\.0\.7:9001/)
  })
})

function twice<Difference extends { readonly failingCount: number }>(difference: Difference): Difference {
  return { ...difference, failingCount: difference.failingCount * 2 }
}
