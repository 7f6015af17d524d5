import assert from 'node:assert/strict'
import { gatherEvidence } from '../../../../src/incidents/evidence/gather'
import { PrometheusClient } from '../../../../src/incidents/evidence/prometheus'
import { startUpstream, type RunningUpstream } from '../../../support/start-upstream'

const NOW = Date.now()

describe('the evidence of many alerts at once', () => {
  let prometheus: RunningUpstream

  beforeEach(async () => {
    prometheus = await startUpstream((request, response) => {
      request.resume()
      const data = request.url?.includes('exemplars') === true ? [] : { result: [] }
      response.end(JSON.stringify({ status: 'success', data }))
    })
  })
  afterEach(async () => {
    await prometheus.stop()
  })

  it('asks for no more than that of one of them, when they are about the same', async () => {
    const questions = async (alerts: number): Promise<number> => {
      const client = new PrometheusClient(prometheus.url)
      const before = prometheus.requests.length
      const names = Array.from({ length: alerts }, (_, index) => `Alert${index}`)
      await Promise.all(names.map(async name => gather(name, client)))
      return prometheus.requests.length - before
    }
    const one = await questions(1)
    assert.ok(one > 5, `${one} questions`)
    assert.equal(await questions(100), one)
  })
})

async function gather(alertname: string, prometheus: PrometheusClient): Promise<void> {
  const alert = {
    labels: { alertname, component: 'gateway', family: 'faults', http_route: '/orders' },
    annotations: { exemplar_query: 'x' },
    startsAt: new Date(NOW - 30_000).toISOString(),
    endsAt: undefined,
    generatorURL: '',
  }
  const shown = { clients: false, consumers: false, headers: [] }
  const options = { prometheus, gatewayJob: 'myesi-api', opsToken: undefined, opsTokenHosts: [], backends: [], shown }
  const { missing } = await gatherEvidence(alert, options, NOW)
  assert.deepEqual(missing, [])
}
