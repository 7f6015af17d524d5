import assert from 'node:assert/strict'
import { fetchCurve, planCurve } from '../../../../src/incidents/evidence/curve'
import type { PrometheusClient, Series } from '../../../../src/incidents/evidence/prometheus'
import { alertOf } from '../record/alerts'

const SIGNAL = new AbortController().signal
type Asked = Parameters<PrometheusClient['queryRange']>

function prometheus(
  answer: (expression: string) => Series[],
): Pick<PrometheusClient, 'queryRange'> & { asked: Asked[] } {
  const asked: Asked[] = []
  return {
    asked,
    queryRange: async (...question) => {
      asked.push(question)
      return answer(question[0])
    },
  }
}

function series(points: Series['points']): Series[] {
  return [{ labels: {}, points }]
}

describe('the curve of an alert', () => {
  it('of faults is what failed on its route and upstream, beside all requests there', () => {
    const plan = planCurve(alertOf())
    assert.equal(plan?.what, 'failed requests, /orders')
    assert.equal(plan.unit, 'per second')
    assert.deepEqual(
      plan.lines.map(({ expression }) => expression),
      [
        'sum(rate(gateway_requests_total{gateway_outcome="fault",job="myesi-api",http_route="/orders",gateway_upstream_name="orders"}[1m]))',
        'sum(rate(gateway_requests_total{job="myesi-api",http_route="/orders",gateway_upstream_name="orders"}[1m]))',
      ],
    )
  })

  it('of slow answers is their 95th percentile and median, without those that failed', () => {
    const plan = planCurve(alertOf({ family: 'latency' }))
    assert.equal(plan?.unit, 'seconds')
    assert.match(plan.lines[0]?.expression ?? '', /^histogram_quantile\(0\.95, .*http_response_status_code!~"5\.\."/)
    assert.doesNotMatch(plan.lines[0]?.expression ?? '', /gateway_upstream_name/, 'the histogram has no such label')
  })

  it('of Redis is what its alert looks at', () => {
    for (const [family, unit] of [
      ['redis', 'on or off'],
      ['redis-memory', 'share'],
      ['redis-connections', 'share'],
      ['rate-limit-store', 'on or off'],
    ] as const) {
      assert.equal(planCurve(alertOf({ component: 'redis', family }))?.unit, unit, family)
    }
  })

  it('is not there for what has no numbers', () => {
    for (const family of ['up', 'configuration', 'constructor', '__proto__']) {
      assert.equal(planCurve(alertOf({ component: 'monitoring', family })), undefined, family)
    }
  })

  it('cannot be led elsewhere by a label', () => {
    const route = '/a",job="other"} or vector(1) #'
    for (const { expression } of planCurve(alertOf({ http_route: route }))?.lines ?? []) {
      assert.ok(expression.includes(`http_route=${JSON.stringify(route)}`), expression)
    }
  })

  it('has its points on equal steps, nothing where Prometheus has nothing, and few digits', async () => {
    const source = prometheus(expression => {
      const points = [
        [0, 1 / 3],
        [1, NaN],
        [3, Infinity],
        [4, 2],
      ] as const
      return expression.includes('fault') ? series(points) : []
    })
    const curve = await fetchCurve(alertOf(), { startMs: 0, endMs: 4_500 }, source, SIGNAL)
    assert.deepEqual(curve, {
      what: 'failed requests, /orders',
      unit: 'per second',
      startMs: 0,
      stepMs: 1_000,
      lines: [
        { name: 'failed requests', values: [0.3333, null, null, null, 2] },
        { name: 'all requests', values: [null, null, null, null, null] },
      ],
    })
  })

  it('has no more than 162 points, however long the time', async () => {
    for (const minutes of [1, 10, 75, 60 * 24 * 30]) {
      const source = prometheus(() => series([[0, 1]]))
      const curve = await fetchCurve(alertOf(), { startMs: 0, endMs: minutes * 60_000 }, source, SIGNAL)
      assert.ok((curve?.lines[0]?.values.length ?? 0) <= 162, `${minutes} min`)
      assert.equal(source.asked[0]?.[1].stepMs, curve?.stepMs)
    }
  })

  it('is not there when Prometheus knows nothing of what the alert is about', async () => {
    for (const found of [[], series([]), series([[0, NaN]])]) {
      const source = prometheus(expression => (expression.includes('fault') ? found : series([[0, 1]])))
      assert.equal(await fetchCurve(alertOf(), { startMs: 0, endMs: 60_000 }, source, SIGNAL), undefined)
    }
  })
})
