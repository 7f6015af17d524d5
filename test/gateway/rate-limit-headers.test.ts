import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { needs } from '../support/needs'
import { linesOf, problemOf, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { parseList } from '../support/structured-fields'
import { until } from '../support/until'

/** What draft-ietf-httpapi-ratelimit-headers-10 defines for one policy: its name, and parameters that are whole numbers. */
interface Told {
  readonly name: string
  readonly numbers: Readonly<Record<string, number>>
}

function toldIn(answer: Answer, field: string): Told[] {
  return parseList(linesOf(answer, field)).map(({ item, parameters }) => {
    assert.equal(item.type, 'string')
    const numbers = [...parameters].map(([key, value]): [string, number] => {
      assert.ok(value.type === 'integer' && value.value >= 0, `${key} is ${value.type}`)
      return [key, value.value]
    })
    return { name: item.value, numbers: Object.fromEntries(numbers) }
  })
}

const POLICIES = [
  { name: 'burst.per-second_1', limit: 3, window: '1500ms', algorithm: 'gcra' },
  { name: 'daily', limit: 1_000_000_000, window: '1d' },
]

describe('rate-limit header fields', () => {
  let upstream: RunningUpstream
  let redis: RunningRedis
  let pipeline: Pipeline

  before(needs('redis-server'))
  before(async () => {
    upstream = await startUpstream()
    redis = await startRedis()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await redis.kill()
    await upstream.stop()
  })

  for (const store of ['memory', 'Redis']) {
    const options = (): { redisUrl?: string } => (store === 'Redis' ? { redisUrl: redis.url } : {})
    async function start(rateLimit: object): Promise<void> {
      pipeline = await startPipeline(proxyTo(upstream.url, { route: { rateLimit } }), options())
      const { redis: connection } = pipeline
      if (connection !== undefined) await until(() => connection.isUsable, { what: 'Redis is usable' })
    }

    it(`are valid structured fields on responses and refusals, each policy once, ${store}`, async () => {
      await start(POLICIES)
      for (const expected of [200, 200, 200, 429]) {
        const answer = await send(pipeline.port, '/app')
        assert.equal(answer.status, expected)
        const policies = toldIn(answer, 'ratelimit-policy')
        assert.deepEqual(policies, [
          { name: 'burst.per-second_1', numbers: { q: 3, w: 2 } },
          { name: 'daily', numbers: { q: 1_000_000_000, w: 86_400 } },
        ])
        const limits = toldIn(answer, 'ratelimit')
        assert.deepEqual(
          limits.map(({ name }) => name),
          policies.map(({ name }) => name),
        )
        for (const [i, { numbers }] of limits.entries()) {
          assert.deepEqual(Object.keys(numbers), ['r', 't'])
          const { q = 0, w = 0 } = policies[i]?.numbers ?? {}
          assert.ok(Number(numbers['r']) <= q && Number(numbers['t']) <= w, JSON.stringify(numbers))
        }
      }
    })

    it(`report when more requests pass, agree with Retry-After and name refusing policies, ${store}`, async () => {
      const names = [`a-${store}`, `b-${store}`, `c-${store}`]
      await start([
        { name: names[0], limit: 3, window: '60s', algorithm: 'gcra' },
        { name: names[1], limit: 6, window: '60s', algorithm: 'gcra' },
        { name: names[2], limit: 100, window: '1h' },
      ])
      const told = (answer: Answer): unknown => toldIn(answer, 'ratelimit').map(({ numbers: { r, t } }) => [r, t])
      assert.deepEqual(told(await send(pipeline.port, '/app')), [
        [2, 20],
        [5, 10],
        [99, 3_600],
      ])
      await send(pipeline.port, '/app')
      await send(pipeline.port, '/app')
      const refused = await send(pipeline.port, '/app')
      assert.equal(refused.status, 429)
      const [[r, t] = []] = told(refused) as number[][]
      assert.equal(r, 0)
      assert.ok(Number(t) > 18 && Number(t) <= 20, `${t} s`)
      assert.deepEqual(linesOf(refused, 'retry-after'), [String(t)])
      const problem = problemOf(refused)
      assert.equal(problem['type'], 'https://iana.org/assignments/http-problem-types#quota-exceeded')
      assert.deepEqual(problem['violated-policies'], [names[0]])
    })

    it(`count HEAD at the cost of GET, unless the file sets a cost for it, ${store}`, async () => {
      await start({ name: `head-${store}`, limit: 20, window: '1h', cost: { GET: 5 } })
      const left = async (method: string): Promise<unknown> =>
        toldIn(await send(pipeline.port, { method, path: '/app' }), 'ratelimit')[0]?.numbers['r']
      assert.deepEqual([await left('GET'), await left('HEAD'), await left('POST')], [15, 10, 9])
      await pipeline.stop()
      await start({ name: `named-head-${store}`, limit: 20, window: '1h', cost: { GET: 5, HEAD: 2 } })
      assert.deepEqual([await left('GET'), await left('HEAD')], [15, 13])
    })

    for (const algorithm of ['fixed-window', 'gcra']) {
      it(`report with Retry-After the first whole second at which a request passes, ${algorithm}, ${store}`, async () => {
        await start({ name: `${algorithm}-${store}`, limit: 1, window: '2s', algorithm })
        const first = performance.now()
        assert.equal((await send(pipeline.port, '/app')).status, 200)
        const refused = await send(pipeline.port, '/app')
        assert.equal(refused.status, 429)
        const retryAfter = linesOf(refused, 'retry-after')
        assert.match(retryAfter.join(), /^[12]$/)
        const seconds = Number(retryAfter[0])
        const refusedAt = performance.now()
        await sleep((seconds - 1) * 1_000)
        const early = await send(pipeline.port, '/app')
        // A busy machine may have missed that second.
        if (performance.now() - first < 2_000) assert.equal(early.status, 429, 'not a second earlier')
        await sleep(refusedAt + seconds * 1_000 - performance.now())
        assert.equal((await send(pipeline.port, '/app')).status, 200, 'then it passes')
      })
    }
  }
})
