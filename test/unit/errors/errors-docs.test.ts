import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { STATUS_CODES } from 'node:http'
import { resolve } from 'node:path'
import { FAULT_REASONS, REASONS, type Reason } from '../../../src/errors/reasons'

/** Compiled, this file is dist/test/unit/errors/errors-docs.test.js. */
const DOCS = readFileSync(resolve(__dirname, '../../../../docs/errors.md'), 'utf8')

const ROWS = DOCS.split('\n')
  .filter(line => line.startsWith('| `'))
  .map(line => line.split('|').map(cell => cell.trim().replace(/^`(.*)`$/, '$1')))
  .map(([, reason = '', status = '', outcome = '', meaning = '', advice = '']) => ({
    reason,
    status,
    outcome,
    meaning,
    advice,
  }))

describe('docs/errors.md', () => {
  it('has a row for each reason, in the order of the table in the code, and no other', () => {
    assert.deepEqual(
      ROWS.map(({ reason }) => reason),
      Object.keys(REASONS),
    )
  })

  for (const { reason, status, outcome, meaning, advice } of ROWS) {
    it(`says of ${reason} what the code does, what it means and what to do`, () => {
      const row = REASONS[reason as Reason]
      assert.deepEqual([status, outcome], [String(row.status), row.outcome])
      assert.match(meaning, /^[A-Z`].*\.$/)
      assert.match(advice, /^[A-Z`].*[.?]$/)
    })
  }

  it('shows an answer as it is', () => {
    const [, json = ''] = /```json\n([^`]*)```/.exec(DOCS) ?? []
    const example = JSON.parse(json) as Record<string, unknown>
    const { status, outcome, title } = REASONS[example['reason'] as Reason]
    assert.partialDeepStrictEqual(example, { status, outcome, title })
  })
})

describe('the table of reasons', () => {
  it('answers with statuses that exist, and 499 where nobody reads it', () => {
    for (const [reason, { status, outcome }] of Object.entries(REASONS)) {
      if (outcome === 'client_closed') assert.equal(status, 499, reason)
      else assert.ok(STATUS_CODES[status], reason)
      if (outcome === 'fault') assert.ok(status >= 500, reason)
    }
  })

  it('says in its titles nothing of what is inside', () => {
    for (const { title } of Object.values(REASONS)) assert.match(title, /^[A-Z][A-Za-z ()]+$/)
  })

  it('knows which reasons are faults', () => {
    const faults = Object.entries(REASONS).filter(([, { outcome }]) => outcome === 'fault')
    assert.deepEqual(
      FAULT_REASONS,
      faults.map(([reason]) => reason),
    )
  })
})
