import assert from 'node:assert/strict'
import type { Sample } from '../../../../src/incidents/evidence/prometheus'
import { countStatuses, rankStatuses, statusesInWords } from '../../../../src/incidents/evidence/statuses'
import { alertOf, NOW } from '../record/alerts'

const WINDOW = { startMs: NOW - 300_000, endMs: NOW }

describe('the statuses of affected requests', () => {
  it('are what the counters grew by, those born in between from nothing, the most frequent first', async () => {
    const prometheus = counters({
      'error_type!=""': { before: { 502: 10 }, after: { 502: 26, 500: 40 } },
      gateway_requests_total: { before: { ok: 1_000 }, after: { ok: 3_310 } },
    })
    const found = await countStatuses(alertOf(), WINDOW, prometheus, AbortSignal.timeout(1_000))
    assert.equal(statusesInWords(found), '500 in 40, 502 in 16 of 2310 requests that were let through')
  })

  it('of faults are a part of the requests that were let through, as in the rule; the others are named', async () => {
    const prometheus = counters({
      'error_type!=""': { before: {}, after: { 500: 100 } },
      gateway_requests_total: { before: { fault: 0, refusal: 0 }, after: { fault: 100, refusal: 400 } },
    })
    const found = await countStatuses(alertOf(), WINDOW, prometheus, AbortSignal.timeout(1_000))
    assert.equal(
      statusesInWords(found),
      '500 in 100 of 100 requests that were let through (400 more were refused or given up)',
    )
  })

  it('of refusals are those of the clients, not those of a limit, which has an alert of its own', async () => {
    const asked: string[] = []
    const prometheus = counters({}, asked)
    await countStatuses(alertOf({ family: 'refusals' }), WINDOW, prometheus, AbortSignal.timeout(1_000))
    assert.ok(asked.some(expression => expression.includes('=~"4..|503",http_response_status_code!="429"')))
    assert.equal(
      asked.some(expression => expression.includes('gateway_upstream_name')),
      false,
      'there is no such label',
    )
  })

  it('are not asked for where an alert is about something else', async () => {
    for (const family of ['latency', 'rate-limit', 'load', 'configuration', '__proto__']) {
      const asked: string[] = []
      const found = await countStatuses(alertOf({ family }), WINDOW, counters({}, asked), AbortSignal.timeout(1_000))
      assert.deepEqual([found, asked], [[], []], family)
    }
  })

  it('are six at the most, and never more than all', () => {
    const counts = Array.from({ length: 20 }, (_, i) => ({
      labels: { http_response_status_code: `${500 + i}` },
      value: i,
    }))
    const ranked = rankStatuses(counts, 1)
    assert.deepEqual(
      ranked.map(({ status }) => status),
      ['519', '518', '517', '516', '515', '514'],
    )
    assert.equal(ranked[0]?.total, 190)
  })
})

interface Grown {
  readonly before: Readonly<Record<string, number>>
  readonly after: Readonly<Record<string, number>>
}

/** Prometheus with counters by a part of their selector, which grew within the window. */
function counters(grown: Readonly<Record<string, Grown>>, asked: string[] = []) {
  return {
    async query(expression: string, timeMs: number): Promise<Sample[]> {
      asked.push(expression)
      const { before = {}, after = {} } = Object.entries(grown).find(([part]) => expression.includes(part))?.[1] ?? {}
      return Object.entries(timeMs === WINDOW.endMs ? after : before).map(([status, value]) => ({
        labels: { [/^\d/.test(status) ? 'http_response_status_code' : 'gateway_outcome']: status },
        value,
      }))
    },
  }
}
