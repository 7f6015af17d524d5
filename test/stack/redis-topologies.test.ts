import assert from 'node:assert/strict'
import { askRedis } from '../support/ask-redis'
import { needs } from '../support/needs'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline, type PipelineOptions } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startCluster, startSentinels, type RunningTopology } from '../support/start-redis-topologies'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'

const POLICIES = [
  { name: 'burst', limit: 1_000_000, window: '10m', algorithm: 'gcra' },
  { name: 'daily', limit: 1_000_000, window: '1d' },
]

/** The permissions that docs/rate-limits.md lists for a user of Redis. */
const COMMANDS = 'set get incr incrby pttl time eval evalsha script|load info select client hello'.split(' ')

describe('Redis as', function () {
  this.timeout(180_000)
  let upstream: RunningUpstream
  let pipeline: Pipeline | undefined
  let topology: RunningTopology | undefined

  before(needs('redis-server', 'redis-cli', 'redis-sentinel'))
  before(async () => {
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline?.stop()
    await topology?.stop()
    pipeline = undefined
    topology = undefined
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(redisUrl: string, rateLimit: object, more: PipelineOptions = {}): Promise<Pipeline> {
    const route = { rateLimit }
    pipeline = await startPipeline(proxyTo(upstream.url, { route }), { redisUrl, ...more })
    const { redis } = pipeline
    await until(() => redis?.isUsable, { what: 'Redis is usable', timeoutMs: 20_000 })
    return pipeline
  }

  /** A busy machine may delay Redis beyond the timeout, so one of five clients has to show the limit. */
  async function limitHolds({ port, redis }: Pipeline): Promise<void> {
    let degraded = true
    for (let client = 1; client <= 5 && degraded; client++) {
      await until(() => redis?.isUsable, { what: 'Redis is usable', timeoutMs: 20_000 })
      const request = { path: '/app', localAddress: `127.0.3.${client}` }
      const answers = await Promise.all(Array.from({ length: 30 }, () => send(port, request)))
      degraded = answers.some(({ headers }) => headers['x-ratelimit-degraded'] !== undefined)
      if (!degraded) assert.equal(answers.filter(({ status }) => status === 200).length, 10)
    }
    assert.equal(degraded, false, 'counted in Redis')
  }

  /** Kills the first server under load: no request fails, and the gateway recovers by itself after the failover. */
  async function losingOne({ port, redis, logs }: Pipeline, from: RunningTopology): Promise<void> {
    const load = startLoad(port, 8)
    await until(() => load.answers.length > 100, { what: 'a load' })
    await from.servers[0]!.kill()
    // A cluster goes on with its other masters, so it is not whole, but may stay usable.
    await until(() => redis?.isWhole === false, { what: 'the loss is noticed', timeoutMs: 20_000, intervalMs: 2 })
    await from.failedOver()
    await until(() => redis?.isWhole, { what: 'all of Redis is usable again', timeoutMs: 20_000 })
    const before = load.answers.length
    await until(() => load.answers.length > before + 100, { what: 'a load with the new one' })
    await load.stop()
    const statuses = new Set(load.answers.map(({ status }) => status))
    assert.deepEqual([...statuses], [200], 'no request failed')
    assert.ok(load.answers.some(({ headers }) => headers['x-ratelimit-degraded'] === 'local'))
    assert.equal(load.answers.at(-1)?.headers['x-ratelimit-degraded'], undefined)
    assert.ok(logs.filter(({ event }) => event === 'redis_unavailable').length >= 1)
  }

  describe('a master behind sentinels', () => {
    it('counts requests, and its failover under load fails none', async () => {
      topology = await startSentinels()
      const running = await start(topology.url, POLICIES)
      await losingOne(running, topology)
      const { url } = topology.servers[1]!
      const counted = (): Promise<number> =>
        askRedis(url, async client => Number(await client.get('myesi:rl:app:daily:{127.0.1.1}')))
      const before = await counted()
      assert.ok(before > 0, 'what was counted before and meanwhile is known')
      await send(running.port, { path: '/app', localAddress: '127.0.1.1' })
      assert.equal(await counted(), before + 1, 'the new master counts')
    })

    it('enforces a limit, in a database of its own', async () => {
      topology = await startSentinels()
      const { url, servers } = topology
      await limitHolds(await start(`${url}/3`, { limit: 10, window: '10m' }))
      const keys = await askRedis(`${servers[0]!.url}/3`, client => client.keys('myesi:rl:*'))
      assert.ok(keys.length >= 1)
    })
  })

  describe('a master behind sentinels with a password of their own', () => {
    const password = 'sentinels-own-secret'

    it('enforces a limit with that password, and fails over to the other server', async () => {
      topology = await startSentinels(password)
      const more = { sentinelLogin: { username: undefined, password } }
      await limitHolds(await start(topology.url, { limit: 10, window: '10m' }, more))
      await pipeline?.stop()
      const running = await start(topology.url, POLICIES, { sentinelLogin: { username: 'default', password } })
      await losingOne(running, topology)
      assert.ok(running.logs.every(entry => !JSON.stringify(entry).includes(password)))
    })

    it('is not reached without that password: requests are served, and the log shows why', async () => {
      topology = await startSentinels(password)
      const route = { rateLimit: { limit: 10, window: '10m' } }
      pipeline = await startPipeline(proxyTo(upstream.url, { route }), { redisUrl: topology.url })
      const { headers, status } = await send(pipeline.port, '/app')
      assert.deepEqual([status, headers['x-ratelimit-degraded']], [200, 'local'])
      const { logs } = pipeline
      const line = await until(() => logs.find(({ event }) => event === 'redis_unavailable'), { what: 'the reason' })
      assert.match(String(line['reason']), /NOAUTH/)
    })
  })

  describe('a cluster', () => {
    it('enforces limits, keeps the counts of a request in one slot, and loses none when a master dies', async () => {
      topology = await startCluster()
      const small = POLICIES.map(policy => ({ ...policy, limit: 10 }))
      await limitHolds(await start(topology.url, small))
      await pipeline?.stop()
      await losingOne(await start(topology.url, POLICIES), topology)
    })

    it('also counts with rate-limit-redis, whose script is on every master', async () => {
      topology = await startCluster()
      const { port, redis, logs } = await start(topology.url, { limit: 5, window: '10m' })
      const statuses = []
      for (let client = 1; client <= 12; client++) {
        for (let i = 0; i < 6; i++) {
          statuses.push((await send(port, { path: '/app', localAddress: `127.0.2.${client}` })).status)
        }
      }
      assert.equal(statuses.filter(status => status === 200).length, 60)
      assert.equal(redis?.isUsable, true)
      assert.equal(logs.filter(({ event }) => event === 'redis_unavailable').length, 0)
    })
  })

  describe('a single server', () => {
    let server: RunningRedis

    afterEach(async () => {
      await server.kill()
    })

    it('accepts user and password, percent-encoded, and needs only a few commands', async () => {
      const rights = ['on', '>p@ss/w:rd', '~myesi:*', '-@all', ...COMMANDS.map(command => `+${command}`)]
      server = await startRedis(['--user', 'limiter', ...rights, '--user', 'default', 'off'])
      const url = `redis://limiter:${encodeURIComponent('p@ss/w:rd')}@127.0.0.1:${server.port}/2`
      const running = await start(url, { limit: 10, window: '10m' })
      await limitHolds(running)
      await pipeline?.stop()
      const several = await start(
        url,
        POLICIES.map(policy => ({ ...policy, limit: 10 })),
      )
      await limitHolds(several)
      assert.ok(running.logs.every(entry => !JSON.stringify(entry).includes('p@ss')))
    })
  })
})
