import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('ejection', () => {
  let targets: RunningUpstream[]
  let statuses: number[]
  let pipeline: Pipeline

  beforeEach(async () => {
    statuses = [500, 200, 200]
    targets = await Promise.all(
      statuses.map((_, index) =>
        startUpstream(({ url }, response) => {
          response.writeHead(url === '/app/broken' ? 500 : statuses[index]!).end()
        }),
      ),
    )
  })
  afterEach(async () => {
    await pipeline.stop()
    await Promise.all(targets.map(target => target.stop()))
  })

  async function start(count: number, upstream: object = {}): Promise<void> {
    const urls = targets.slice(0, count).map(({ url }) => url)
    pipeline = await startPipeline(proxyTo('', { upstream: { targets: urls, ...upstream } }))
  }

  async function failures(requests: number, path = '/app'): Promise<number> {
    let failed = 0
    for (let i = 0; i < requests; i++) if ((await send(pipeline.port, path)).status !== 200) failed++
    return failed
  }

  for (const count of [2, 3]) {
    it(`costs five failures when one of ${count} targets answers 500 to every request`, async () => {
      await start(count)
      assert.equal(await failures(60), 5)
      const line = pipeline.logs.find(({ circuit }) => circuit === 'open')
      assert.partialDeepStrictEqual(line, { level: 'warn', target: targets[0]!.url })
    })
  }

  it('does not happen while all targets answer 500, because then the service is at fault', async () => {
    statuses = [500, 500, 500]
    await start(3)
    await failures(60)
    assert.equal(pipeline.logs.filter(({ circuit }) => circuit === 'open').length, 0)
    assert.deepEqual(
      targets.map(({ requests }) => requests.length),
      [20, 20, 20],
    )
  })

  it('does not happen for one path that fails on every target', async () => {
    statuses = [200, 200, 200]
    await start(2)
    for (let i = 0; i < 20; i++) {
      await failures(2)
      await failures(2, '/app/broken')
    }
    assert.equal(pipeline.logs.filter(({ circuit }) => circuit === 'open').length, 0)
  })

  it('keeps at least the share of targets that panicThreshold requires', async () => {
    statuses = [500, 500, 200]
    await start(3)
    await failures(60)
    assert.equal(pipeline.upstreams()[0]?.targets.filter(({ healthy }) => !healthy).length, 1)
  })

  it('ends when the first request after the ejection time succeeds', async () => {
    await start(2, { ejection: { failures: 2, for: '100ms' } })
    assert.equal(await failures(10), 2)
    statuses[0] = 200
    await until(async () => (await failures(1)) === 0 && pipeline.upstreams()[0]!.targets[0]!.circuit === 'closed', {
      what: 'the target is reinstated',
    })
    assert.ok(pipeline.logs.some(({ circuit }) => circuit === 'closed'))
    assert.equal(await failures(10), 0)
  })

  it('follows the thresholds of the file, and can be turned off', async () => {
    await start(2, { ejection: { conditions: ['connect'] } })
    assert.equal(await failures(40), 20)
    await pipeline.stop()
    await start(2, { ejection: { failures: 0 } })
    assert.equal(await failures(40), 20)
  })

  it('of a target that refused a connection ends with a passing health check', async () => {
    const port = await freePort()
    pipeline = await startPipeline(
      proxyTo('', {
        upstream: {
          targets: [`http://127.0.0.1:${port}`, targets[1]!.url],
          healthCheck: { path: '/healthz', interval: '20ms', unhealthyAfter: 100 },
        },
      }),
    )
    assert.equal(await failures(4), 0)
    assert.equal(pipeline.upstreams()[0]?.targets[0]?.circuit, 'open')
    const back = await startUpstream(undefined, { port })
    await until(() => pipeline.upstreams()[0]?.targets[0]?.circuit === 'closed', { what: 'it is reinstated' })
    assert.ok(
      back.requests.every(({ url }) => url === '/healthz'),
      'no request had to show it',
    )
    await back.stop()
  })

  it('of a target that refused a connection ends when it accepts one, without any request', async () => {
    const port = await freePort()
    const urls = [`http://127.0.0.1:${port}`, targets[1]!.url]
    pipeline = await startPipeline(proxyTo('', { upstream: { targets: urls } }))
    assert.equal(await failures(4), 0)
    const back = await startUpstream(undefined, { port })
    await until(() => pipeline.upstreams()[0]?.targets[0]?.circuit === 'half_open', { what: 'a connection was seen' })
    assert.equal(back.requests.length, 0)
    assert.equal(await failures(4), 0)
    assert.equal(pipeline.upstreams()[0]?.targets[0]?.circuit, 'closed')
    await back.stop()
  })
})
