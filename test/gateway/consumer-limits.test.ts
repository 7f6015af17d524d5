import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { needs } from '../support/needs'
import { linesOf, problemOf, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const KEYS = { acme: newApiKey(), acmeToo: newApiKey(), globex: newApiKey(), initech: newApiKey() }
const CONSUMERS = {
  acme: { tier: 'gold', apiKeys: [hashApiKey(KEYS.acme), hashApiKey(KEYS.acmeToo)] },
  globex: { apiKeys: [hashApiKey(KEYS.globex)] },
  initech: { tier: 'bronze', apiKeys: [hashApiKey(KEYS.initech)] },
}
type Name = keyof typeof KEYS

for (const store of ['memory', 'redis'] as const) {
  describe(`limits by consumer, counted in ${store}`, () => {
    let upstream: RunningUpstream
    let pipeline: Pipeline
    let redis: RunningRedis | undefined

    before(async function () {
      if (store === 'redis') await needs('redis-server').call(this)
      upstream = await startUpstream()
    })
    beforeEach(async () => {
      if (store === 'redis') redis = await startRedis()
    })
    afterEach(async () => {
      await pipeline.stop()
      await redis?.kill()
    })
    after(async () => {
      await upstream.stop()
    })

    async function limit(rateLimit: object, { replicas = 1 } = {}): Promise<void> {
      pipeline = await startPipeline(
        proxyTo(upstream.url, { consumers: CONSUMERS, route: { rateLimit, auth: { apiKey: {} } } }),
        { ...(redis && { redisUrl: redis.url }), replicas },
      )
    }
    const ask = (name: Name, localAddress = '127.0.0.1'): Promise<Answer> =>
      send(pipeline.port, { path: '/app', headers: { 'x-api-key': KEYS[name] }, localAddress })
    /** How many of this number of concurrent requests pass. */
    async function passed(name: Name, requests: number): Promise<number> {
      const answers = await Promise.all(Array.from({ length: requests }, async () => ask(name)))
      return answers.filter(({ status }) => status === 200).length
    }

    for (const algorithm of ['fixed-window', 'gcra']) {
      it(`are those of its tier, and the headers show them: ${algorithm}`, async () => {
        await limit({ limit: 3, window: '1d', algorithm, key: 'consumer', tiers: { gold: 7, bronze: 2 } })
        const first = await ask('acme')
        assert.deepEqual(linesOf(first, 'ratelimit-policy'), ['"default"; q=7; w=86400'])
        assert.match(linesOf(first, 'ratelimit')[0]!, /^"default"; r=6; t=\d+$/)
        assert.equal(await passed('acme', 12), 6)
        assert.equal(await passed('globex', 12), 3)
        assert.equal(await passed('initech', 12), 2)
        const refused = await ask('initech')
        assert.equal(problemOf(refused)['reason'], 'limited')
        assert.deepEqual(linesOf(refused, 'ratelimit-policy'), ['"default"; q=2; w=86400'])
        assert.match(linesOf(refused, 'ratelimit')[0]!, /^"default"; r=0; t=\d+$/)
        assert.ok(Number(refused.headers['retry-after']) > 0)
      })
    }

    it('are shared by all keys of a consumer, from any address; a limit by key counts each key separately', async () => {
      await limit([
        { name: 'mine', limit: 3, window: '1h', key: 'consumer' },
        { name: 'key', limit: 2, window: '1h', key: 'api-key' },
      ])
      const statuses = []
      for (const name of ['acme', 'acme', 'acme', 'acmeToo', 'acmeToo', 'globex'] as const) {
        statuses.push((await ask(name, `127.0.0.${statuses.length + 1}`)).status)
      }
      // The third request counts against the consumer's limit although the key is over its own: two keys, two groups.
      assert.deepEqual(statuses, [200, 200, 429, 429, 429, 200])
    })

    it('may count by a combination of keys', async () => {
      await limit({ limit: 1, window: '1h', key: ['consumer', 'client'] })
      const statuses = []
      for (const [name, address] of [
        ['acme', '127.0.0.1'],
        ['acmeToo', '127.0.0.1'],
        ['acme', '127.0.0.2'],
        ['globex', '127.0.0.1'],
      ] as const) {
        statuses.push((await ask(name, address)).status)
      }
      assert.deepEqual(statuses, [200, 429, 200, 200])
    })

    it('apply together with limits by address, which are checked first and add their own headers', async () => {
      await limit([
        { name: 'mine', limit: 4, window: '1h', key: 'consumer', tiers: { gold: 9 }, legacyHeaders: true },
        { name: 'address', limit: 6, window: '1h', legacyHeaders: true },
      ])
      const answer = await ask('globex')
      assert.deepEqual(linesOf(answer, 'ratelimit-policy'), ['"address"; q=6; w=3600', '"mine"; q=4; w=3600'])
      assert.deepEqual(
        linesOf(answer, 'ratelimit').map(line => line.replace(/ t=.*/, '')),
        ['"address"; r=5;', '"mine"; r=3;'],
      )
      assert.equal(answer.headers['x-ratelimit-remaining'], '3')
      const gold = await ask('acme')
      assert.equal(gold.headers['x-ratelimit-remaining'], '4', 'the one with least left, whichever stage it is of')
      assert.equal(gold.headers['x-ratelimit-limit'], '6')
      const unknown = { path: '/app', headers: { 'x-api-key': newApiKey() } }
      const guesses = []
      for (let i = 0; i < 6; i++) guesses.push((await send(pipeline.port, unknown)).status)
      assert.deepEqual(guesses, [401, 401, 401, 401, 429, 429])
      assert.equal((await ask('acme')).status, 429)
    })

    if (store === 'redis') {
      it('are stored under consumer names, and for keys under a part of their digest only', async () => {
        await limit([
          { name: 'mine', limit: 5, window: '1h', key: 'consumer' },
          { name: 'key', limit: 5, window: '1h', key: 'api-key', offenders: 'clear' },
        ])
        for (let i = 0; i < 6; i++) await ask('acme')
        const kept = (await pipeline.redis!.command(['KEYS', 'myesi:*'])) as string[]
        assert.ok(kept.includes('myesi:rl:app:mine:{consumer=acme}'), kept.join())
        assert.ok(
          kept.some(key => /^myesi:rl:app:key:\{api-key=[\w-]{22}\}$/.test(key)),
          kept.join(),
        )
        for (const key of Object.values(KEYS)) assert.ok(!kept.join().includes(key.slice(6, 16)))
      })

      it('use the tier’s share while Redis is away, and count those requests in Redis afterwards', async () => {
        await limit({ limit: 4, window: '1h', key: 'consumer', tiers: { gold: 10 } }, { replicas: 2 })
        assert.equal((await ask('acme')).status, 200)
        await redis!.kill()
        await until(() => !pipeline.redis!.isUsable, { what: 'the outage is noticed' })
        assert.equal(await passed('acme', 12), 4, 'half of ten, one of which was used')
        assert.equal(await passed('globex', 12), 2)
        const degraded = await ask('globex')
        assert.deepEqual([degraded.status, degraded.headers['x-ratelimit-degraded']], [429, 'local'])
        await redis!.startAgain()
        await until(() => pipeline.redis!.isUsable, { what: 'Redis is used again' })
        assert.equal(await passed('acme', 20), 10 - 4, 'it came back empty: the one from before is forgotten')
        assert.equal(await passed('globex', 12), 4 - 2)
        const refused = await ask('acme')
        assert.deepEqual([refused.status, refused.headers['x-ratelimit-degraded']], [429, undefined])
      })
    }
  })
}
