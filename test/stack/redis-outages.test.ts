import assert from 'node:assert/strict'
import { askRedis } from '../support/ask-redis'
import { startDelayingProxy, type DelayingProxy } from '../support/delaying-proxy'
import { needs } from '../support/needs'
import { send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const DEGRADED = 'x-ratelimit-degraded'
const LIMIT = 20

interface Outage {
  fail(redis: RunningRedis, proxy: DelayingProxy): Promise<unknown>
  mend(redis: RunningRedis, proxy: DelayingProxy): Promise<unknown>
}

/** Ways in which Redis fails, and how each one is ended. */
const OUTAGES: Readonly<Record<string, Outage>> = {
  'killed, and started again empty': { fail: redis => redis.kill(), mend: redis => redis.startAgain() },
  frozen: { fail: async redis => redis.freeze(), mend: async redis => redis.thaw() },
  'slow by 2 s': {
    fail: async (_, proxy) => (proxy.delayMs = 2_000),
    mend: async (_, proxy) => (proxy.delayMs = 0),
  },
  full: {
    fail: redis => askRedis(redis.url, client => client.config('SET', 'maxmemory', '1')),
    mend: redis => askRedis(redis.url, client => client.config('SET', 'maxmemory', '0')),
  },
  'a read-only replica': {
    fail: redis => askRedis(redis.url, client => client.replicaof('127.0.0.1', 1)),
    mend: redis => askRedis(redis.url, client => client.replicaof('NO', 'ONE')),
  },
}

describe('a Redis outage', () => {
  let upstream: RunningUpstream
  let redis: RunningRedis
  let proxy: DelayingProxy
  let pipelines: Pipeline[] = []

  before(needs('redis-server'))
  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(async () => {
    redis = await startRedis()
    proxy = await startDelayingProxy(redis.port)
  })
  afterEach(async () => {
    await Promise.all(pipelines.map(pipeline => pipeline.stop()))
    pipelines = []
    await proxy.stop()
    redis.thaw()
    await redis.kill()
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(rateLimit: object, replicas = 1): Promise<void> {
    const route = { rateLimit: { window: '10m', ...rateLimit } }
    const one = (): Promise<Pipeline> =>
      startPipeline(proxyTo(upstream.url, { route }), { redisUrl: proxy.url, replicas })
    pipelines = await Promise.all(Array.from({ length: replicas }, one))
    await untilUsable(true)
  }
  const untilUsable = (usable: boolean): Promise<unknown> =>
    until(() => pipelines.every(({ redis }) => redis === undefined || redis.isUsable === usable), {
      what: `usable: ${usable}`,
    })
  /** Sends requests of one client to all gateways in turn. */
  async function ask(requests: number): Promise<Answer[]> {
    const answers = []
    for (let i = 0; i < requests; i++) answers.push(await send(pipelines[i % pipelines.length]!.port, '/app'))
    return answers
  }
  const passed = (answers: readonly Answer[]): number => answers.filter(({ status }) => status === 200).length
  const left = ({ headers }: Answer): number => Number(/r=(\d+)/.exec(String(headers['ratelimit']))?.[1])
  async function notice(): Promise<void> {
    await until(
      async () => {
        await ask(pipelines.length)
        return pipelines.every(pipeline => pipeline.redis?.isUsable === false)
      },
      { what: 'every gateway has noticed' },
    )
  }

  for (const [name, outage] of Object.entries(OUTAGES)) {
    for (const algorithm of ['fixed-window', 'gcra']) {
      it(`${name}, admits up to twice the limit in one window, ${algorithm}`, async () => {
        await start({ limit: LIMIT, algorithm }, 2)
        const before = await ask(LIMIT - 4)
        await outage.fail(redis, proxy)
        const during = await ask(3 * LIMIT)
        assert.ok(passed(during) > 0, 'somebody gets through')
        assert.equal(during.at(-1)?.headers[DEGRADED], 'local')
        await outage.mend(redis, proxy)
        await untilUsable(true)
        const after = await ask(3 * LIMIT)
        const total = [before, during, after].map(passed)
        // GCRA returns quota evenly, one request every 30 s.
        assert.ok(total[0]! + total[1]! + total[2]! <= 2 * LIMIT + 1, total.join(' + '))
        const all = [...before, ...during, ...after]
        assert.ok(
          all.every(({ status }) => status === 200 || status === 429),
          'no 5xx',
        )
        assert.equal(after.at(-1)?.headers[DEGRADED], undefined)
      })
    }

    it(`${name}, delays only the first requests, by less than 250 ms`, async () => {
      await start({ limit: 1_000_000 })
      // Requests alternate, so that a busy machine slows both kinds alike.
      const without = await startPipeline(proxyTo(upstream.url))
      pipelines.push(without)
      const timed = async ({ port }: Pipeline): Promise<number> => {
        const started = performance.now()
        assert.equal((await send(port, '/app')).status, 200)
        return performance.now() - started
      }
      const [gateway] = pipelines as [Pipeline]
      await timed(gateway)
      let first = Infinity
      // A busy machine slows single requests, so one of three outages has to meet the limit.
      for (let attempt = 1; attempt <= 3 && first >= 250; attempt++) {
        if (attempt > 1) await outage.mend(redis, proxy)
        await untilUsable(true)
        await outage.fail(redis, proxy)
        first = (await timed(gateway)) - (await timed(without))
      }
      assert.ok(first < 250, `the first took ${first} ms longer`)
      const added = []
      for (let i = 0; i < 60; i++) added.push(-(await timed(without)) + (await timed(gateway)))
      const middle = added.sort((a, b) => a - b)[added.length >> 1]!
      assert.ok(middle < 5, `the others took ${middle} ms longer`)
      await outage.mend(redis, proxy)
      await untilUsable(true)
    })
  }

  it('is compensated: requests of the outage are counted in Redis when it is back', async () => {
    await start({ limit: 100 })
    await ask(5)
    await redis.kill()
    await notice()
    await ask(10)
    const before = left((await ask(1))[0]!)
    await redis.startAgain()
    await untilUsable(true)
    // An empty Redis has lost the 5 requests before the outage; and this one counts as well.
    assert.equal(left((await ask(1))[0]!), before + 5 - 1)
  })

  it('at boot is compensated too, with several policies in the same script', async () => {
    await redis.kill()
    const route = {
      rateLimit: [
        { name: 'burst', limit: 1_000, window: '10m', algorithm: 'gcra' },
        { name: 'daily', limit: 1_000, window: '1d', cost: 2 },
      ],
    }
    pipelines = [await startPipeline(proxyTo(upstream.url, { route }), { redisUrl: redis.url })]
    const [first] = await ask(10)
    assert.equal(first?.headers[DEGRADED], 'local')
    await redis.startAgain()
    await untilUsable(true)
    const [answer] = await ask(1)
    assert.equal(answer?.headers[DEGRADED], undefined)
    assert.match(String(answer?.headers['ratelimit']), /"burst"; r=989; t=\d+, "daily"; r=978; t=\d+/)
  })

  it('is shown to clients in header fields: local, open or closed', async () => {
    const policies = { local: '/local', open: '/open', closed: '/closed' }
    pipelines = [
      await startPipeline(
        {
          upstreams: { app: { targets: [upstream.url] } },
          routes: Object.entries(policies).map(([onStoreFailure, path]) => ({
            name: onStoreFailure,
            match: { path },
            upstream: 'app',
            rateLimit: { limit: 5, window: '10m', onStoreFailure },
          })),
        },
        { redisUrl: redis.url },
      ),
    ]
    const { port } = pipelines[0]!
    await untilUsable(true)
    const told = async (): Promise<unknown[]> => {
      const answers = await Promise.all(Object.values(policies).map(path => send(port, path)))
      return answers.map(({ status, headers }) => [status, headers[DEGRADED]])
    }
    assert.deepEqual(await told(), [
      [200, undefined],
      [200, undefined],
      [200, undefined],
    ])
    await redis.kill()
    await untilUsable(false)
    assert.deepEqual(await told(), [
      [200, 'local'],
      [200, 'open'],
      [503, 'closed'],
    ])
  })

  it('does not affect a client that is over its limit: Redis is not asked about it', async () => {
    await start({ limit: 3 })
    await ask(4)
    const calls = async (): Promise<number> =>
      Number(/cmdstat_evalsha:calls=(\d+)/.exec(await askRedis(redis.url, client => client.info('commandstats')))?.[1])
    const before = await calls()
    const answers = await ask(50)
    assert.equal(passed(answers), 0)
    assert.ok(answers.every(({ headers }) => Number(headers['retry-after']) > 590))
    assert.equal(await calls(), before)
  })
})
