import assert from 'node:assert/strict'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('requests to several targets', () => {
  let targets: RunningUpstream[]
  let pipeline: Pipeline

  beforeEach(async () => {
    targets = [await startUpstream(), await startUpstream(), await startUpstream()]
  })
  afterEach(async () => {
    await pipeline.stop()
    await Promise.all(targets.map(target => target.stop()))
  })

  async function start(upstream: object): Promise<void> {
    pipeline = await startPipeline(proxyTo('', { upstream: { targets: targets.map(({ url }) => url), ...upstream } }))
  }

  function counts(): number[] {
    return targets.map(({ requests }) => requests.length)
  }

  it('are distributed by weight', async () => {
    await start({ targets: targets.map(({ url }, index) => ({ url, weight: index + 1 })) })
    for (let i = 0; i < 12; i++) await send(pipeline.port, '/app')
    assert.deepEqual(counts(), [2, 4, 6])
  })

  it('prefer the target with fewer requests in flight with least-requests', async () => {
    targets[0]!.handler = () => undefined // accepts requests and never answers
    await start({ balance: 'least-requests', targets: targets.slice(0, 2).map(({ url }) => url) })
    // Until the first target has a request in flight, both are equally busy.
    while (counts()[0] === 0) {
      const before = counts()[1]!
      const sent = send(pipeline.port, '/app').catch(() => undefined) // ends with the pipeline
      await until(() => counts()[0]! > 0 || counts()[1]! > before, { what: 'it arrives' })
      if (counts()[0] === 0) await sent
    }
    const before = counts()
    for (let i = 0; i < 20; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.deepEqual(counts(), [before[0], before[1]! + 20, 0])
  })

  it('of one tenant go to the same target with hash, and to another when that one is down', async () => {
    await start({ balance: 'hash', hashKey: 'header:x-tenant', retries: { attempts: 2 } })
    const ask = async (): Promise<number> =>
      (await send(pipeline.port, { path: '/app', headers: { 'x-tenant': 'blue' } })).status
    for (let i = 0; i < 9; i++) assert.equal(await ask(), 200)
    const home = targets.find(({ requests }) => requests.length === 9)!
    assert.ok(home, counts().join(' '))
    await home.stop()
    for (let i = 0; i < 9; i++) assert.equal(await ask(), 200)
    assert.deepEqual(
      counts().toSorted((a, b) => a - b),
      [0, 9, 9],
    )
  })
})
