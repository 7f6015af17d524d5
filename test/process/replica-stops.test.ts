import assert from 'node:assert/strict'
import { balanceLoad } from '../support/load-balancer'
import { startGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { bodyOf, startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('stopping one of two replicas behind a load balancer', () => {
  it('fails no request', async () => {
    const upstream = await startUpstream((request, response) => {
      void bodyOf(request).then(body => setTimeout(() => response.end(body), Math.random() * 20))
    })
    const options = { config: JSON.stringify(proxyTo(upstream.url)), env: { SHUTDOWN_DELAY_MS: '1000' } }
    const replicas = await Promise.all([startGateway(options), startGateway(options)])
    const load = balanceLoad(replicas, 8, '/app')
    const served = (replica: number): number => load.answers.filter(answer => answer.replica === replica).length
    await until(() => served(0) > 50 && served(1) > 50, { what: 'both serve' })

    const [stopped] = replicas
    stopped.process.signal('SIGTERM')
    assert.deepEqual(await stopped.process.exited, { code: 0, signal: null })
    const before = served(1)
    await until(() => served(1) > before + 100, { what: 'the other one goes on' })
    await load.stop()

    const failed = load.answers.filter(({ status, text }) => status !== 200 || text !== 'once')
    assert.deepEqual(failed, [])
    // Each replica finished all of its own requests.
    const told = stopped.logs.filter(({ event }) => event === 'request')
    assert.equal(told.length, served(0))
    assert.ok(told.every(({ outcome }) => outcome === 'ok'))
    await replicas[1].stop()
    await upstream.stop()
  }).timeout(60_000)
})
