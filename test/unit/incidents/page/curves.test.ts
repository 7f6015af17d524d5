import assert from 'node:assert/strict'
import type { Series } from '../../../../src/incidents/evidence/prometheus'
import { curveRange, curvesOf, type AskedPrometheus } from '../../../../src/incidents/page/curves'
import type { Incident } from '../../../../src/incidents/record/incident'
import { alertRecord, BEGAN, incidentRecord, REPLICA } from '../../../support/incident-record'

const NOW = BEGAN + 360_000
const MINUTE = 60_000

/** Answers with a flat line and one exemplar. */
const ANSWERS: AskedPrometheus = {
  queryRange: async (_, { startMs }): Promise<Series[]> => [{ labels: {}, points: [[startMs / 1_000, 7]] }],
  queryExemplars: async () => [
    { series: { instance: 'a' }, traceId: 'f'.repeat(32), value: 0.2, timeMs: NOW - 20_000 },
    { series: { instance: 'b' }, traceId: 'e'.repeat(32), value: 0.2, timeMs: NOW - 120_000 },
    { series: { instance: 'a' }, traceId: 'f'.repeat(32), value: 0.2, timeMs: NOW - 20_000 },
  ],
  query: async () => [{ labels: { instance: 'a', url: REPLICA }, value: 1 }],
}

function curves(
  incident: Incident,
  sinceMs: number,
  prometheus: AskedPrometheus,
  now: number,
): ReturnType<typeof curvesOf> {
  return curvesOf(incident, sinceMs, { prometheus, gatewayJob: 'myesi-api' }, now)
}

describe('the curves of an incident', () => {
  it('are those of Prometheus now, with the requests it knows and where they were recorded', async () => {
    const [found] = await curves(incidentRecord(), BEGAN, ANSWERS, NOW)
    assert.equal(found?.curve?.lines[0]?.values[0], 7)
    assert.equal(found.note, undefined)
    assert.deepEqual(
      found.exemplars.map(({ traceId, replicaUrl }) => [traceId.charAt(0), replicaUrl]),
      [
        ['e', undefined],
        ['f', REPLICA],
      ],
    )
  })

  it('have forty dots at the most, from the beginning to the end', async () => {
    const exemplars = Array.from({ length: 1_000 }, (_, index) => ({
      series: {},
      traceId: index.toString(16).padStart(32, '0'),
      value: 0.1,
      timeMs: BEGAN + index * 300,
    }))
    const busy = { ...ANSWERS, queryExemplars: async () => exemplars }
    const [found] = await curves(incidentRecord(), BEGAN, busy, NOW)
    const times = found?.exemplars.map(({ timeMs }) => timeMs - BEGAN) ?? []
    assert.ok(times.length > 10 && times.length <= 40, `${times.length}`)
    assert.ok(Math.min(...times) < 30_000 && Math.max(...times) > 290_000)
  })

  it('leave out no request while there are few, however long ago it was', async () => {
    const exemplars = [0, 1, 2].map(index => ({
      series: {},
      traceId: `${index}`.repeat(32),
      value: 0.1,
      timeMs: BEGAN + index * 1_000,
    }))
    const few = { ...ANSWERS, queryExemplars: async () => exemplars }
    const [found] = await curves(incidentRecord(), BEGAN, few, BEGAN + 50 * MINUTE)
    assert.equal(found?.exemplars.length, 3)
  })

  it('are drawn once for alerts about the same numbers, and three at the most', async () => {
    const routes = ['/orders', '/orders', '/b', '/c', '/d']
    const alerts = routes.map(route => alertRecord({ http_route: route }))
    const found = await curves(incidentRecord({ alerts }), BEGAN, ANSWERS, NOW)
    assert.deepEqual(
      found.map(curve => curve.alerts.length),
      [2, 1, 1],
    )
  })

  it('are not there for alerts without numbers', async () => {
    const alerts = [alertRecord({ component: 'monitoring', family: 'up' })]
    assert.deepEqual(await curves(incidentRecord({ alerts }), BEGAN, ANSWERS, NOW), [])
  })

  it('are the recorded ones when Prometheus fails or does not know them any more, and say so', async () => {
    const failing = async (): Promise<never> => Promise.reject(new Error('refused'))
    const down = { query: failing, queryRange: failing, queryExemplars: failing }
    const forgetful = { ...ANSWERS, queryRange: async () => [] }
    for (const [prometheus, note] of [
      [down, /does not answer/],
      [forgetful, /no data for that time/],
    ] as const) {
      const [found] = await curves(incidentRecord(), BEGAN, prometheus, NOW)
      assert.deepEqual(found?.curve, alertRecord().evidence?.curve)
      assert.match(found?.note ?? '', note)
    }
  })

  it('are missing when nobody has them, which is said too', async () => {
    const alerts = [alertRecord({}, { evidence: undefined })]
    const forgetful = { ...ANSWERS, queryRange: async () => [] }
    const [found] = await curves(incidentRecord({ alerts }), BEGAN, forgetful, NOW)
    assert.equal(found?.curve, undefined)
    assert.match(found?.note ?? '', /no data for that time/)
  })

  it('do not wait for a Prometheus that hangs', async () => {
    const hanging: AskedPrometheus = {
      query: (_, __, signal) => never(signal),
      queryRange: (_, __, signal) => never(signal),
      queryExemplars: (_, __, ___, signal) => never(signal),
    }
    const startedAt = performance.now()
    const [found] = await curves(incidentRecord(), BEGAN, hanging, NOW)
    assert.ok(performance.now() - startedAt < 3_000)
    assert.match(found?.note ?? '', /does not answer/)
  })
})

describe('the time that a curve shows', () => {
  it('is from before the start until now', () => {
    assert.deepEqual(curveRange(incidentRecord(), BEGAN, NOW), { startMs: BEGAN - 10 * MINUTE, endMs: NOW })
  })

  it('ends a little after the end, and an hour after the start at the latest', () => {
    const over = incidentRecord({ closedAtMs: BEGAN + 20 * MINUTE })
    assert.equal(curveRange(over, BEGAN, BEGAN + 300 * MINUTE).endMs, BEGAN + 25 * MINUTE)
    assert.equal(curveRange(over, BEGAN, BEGAN + 21 * MINUTE).endMs, BEGAN + 21 * MINUTE)
    assert.equal(curveRange(incidentRecord(), BEGAN, BEGAN + 300 * MINUTE).endMs, BEGAN + 60 * MINUTE)
  })
})

function never(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('no answer in time')))
  })
}
