import assert from 'node:assert/strict'
import { findLastFailure } from '../../../../src/incidents/evidence/last-failure'
import type { PrometheusClient } from '../../../../src/incidents/evidence/prometheus'

const ALERT = {
  labels: { component: 'gateway', family: 'faults', http_route: '/orders' },
  annotations: { exemplar_query: 'x' },
}
const RANGE = { startMs: 1_000_000, endMs: 1_600_000 }

describe('the last failure', () => {
  it('is where the counter rose last, by the millisecond of its exemplar', async () => {
    const points = [1_000, 1_005, 1_010, 1_015, 1_600].map(
      (time, index) => [time, [0, 0, 3, 7, 7][index] ?? 0] as const,
    )
    assert.equal(await lastOf(points, []), 1_015_000)
    assert.equal(await lastOf(points, [1_008_000, 1_012_345, 1_500_000]), 1_012_345)
    assert.equal(await lastOf(points, [900_000]), 1_015_000, 'an older failure has an exemplar, the last has none')
  })

  it('is not a restart of the counter, and of none there is none', async () => {
    assert.equal(
      await lastOf(
        [
          [1_000, 9],
          [1_010, 0],
        ],
        [],
      ),
      undefined,
    )
    assert.equal(await lastOf([], []), undefined)
    assert.equal(
      await lastOf(
        [
          [1_000, 1],
          [1_010, 2],
        ],
        [],
        { ...ALERT, labels: { component: 'redis' } },
      ),
      undefined,
    )
  })
})

async function lastOf(
  points: readonly (readonly [number, number])[],
  exemplars: readonly number[],
  alert: Parameters<typeof findLastFailure>[0] = ALERT,
): Promise<number | undefined> {
  const prometheus: Pick<PrometheusClient, 'queryRange' | 'queryExemplars'> = {
    queryRange: async () => [{ labels: {}, points }],
    queryExemplars: async () => exemplars.map(timeMs => ({ series: {}, traceId: '', value: 0, timeMs })),
  }
  return findLastFailure(alert, RANGE, prometheus, AbortSignal.timeout(1_000))
}
