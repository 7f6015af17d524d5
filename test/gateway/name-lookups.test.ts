import assert from 'node:assert/strict'
import dns from 'node:dns'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

type Answer = readonly string[] | 'hangs' | 'ENOTFOUND' | 'EAI_AGAIN'
type Lookup = (name: string, options: object, callback: (error: Error | null, addresses: unknown[]) => void) => void

describe('a target that is a host name', () => {
  const original = dns.lookup
  const names = new Map<string, Answer>()
  let lookups: number
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(() => {
    // Replaces the system's resolver, because a test cannot make that one fail.
    const lookup: Lookup = (name, _options, callback) => {
      const answer = names.get(name)
      if (answer === undefined) return (original as Lookup)(name, _options, callback)
      lookups++
      if (answer === 'hangs') return
      setImmediate(() => {
        if (typeof answer !== 'string')
          callback(
            null,
            answer.map(address => ({ address, family: 4 })),
          )
        else callback(Object.assign(new Error(`${answer} ${name}`), { code: answer }), [])
      })
    }
    dns.lookup = lookup as typeof dns.lookup
  })
  after(() => {
    dns.lookup = original
  })

  beforeEach(async () => {
    names.clear()
    lookups = 0
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function start(name: string, others: readonly string[] = []): Promise<void> {
    const targets = [`http://${name}:${upstream.port}`, ...others]
    pipeline = await startPipeline(proxyTo('', { upstream: { targets, connectionLifetime: '20ms' } }))
  }

  async function statuses(count: number): Promise<number[]> {
    const seen: number[] = []
    for (let i = 0; i < count; i++) seen.push((await send(pipeline.port, '/app')).status)
    return seen
  }

  /** New connections are opened all the time, because each lasts 20 ms. */
  async function allPass(): Promise<void> {
    const before = lookups
    await until(
      async () => {
        assert.deepEqual([...new Set(await statuses(5))], [200])
        return lookups >= before + 5
      },
      { what: 'further look-ups' },
    )
  }

  for (const failure of ['ENOTFOUND', 'EAI_AGAIN'] as const) {
    it(`keeps its last address while look-ups fail with ${failure}, and logs it once`, async () => {
      names.set('app.test', ['127.0.0.1'])
      await start('app.test')
      await allPass()
      names.set('app.test', failure)
      await until(() => pipeline.upstreams()[0]?.targets[0]?.name?.lastFailure === failure, { what: 'it is shown' })
      await allPass()
      assert.deepEqual(pipeline.upstreams()[0]?.targets[0]?.name?.addresses, ['127.0.0.1'])
      names.set('app.test', ['127.0.0.1'])
      await until(() => pipeline.upstreams()[0]?.targets[0]?.name?.lastFailure === null, { what: 'it resolves again' })
      assert.deepEqual(
        pipeline.logs.filter(({ event }) => event === 'upstream').map(({ level, msg }) => [level, msg]),
        [
          ['warn', 'name of target does not resolve: last addresses kept'],
          ['info', 'name of target resolved again'],
        ],
      )
    })
  }

  it('is not delayed by a name server that does not answer', async () => {
    names.set('app.test', ['127.0.0.1'])
    await start('app.test')
    await until(() => pipeline.upstreams()[0]?.targets[0]?.name?.addresses.length === 1, { what: 'it is resolved' })
    names.set('app.test', 'hangs')
    const started = performance.now()
    while (performance.now() - started < 200) assert.deepEqual(await statuses(1), [200])
    assert.ok(upstream.requests.length > 10)
  })

  it('follows a change of its address', async () => {
    names.set('app.test', ['127.0.0.1'])
    await start('app.test')
    await allPass()
    const moved = await startUpstreamAt('127.0.0.2', upstream.port)
    names.set('app.test', ['127.0.0.2'])
    await until(async () => (await statuses(1))[0] === 200 && moved.requests > 0, { what: 'the new one is asked' })
    await moved.stop()
  })

  it('is tried at its second address if the first refuses connections', async () => {
    names.set('app.test', ['127.0.0.3', '127.0.0.1'])
    await start('app.test')
    await allPass()
  })

  it('causes no failed request while it cannot be resolved and another target is available', async () => {
    names.set('gone.test', 'ENOTFOUND')
    await start('gone.test', [upstream.url])
    assert.deepEqual([...new Set(await statuses(20))], [200])
    assert.equal(pipeline.upstreams()[0]?.targets[0]?.healthy, false)
  })

  it('causes no failed request when its name is lost and its address is dead, if another is available', async () => {
    const other = await startUpstream()
    names.set('app.test', ['127.0.0.1'])
    await start('app.test', [other.url])
    await allPass()
    names.set('app.test', 'ENOTFOUND')
    await upstream.stop()
    assert.deepEqual([...new Set(await statuses(40))], [200])
    await other.stop()
  })

  it('causes 502 dns if it was never resolved', async () => {
    names.set('gone.test', 'ENOTFOUND')
    await start('gone.test')
    assert.deepEqual(await statuses(1), [502])
    assert.equal((await pipeline.ended(1))[0]?.reason, 'dns')
  })

  it('is tried at its new address as soon as its name resolves to one', async () => {
    names.set('app.test', ['127.0.0.3'])
    const other = await startUpstream()
    pipeline = await startPipeline(
      proxyTo('', { upstream: { targets: [`http://app.test:${upstream.port}`, other.url] } }),
    )
    assert.deepEqual([...new Set(await statuses(4))], [200])
    assert.equal(upstream.requests.length, 0)
    names.set('app.test', ['127.0.0.1'])
    await until(async () => (await statuses(1))[0] === 200 && upstream.requests.length > 0, { what: 'it is asked' })
    await other.stop()
  })
})

async function startUpstreamAt(host: string, port: number): Promise<{ requests: number; stop(): Promise<void> }> {
  const { createServer } = await import('node:http')
  const started = { requests: 0, stop: async () => undefined as void }
  const server = createServer((_request, response) => {
    started.requests++
    response.end('moved')
  })
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  started.stop = () =>
    new Promise(resolve => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return started
}
