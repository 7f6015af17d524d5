import assert from 'node:assert/strict'
import { resolutionInWords } from '../../../../src/incidents/evidence/resolution'
import { alertRecord, BEGAN } from '../../../support/incident-record'

const { evidence } = alertRecord()
assert.ok(evidence)
const FAULTS = { labels: { family: 'faults' } }

describe('the summary of an alert that is over', () => {
  it('says what it cost, the cause as far as known, and what the runbook should say', () => {
    const text = resolutionInWords(FAULTS, { ...evidence, budget: { spent: 0.123, left: 0.5 } }, 40)
    assert.match(text, /^40 requests failed, 12 % of the month's error budget spent\. As far as known, /)
    assert.match(
      text,
      /orders → 10\.0\.0\.7:9001 refused|orders → 10\.0\.0\.7:9001 answered with a 5xx in 12 of 40; 38 of 40/,
    )
    assert.match(text, /Suggestion for the runbook: how to take target 10\.0\.0\.7:9001 out of service/)
  })

  it('suggests to undo a change shortly before only where nothing else sets the requests apart', () => {
    const changes = [{ timeMs: BEGAN - 11_000, what: 'orders 1.4.2 deployed' }]
    const { comparison: _comparison, ...without } = evidence
    assert.match(
      resolutionInWords(FAULTS, { ...without, changes }, 1),
      /^1 request failed\..* undo a change such as "orders 1\.4\.2 deployed"$/,
    )
    assert.doesNotMatch(resolutionInWords(FAULTS, { ...evidence, changes }, 1), /undo/)
    assert.doesNotMatch(
      resolutionInWords(FAULTS, { ...without, changes: [{ timeMs: BEGAN - 600_000, what: 'x' }] }, 1),
      /undo/,
    )
  })

  it('is empty where nothing is known, one line, and short', () => {
    const nothing = { signatures: [], changes: [], firstBadMs: undefined }
    assert.equal(resolutionInWords(FAULTS, nothing, 0), '')
    const long = { ...nothing, changes: [{ timeMs: 5, what: 'a\n'.repeat(3_000) }], firstBadMs: 6 }
    const text = resolutionInWords({ labels: { family: 'refusals' } }, long, 2)
    assert.match(text, /^2 requests were refused/)
    assert.ok(text.length <= 600 && !text.includes('\n'))
  })
})
