import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'
import { askRedis } from '../support/ask-redis'
import { startDelayingProxy, type DelayingProxy } from '../support/delaying-proxy'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { problemOf, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline, type PipelineOptions } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** The extra time a request may take when it waits for Redis in vain. */
const IN_VAIN_MS = 250
/** Less than the time to wait for Redis in vain: shows that Redis was not asked. */
const NOT_ASKED_MS = 190
const BACK_WITHIN_MS = 2_000

describe('when Redis', () => {
  let upstream: RunningUpstream
  let redis: RunningRedis
  let pipeline: Pipeline
  let proxy: DelayingProxy | undefined
  /** The longest of several requests that do not use Redis: longer on a busy machine. */
  let usualMs = 0

  before(needs('redis-server'))
  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(async () => {
    redis = await startRedis()
  })
  afterEach(async () => {
    await pipeline.stop()
    await proxy?.stop()
    proxy = undefined
    await redis.kill()
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(rateLimit: object = {}, options: PipelineOptions = {}): Promise<void> {
    const route = { rateLimit: { limit: 1_000, window: '1h', ...rateLimit } }
    pipeline = await startPipeline(proxyTo(upstream.url, { route }), { redisUrl: redis.url, ...options })
    usualMs = 0
    for (let i = 0; i < 10; i++) usualMs = Math.max(usualMs, (await timed('/')).ms)
  }

  async function timed(path = '/app'): Promise<Answer & { ms: number }> {
    const started = performance.now()
    const answer = await send(pipeline.port, path)
    return { ...answer, ms: performance.now() - started }
  }
  /** The remaining quota, which shows where the request was counted. */
  const left = (answer: Answer): number => Number(/; r=(\d+)/.exec(String(answer.headers['ratelimit']))?.[1])
  const logged = (event: string): number => pipeline.logs.filter(entry => entry['event'] === event).length

  /** Takes the median time, because other work on the machine slows single requests. */
  async function expectServed(requests: number, withinMs: number): Promise<void> {
    const times = []
    for (let i = 0; i < requests; i++) {
      const { status, ms } = await timed()
      assert.equal(status, 200)
      times.push(ms)
    }
    const middle = times.sort((a, b) => a - b)[requests >> 1] ?? 0
    assert.ok(middle < withinMs, `of ${requests} requests the middle one took ${middle} ms`)
  }

  async function expectBack(since: number): Promise<void> {
    await until(() => pipeline.redis?.isUsable, { what: 'Redis is used again', intervalMs: 5 })
    const took = performance.now() - since
    assert.ok(took < BACK_WITHIN_MS, `back after ${took} ms`)
  }

  /** Checks that the limiter's keys are in Redis, which was empty before. */
  async function expectCountedInRedis(): Promise<void> {
    const before = left(await timed())
    assert.equal(left(await timed()), before - 1)
    await askRedis(redis.url, async client => {
      const keys = await client.keys('*')
      assert.equal(keys.filter(key => key !== 'myesi:probe').length, 1, keys.join(' '))
    })
  }

  it('is available, it counts from the first request on', async () => {
    await start()
    const other = await startPipeline(proxyTo(upstream.url, { route: { rateLimit: { limit: 1_000, window: '1h' } } }), {
      redisUrl: redis.url,
    })
    const lefts = []
    for (const { port } of [pipeline, other, pipeline, other]) lefts.push(left(await send(port, '/app')))
    await other.stop()
    assert.deepEqual(lefts, [999, 998, 997, 996])
  })

  it('is killed, all requests are served with local counts, and a new Redis is used within 2 s', async () => {
    await start()
    await expectServed(5, IN_VAIN_MS)
    await redis.kill()
    await expectServed(1, IN_VAIN_MS)
    await expectServed(20, NOT_ASKED_MS)
    assert.equal(left(await timed()), 1_000 - 27, 'it had counted along')
    await redis.startAgain()
    await expectBack(performance.now())
    await expectCountedInRedis()
    assert.equal(logged('redis_unavailable'), 1)
  })

  it('freezes, requests in flight wait up to 200 ms and later ones do not wait', async () => {
    await start()
    await expectServed(1, IN_VAIN_MS)
    redis.freeze()
    const first = await Promise.all(Array.from({ length: 50 }, () => timed()))
    assert.deepEqual([...new Set(first.map(({ status }) => status))], [200])
    assert.ok(
      first.every(({ ms }) => ms >= 190),
      'they had asked',
    )
    const slowest = Math.max(...first.map(({ ms }) => ms))
    assert.ok(slowest < IN_VAIN_MS + 50 * usualMs + 1_000, `the slowest of 50 at once took ${slowest} ms`)
    await expectServed(30, NOT_ASKED_MS)
    redis.thaw()
    await expectBack(performance.now())
    assert.equal(logged('redis_unavailable'), 1)
    await expectServed(1, NOT_ASKED_MS)
  })

  it('freezes until its connection is dropped, it is used again just as soon', async () => {
    await start()
    await expectServed(1, IN_VAIN_MS)
    redis.freeze()
    const frozenAt = performance.now()
    await until(
      async () => {
        await expectServed(1, IN_VAIN_MS)
        return performance.now() - frozenAt > 8_000
      },
      { what: 'a long time', intervalMs: 200 },
    )
    redis.thaw()
    await expectBack(performance.now())
    assert.equal(logged('redis_unavailable'), 1)
  })

  it('answers too slowly, requests do not wait for it, and it is used again once it is fast', async () => {
    const slow = (proxy = await startDelayingProxy(redis.port))
    await start({}, { redisUrl: slow.url })
    await expectServed(3, IN_VAIN_MS)
    slow.delayMs = 2_000
    await expectServed(1, IN_VAIN_MS)
    await expectServed(20, NOT_ASKED_MS)
    assert.equal(slow.delayed, 1, 'one request had asked')
    await until(() => slow.delayed > 2, { what: 'it was tried again meanwhile' })
    assert.equal(pipeline.redis?.isUsable, false)
    slow.delayMs = 0
    await expectBack(performance.now())
    assert.equal(logged('redis_unavailable'), 1)
    await expectCountedInRedis()
  })

  it('needs longer than the configured timeout, requests do not wait for it', async () => {
    const slow = (proxy = await startDelayingProxy(redis.port))
    await start({}, { redisUrl: slow.url, timeoutMs: 50 })
    slow.delayMs = 150
    await expectServed(1, IN_VAIN_MS)
    const asked = slow.delayed
    const startedAt = performance.now()
    let waited = 0
    await until(
      async () => {
        const { status, ms } = await timed()
        assert.equal(status, 200)
        if (ms > 45 + usualMs) waited++
        return performance.now() - startedAt > 3_000
      },
      { what: 'three seconds', intervalMs: 20 },
    )
    assert.ok(waited <= 3, `${waited} requests waited`)
    assert.ok(slow.delayed > asked, 'it was tried again meanwhile')
    assert.equal(logged('redis_unavailable'), 1)
    slow.delayMs = 0
    await expectBack(performance.now())
  })

  it('is slow but within the timeout, it is used', async () => {
    const slow = (proxy = await startDelayingProxy(redis.port))
    await start({}, { redisUrl: slow.url })
    slow.delayMs = 100
    await expectServed(3, IN_VAIN_MS)
    assert.equal(pipeline.redis?.isUsable, true)
  })

  it('is down at boot, requests are served, and it is used within 2 s of its start', async () => {
    await redis.kill()
    await start()
    await expectServed(10, NOT_ASKED_MS)
    await redis.startAgain()
    await expectBack(performance.now())
    await expectCountedInRedis()
  })

  it('never becomes available, requests are served', async () => {
    await start({}, { redisUrl: `redis://127.0.0.1:${await freePort()}` })
    await expectServed(10, NOT_ASKED_MS)
    assert.equal(logged('redis_unavailable'), 1)
  })

  it('loses its scripts, they are loaded again and no count is lost', async () => {
    await start()
    await expectServed(2, IN_VAIN_MS)
    await askRedis(redis.url, client => client.script('FLUSH'))
    assert.equal(left(await timed()), 997)
    assert.equal(logged('redis_unavailable'), 0)
  })

  const REFUSING: Readonly<
    Record<string, { refuse: (client: Redis) => Promise<unknown>; allow: (client: Redis) => Promise<unknown> }>
  > = {
    'is full': {
      refuse: client => client.config('SET', 'maxmemory', '1'),
      allow: client => client.config('SET', 'maxmemory', '0'),
    },
    'has become a replica': {
      refuse: client => client.replicaof('127.0.0.1', 1),
      allow: client => client.replicaof('NO', 'ONE'),
    },
  }
  for (const [what, { refuse, allow }] of Object.entries(REFUSING)) {
    it(`${what}, requests are counted locally and one line logged, until Redis accepts writes again`, async () => {
      await start()
      await expectServed(2, IN_VAIN_MS)
      await askRedis(redis.url, refuse)
      await expectServed(10, NOT_ASKED_MS)
      assert.equal(left(await timed()), 1_000 - 13)
      assert.equal(pipeline.redis?.isUsable, false)
      await askRedis(redis.url, allow)
      await expectBack(performance.now())
      assert.equal(logged('redis_unavailable'), 1)
      await expectServed(1, NOT_ASKED_MS)
    })
  }

  it('changes its password, requests are served and the log shows the cause', async () => {
    await askRedis(redis.url, client => client.config('SET', 'requirepass', 'secret'))
    await start()
    await expectServed(5, NOT_ASKED_MS)
    const line = pipeline.logs.find(entry => entry['event'] === 'redis_unavailable')
    assert.match(String(line?.['reason']), /NOAUTH/)
  })

  it('requires a password at run time, log and status page show the latest cause without client data', async () => {
    await start()
    await expectServed(1, IN_VAIN_MS)
    await askRedis(redis.url, async client => {
      await client.config('SET', 'requirepass', 'secret')
      await client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    })
    await expectServed(3, IN_VAIN_MS)
    await until(() => pipeline.redis?.outage?.reason.startsWith('NOAUTH'), { what: 'the cause is known' })
    await expectServed(5, NOT_ASKED_MS)
    assert.match(pipeline.redis?.outage?.reason ?? '', /^NOAUTH/)
    const said = pipeline.logs.filter(({ event }) => String(event).startsWith('redis_')).map(entry => entry['reason'])
    assert.match(String(said.at(-1)), /^NOAUTH/)
    assert.doesNotMatch(JSON.stringify(said), /enableOfflineQueue|writeable/)
    assert.equal(logged('redis_unavailable'), 1)
    await askRedis(redis.url.replace('//', '//:secret@'), client => client.config('SET', 'requirepass', ''))
    await expectBack(performance.now())
  })

  it('lacks the configured database, it is never used, and its error is logged', async () => {
    await start({}, { redisUrl: `${redis.url}/20` })
    await expectServed(5, NOT_ASKED_MS)
    assert.equal(pipeline.redis?.isUsable, false)
    await until(() => pipeline.redis?.outage?.reason.includes('DB index is out of range'), {
      what: 'the cause is known',
    })
    await askRedis(redis.url, async client => assert.deepEqual(await client.keys('*'), []))
  })

  it('has the configured database, counts are stored there', async () => {
    await start({}, { redisUrl: `${redis.url}/7` })
    await expectServed(2, IN_VAIN_MS)
    await askRedis(redis.url, async client => assert.deepEqual(await client.keys('*'), []))
    await askRedis(`${redis.url}/7`, async client => assert.ok((await client.keys('myesi:rl*')).length > 0))
  })

  describe('is unavailable', () => {
    const refusedOf = async (requests: number): Promise<number> => {
      const answers = []
      for (let i = 0; i < requests; i++) answers.push(await send(pipeline.port, '/app'))
      return answers.filter(({ status }) => status === 429).length
    }

    it('the limit still holds', async () => {
      await redis.kill()
      await start({ limit: 10 })
      assert.equal(await refusedOf(15), 5)
    })

    it('each replica enforces its share, so that together they keep the limit', async () => {
      await redis.kill()
      await start({ limit: 10 }, { replicas: 3 })
      assert.equal(await refusedOf(15), 12)
    })

    it('a share is at least one request', async () => {
      await redis.kill()
      await start({ limit: 2 }, { replicas: 5 })
      assert.equal(await refusedOf(5), 4)
    })

    it('the headers report the share', async () => {
      await redis.kill()
      await start({ limit: 10 }, { replicas: 3 })
      const lefts = []
      for (let i = 0; i < 3; i++) lefts.push(left(await timed()))
      assert.deepEqual(lefts, [7, 4, 1])
      assert.equal((await timed()).status, 429)
    })

    it('a policy that fails open admits every request', async () => {
      await start({ limit: 3, onStoreFailure: 'open' })
      assert.equal(await refusedOf(5), 2)
      await redis.kill()
      assert.equal(await refusedOf(10), 0)
      await redis.startAgain()
      await expectBack(performance.now())
      assert.equal(await refusedOf(5), 2)
    })

    it('a policy that fails closed refuses every request as a gateway fault, until Redis is back', async () => {
      await start({ limit: 1_000, onStoreFailure: 'closed' })
      await expectServed(1, IN_VAIN_MS)
      await redis.kill()
      const { ms, ...answer } = await timed()
      assert.ok(ms < IN_VAIN_MS + 3 * usualMs)
      assert.deepEqual([answer.status, answer.headers['retry-after']], [503, '1'])
      assert.partialDeepStrictEqual(problemOf(answer), { outcome: 'fault', reason: 'limiter_unavailable' })
      const isCounted = (): boolean => pipeline.counted.some(({ reason }) => reason === 'limiter_unavailable')
      await until(isCounted, { what: 'it is counted' })
      await redis.startAgain()
      await expectBack(performance.now())
      await expectServed(3, IN_VAIN_MS)
    })
  })
})
