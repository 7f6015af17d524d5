import assert from 'node:assert/strict'
import { findLoad, loadInWords } from '../../../../src/incidents/evidence/load'
import { planCurve } from '../../../../src/incidents/evidence/curve'
import { alertOf, NOW } from '../record/alerts'

const WINDOW = { startMs: NOW - 300_000, endMs: NOW }

describe('the load of a gateway that turns requests away', () => {
  it('is the most requests at once and the latest event loop, of that gateway alone', async () => {
    const asked: string[] = []
    const query = async (expression: string) => {
      asked.push(expression)
      return [{ labels: {}, value: expression.includes('active_requests') ? 812 : 0.64 }]
    }
    const load = await findLoad(shedding(), WINDOW, { query }, AbortSignal.timeout(1_000))
    assert.deepEqual(load, { activeRequests: 812, eventLoopDelay: 0.64 })
    assert.equal(loadInWords(load), 'up to 812 requests at once, the event loop up to 640 ms late')
    for (const expression of asked) assert.match(expression, /\{job="myesi-api",instance="gateway:9464"\}/)
  })

  it('is left out as far as Prometheus has nothing', async () => {
    const load = await findLoad(shedding(), WINDOW, { query: async () => [] }, AbortSignal.timeout(1_000))
    assert.equal(load && loadInWords(load), '')
  })

  it('is not asked for of other alerts', async () => {
    const query = async (): Promise<never> => assert.fail('nobody asked')
    assert.equal(await findLoad(alertOf(), WINDOW, { query }, AbortSignal.timeout(1_000)), undefined)
  })

  it('has a curve: what that gateway turned away, beside all that it got', () => {
    const plan = planCurve(shedding())
    assert.equal(plan?.what, 'requests turned away, gateway:9464')
    assert.deepEqual(
      plan.lines.map(({ expression }) => expression),
      [
        'sum(rate(gateway_requests_total{gateway_reason="shed",job="myesi-api",instance="gateway:9464"}[1m]))',
        'sum(rate(gateway_requests_total{job="myesi-api",instance="gateway:9464"}[1m]))',
      ],
    )
  })
})

function shedding() {
  const labels = { component: 'gateway', family: 'load', job: 'myesi-api', instance: 'gateway:9464' }
  return { ...alertOf(), labels }
}
