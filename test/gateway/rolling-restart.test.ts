import assert from 'node:assert/strict'
import { proxyTo, startPipeline } from '../support/start-pipeline'
import { startUpstream } from '../support/start-upstream'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'

describe('targets that are killed one after the other', () => {
  it('cost no request where the upstream has retries', async () => {
    const targets = await Promise.all(Array.from({ length: 3 }, () => startUpstream()))
    const urls = targets.map(({ url }) => url)
    const upstream = { targets: urls, retries: { attempts: 3 }, circuitBreaker: { openFor: '100ms' } }
    const pipeline = await startPipeline(proxyTo('', { upstream }))
    const load = startLoad(pipeline.port, 4)
    for (const [index, target] of targets.entries()) {
      await target.stop() // with every connection, in the middle of whatever it does
      const { length } = load.answers
      await until(() => load.answers.length > length + 100, { what: 'requests while it is down' })
      const again = await startUpstream(undefined, { port: target.port })
      targets[index] = again
      await until(() => again.requests.length > 20, { what: 'it gets requests again' })
    }
    await load.stop()
    await pipeline.stop()
    await Promise.all(targets.map(target => target.stop()))
    assert.deepEqual(
      load.answers.filter(({ status, text }) => status !== 200 || text !== 'ok'),
      [],
    )
    assert.equal(new Set(pipeline.logs.filter(line => line['circuit'] === 'open').map(line => line['target'])).size, 3)
  })
})
