import assert from 'node:assert/strict'
import { createRedisClient, neverGivesUp } from '../../src/redis/client'
import { RedisConnection } from '../../src/redis/connection'
import { askRedis } from '../support/ask-redis'
import { startDelayingProxy } from '../support/delaying-proxy'
import { needs } from '../support/needs'
import { recordedLog } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { until } from '../support/until'

describe('the Redis connection', () => {
  let server: RunningRedis
  let redis: RedisConnection

  before(needs('redis-server'))

  beforeEach(async () => {
    server = await startRedis()
    redis = new RedisConnection(server.url, recordedLog().log)
  })

  afterEach(async () => {
    redis.close()
    await server.stop()
  })

  it('runs a preparation that is added after it was opened, and is usable again', async () => {
    assert.equal(await redis.settle(5_000), true)
    let prepared = 0
    redis.prepareWith(async () => void prepared++)
    await until(() => redis.isUsable, { what: 'usable' })
    assert.equal(prepared, 1)
  })

  it('sends all commands of one turn together, each with its own reply, also after it was lost', async () => {
    const proxy = await startDelayingProxy(server.port)
    const behind = new RedisConnection(proxy.url, recordedLog().log)
    try {
      for (let round = 0; round < 2; round++) {
        assert.equal(await behind.settle(5_000), true)
        const before = proxy.packets
        const script = behind.script('echoOne', 'return ARGV[1]')
        const replies = Array.from({ length: 40 }, async (_, i) =>
          i % 2 === 0 ? behind.command(['ECHO', String(i)]) : script(['k'], [i]),
        )
        const answers = await Promise.all(replies)
        assert.deepEqual(
          answers.map(String),
          Array.from({ length: 40 }, (_, i) => String(i)),
        )
        // The script is sent in full first.
        assert.ok(proxy.packets - before <= 4, `${proxy.packets - before} packets`)
        const lost = behind.command(['ECHO', 'lost']).catch((error: unknown) => error)
        await server.kill()
        assert.ok((await lost) === 'lost' || (await lost) instanceof Error)
        await until(() => !behind.isUsable, { what: 'the loss is noticed' })
        await server.startAgain()
        await until(() => behind.isUsable, { what: 'usable again' })
      }
    } finally {
      behind.close()
      await proxy.stop()
    }
  })

  it('runs every preparation again on a new Redis, except those that were ended', async () => {
    let prepared = 0
    let ended = 0
    redis.prepareWith(async () => void prepared++)
    const end = redis.prepareWith(async () => void ended++)
    assert.equal(await redis.settle(5_000), true)
    end()
    await server.kill()
    await until(() => !redis.isUsable, { what: 'the loss is noticed' })
    await server.startAgain()
    await until(() => redis.isUsable, { what: 'usable again' })
    assert.deepEqual([prepared, ended], [2, 1])
  })

  it('is opened again when the client gives up, as it does if a failover is announced while it connects', async () => {
    const client = createRedisClient({ url: server.url, connectionName: 'test' })
    let closed = false
    neverGivesUp(client, () => closed)
    const errors: unknown[] = []
    client.on('error', error => errors.push(error))
    const ended = new Promise(resolve => client.once('end', resolve))
    const connector = Reflect.get(client, 'connector') as { disconnect(): void }
    connector.disconnect()
    await ended
    assert.match(String(errors), /Connection is closed/)
    assert.equal(client.status, 'end')
    await until(() => client.status === 'ready', { what: 'connected' })
    closed = true
    client.disconnect()
    await until(() => client.status === 'end', { what: 'closed' })
  })

  it('reconnects with jitter, not at the same moment as those of other replicas', async () => {
    const back: number[] = []
    const others = Array.from({ length: 20 }, () => new RedisConnection(server.url, recordedLog().log))
    await Promise.all(others.map(other => other.settle(5_000)))
    await askRedis(server.url, client => client.config('SET', 'maxmemory', '1'))
    await Promise.allSettled(others.map(other => other.command(['SET', 'key', 'value'])))
    assert.ok(others.every(other => !other.isUsable))
    await askRedis(server.url, client => client.config('SET', 'maxmemory', '0'))
    await Promise.all(
      others.map(async other => {
        await until(() => other.isUsable, { what: 'usable again', intervalMs: 1 })
        back.push(performance.now())
        other.close()
      }),
    )
    const spread = Math.max(...back) - Math.min(...back)
    assert.ok(spread > 50, `all within ${spread} ms`)
  })

  it('does not report a slow Redis when the gateway itself was busy', async () => {
    assert.equal(await redis.settle(5_000), true)
    // From here the event loop checks its timers first, and only then the received data.
    await new Promise(resolve => setImmediate(resolve))
    const answer = redis.command(['PING'])
    // The command is written, and then nothing is read for longer than the response timeout.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400)
    assert.equal(await answer, 'PONG')
    assert.equal(redis.isUsable, true)
  })
})
