import assert from 'node:assert/strict'
import { Redis } from 'ioredis'
import { needs } from '../support/needs'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startCluster, startSentinels, type RunningTopology } from '../support/start-redis-topologies'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { startLoad } from '../support/under-load'
import { until } from '../support/until'

const POLICIES = [
  { name: 'burst', limit: 1_000_000, window: '10m', algorithm: 'gcra' },
  { name: 'daily', limit: 1_000_000, window: '1d' },
]

/** What docs/rate-limits.md says that a user of Redis must be allowed to do. */
const COMMANDS = 'set get incr incrby pttl time eval evalsha script|load info select client hello'.split(' ')

describe('Redis as', function () {
  this.timeout(120_000)
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

  async function start(redisUrl: string, rateLimit: object): Promise<Pipeline> {
    const route = { rateLimit }
    pipeline = await startPipeline(proxyTo(upstream.url, { route }), { redisUrl })
    const { redis } = pipeline
    await until(() => redis?.isUsable, { what: 'Redis is usable', timeoutMs: 20_000 })
    return pipeline
  }

  async function limitHolds({ port }: Pipeline): Promise<void> {
    const answers = await Promise.all(Array.from({ length: 30 }, () => send(port, '/app')))
    assert.equal(answers.filter(({ status }) => status === 200).length, 10)
    assert.ok(answers.every(({ headers }) => headers['x-ratelimit-degraded'] === undefined))
  }

  /** Loses a server under load: nobody notices, and the gateway is back by itself. */
  async function losing({ port, redis, logs }: Pipeline, lose: () => Promise<void>): Promise<void> {
    const load = startLoad(port, 8)
    await until(() => load.answers.length > 100, { what: 'a load' })
    await lose()
    await until(() => redis?.isUsable === false, { what: 'the loss is noticed', timeoutMs: 20_000, intervalMs: 2 })
    await until(() => redis?.isUsable, { what: 'Redis is usable again', timeoutMs: 30_000 })
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
    it('counts, and its failover under load costs no request', async () => {
      topology = await startSentinels()
      await losing(await start(topology.url, POLICIES), async () => topology?.servers[0]?.kill())
      const replica = new Redis(topology.servers[1]!.url)
      assert.match(await replica.info('replication'), /role:master/)
      assert.ok((await replica.dbsize()) >= 16, 'the new master counts')
      replica.disconnect()
    })

    it('holds a limit, in a database of its own', async () => {
      topology = await startSentinels()
      const { url, servers } = topology
      await limitHolds(await start(`${url}/3`, { limit: 10, window: '10m' }))
      const master = new Redis(`${servers[0]!.url}/3`)
      assert.equal((await master.keys('myesi:rl:*')).length, 1)
      master.disconnect()
    })
  })

  describe('a cluster', () => {
    it('holds limits, all counts of a request in one slot, and the death of a master under load costs no request', async () => {
      topology = await startCluster()
      const small = POLICIES.map(policy => ({ ...policy, limit: 10 }))
      await limitHolds(await start(topology.url, small))
      await pipeline?.stop()
      const { servers } = topology
      await losing(await start(topology.url, POLICIES), async () => servers[0]?.kill())
    })

    it('counts with rate-limit-redis too, its script on every master', async () => {
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

  describe('a server of its own', () => {
    let server: RunningRedis

    afterEach(async () => {
      await server.kill()
    })

    it('takes user and password, percent-encoded, and needs no more than a few commands', async () => {
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
