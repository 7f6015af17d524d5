import assert from 'node:assert/strict'
import { LocalStore } from '../../src/policies/rate-limit/local-store'
import { PolicyGroup } from '../../src/policies/rate-limit/policy-group'
import type { RateLimitStore, Standing } from '../../src/policies/rate-limit/rate-limit-store'
import { RedisScriptStore, RedisWindowStore } from '../../src/policies/rate-limit/redis-stores'
import type { RateLimitPolicy } from '../../src/policies/rate-limit/schema'
import { RedisConnection } from '../../src/redis/connection'
import { LIMIT_DEFAULTS } from '../support/config-defaults'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { recordedLog } from '../support/start-pipeline'
import { startRedis } from '../support/start-redis'
import { until } from '../support/until'

type Policies = readonly [RateLimitPolicy, ...RateLimitPolicy[]]

const POLICY: RateLimitPolicy = { ...LIMIT_DEFAULTS, name: 'default', limit: 10, windowMs: 60_000 }

interface Subject {
  /** A store with counters of its own. */
  readonly open: (routeName: string, policies: Policies) => RateLimitStore
  readonly close: () => Promise<void>
}

interface Kind {
  readonly algorithm: RateLimitPolicy['algorithm']
  readonly needsRedis: boolean
  /** Accepts costs above one, and several policies at once. */
  readonly takesAll: boolean
  readonly prepare: () => Promise<Subject>
}

/** The requirements of the gateway on every store. */
function describeStore(name: string, { algorithm, needsRedis, takesAll, prepare }: Kind): void {
  describe(`the rate-limit store ${name}`, () => {
    let subject: Subject
    let tests = 0
    const open = (...policies: Partial<RateLimitPolicy>[]): RateLimitStore => {
      const [first = {}, ...others] = policies
      const whole = (policy: Partial<RateLimitPolicy>): RateLimitPolicy => ({ ...POLICY, algorithm, ...policy })
      return subject.open(`test-${++tests}`, [whole(first), ...others.map(whole)])
    }
    const take = async (store: RateLimitStore, key: string, ...costs: number[]): Promise<Standing> => {
      const [standing] = await store.take(key, costs.length > 0 ? costs : [1])
      return standing as Standing
    }

    before(async function () {
      if (needsRedis) await needs('redis-server').call(this)
      subject = await prepare()
    })
    after(async () => {
      await subject?.close()
    })

    it('admits requests up to the limit, each key separately, and returns the remaining quota', async () => {
      const store = open({ limit: 2 })
      const seen = []
      for (const key of ['a', 'a', 'b', 'a', 'b']) seen.push(await take(store, key))
      assert.deepEqual(
        seen.map(({ allowed, remaining }) => [allowed, remaining]),
        [
          [true, 1],
          [true, 0],
          [true, 1],
          [false, 0],
          [true, 0],
        ],
      )
    })

    it('returns when a refused request would pass, and it passes then and not much earlier', async () => {
      const store = open({ limit: 2, windowMs: 600 })
      await take(store, 'a')
      await take(store, 'a')
      const { allowed, retryMs, resetMs } = await take(store, 'a')
      const refusedAt = performance.now()
      assert.equal(allowed, false)
      assert.ok(retryMs > 0 && retryMs <= (algorithm === 'gcra' ? 300 : 600), `${retryMs} ms`)
      assert.ok(resetMs >= retryMs && resetMs <= 600, `${resetMs} ms`)
      await until(async () => (await take(store, 'a')).allowed, { what: 'it passes', intervalMs: 5 })
      const took = performance.now() - refusedAt
      assert.ok(took >= retryMs - 15 && took < retryMs + 300, `told ${retryMs} ms, took ${took} ms`)
    })

    it('returns a wait of 0 for admitted requests', async () => {
      assert.equal((await take(open(), 'a')).retryMs, 0)
    })

    it('counts all of many concurrent requests', async () => {
      const store = open({ limit: 150, windowMs: 3_600_000 })
      const standings = await Promise.all(Array.from({ length: 200 }, () => take(store, 'a')))
      assert.equal(standings.filter(({ allowed }) => allowed).length, 150)
      assert.equal(Math.min(...standings.map(({ remaining }) => remaining)), 0)
    })

    it('keeps similar keys separate', async () => {
      const store = open({ limit: 1 })
      const keys = ['a', 'a:', ':a', 'A', ' a', 'a\0', 'é', 'e\u0301', '127.0.0.1', '::1', '2001:db8::/56', 'x}', '{x}']
      const allowed = await Promise.all(keys.map(async key => (await take(store, key)).allowed))
      assert.deepEqual(
        allowed,
        keys.map(() => true),
      )
    })

    it('restores the full limit after one window without requests', async () => {
      const store = open({ limit: 3, windowMs: 300 })
      for (let i = 0; i < 3; i++) await take(store, 'a')
      await until(async () => (await take(store, 'b')).resetMs > 0, { what: 'another key counts' })
      const since = performance.now()
      await until(() => performance.now() - since > 330, { what: 'a window' })
      assert.partialDeepStrictEqual(await take(store, 'a'), { allowed: true, remaining: 2 })
    })

    if (algorithm === 'gcra') {
      it('restores quota evenly, so that a client cannot burst twice around the edge of a window', async () => {
        const store = open({ limit: 10, windowMs: 1_000 })
        const started = performance.now()
        let passed = 0
        await until(
          async () => {
            if ((await take(store, 'a')).allowed) passed++
            return performance.now() - started > 950
          },
          { what: 'most of a window', intervalMs: 1 },
        )
        const elapsed = performance.now() - started
        assert.ok(passed >= 10 && passed <= 10 + Math.ceil(elapsed / 100), `${passed} in ${elapsed} ms`)
        const standing = await take(store, 'a')
        assert.ok(standing.retryMs <= 101, `${standing.retryMs} ms`)
      })
    } else {
      it('ends the window one window length after its first request, whatever follows', async () => {
        const store = open({ windowMs: 30_000 })
        const started = performance.now()
        const first = (await take(store, 'a')).resetMs
        assert.ok(first >= 29_900 && first <= 30_000, String(first))
        await until(() => performance.now() > started + 50, { what: 'a moment' })
        const second = (await take(store, 'a')).resetMs + performance.now() - started
        assert.ok(Math.abs(second - first) < 100, `${second} instead of ${first}`)
      })
    }

    if (!takesAll) return

    it('charges a request its cost, and refuses it if the whole cost does not fit', async () => {
      const store = open({ limit: 10, windowMs: 3_600_000, cost: { standard: 1, methods: { POST: 4, PUT: 2 } } })
      const seen = []
      for (const cost of [4, 4, 4, 2, 1]) seen.push(await take(store, 'a', cost))
      assert.deepEqual(
        seen.map(({ allowed, remaining }) => [allowed, remaining]),
        [
          [true, 6],
          [true, 2],
          [false, 2],
          [true, 0],
          [false, 0],
        ],
      )
    })

    it('counts a request against all policies or, if one refuses, against none', async () => {
      const store = open(
        { name: 'narrow', limit: 1, windowMs: 3_600_000 },
        { name: 'wide', limit: 5, windowMs: 3_600_000 },
      )
      const seen = []
      for (let i = 0; i < 3; i++) seen.push(await store.take('a', [1, 1]))
      assert.deepEqual(
        seen.map(standings => standings.map(({ allowed, remaining }) => [allowed, remaining])),
        [
          [
            [true, 0],
            [true, 4],
          ],
          [
            [false, 0],
            [true, 4],
          ],
          [
            [false, 0],
            [true, 4],
          ],
        ],
      )
    })

    it('does not let a dry-run policy refuse requests for the others', async () => {
      const store = open({ name: 'tried', limit: 1, dryRun: true }, { name: 'real', limit: 5, windowMs: 3_600_000 })
      const seen = []
      for (let i = 0; i < 3; i++) seen.push(await store.take('a', [1, 1]))
      assert.deepEqual(
        seen.map(standings => standings.map(({ allowed }) => allowed)),
        [
          [true, true],
          [false, true],
          [false, true],
        ],
      )
      assert.equal(seen[2]?.[1]?.remaining, 2)
    })

    it('returns a separate wait for each policy', async () => {
      const store = open({ name: 'short', limit: 1, windowMs: 1_000 }, { name: 'long', limit: 1, windowMs: 100_000 })
      await store.take('a', [1, 1])
      const [short, long] = await store.take('a', [1, 1])
      assert.ok(Number(short?.retryMs) <= 1_000 && Number(long?.retryMs) > 99_000)
    })
  })
}

const connectTo = async (url: string): Promise<RedisConnection> => {
  const redis = new RedisConnection(url, recordedLog().log)
  await redis.settle(2_000)
  return redis
}

async function inMemory(): Promise<Subject> {
  const stores: LocalStore[] = []
  return {
    open: (_, policies) => {
      const store = new LocalStore(policies, 1)
      stores.push(store)
      return store
    },
    close: async () => {
      for (const store of stores) store.close()
    },
  }
}

function inRedis(
  open: (routeName: string, policies: Policies, redis: RedisConnection) => RateLimitStore,
): () => Promise<Subject> {
  return async () => {
    const server = await startRedis()
    const redis = await connectTo(server.url)
    return {
      open: (routeName, policies) => open(routeName, policies, redis),
      close: async () => {
        redis.close()
        await server.stop()
      },
    }
  }
}

/** The store as the gateway uses it: Redis, with local counts and the logic between them. */
function asGroup(url: (server: { url: string } | undefined) => Promise<string>, withServer: boolean) {
  return async (): Promise<Subject> => {
    const server = withServer ? await startRedis() : undefined
    const redis = await connectTo(await url(server))
    const groups: PolicyGroup[] = []
    return {
      open: (routeName, policies) => {
        const group = new PolicyGroup({ routeName, policies, replicas: 1, redis })
        groups.push(group)
        return {
          take: async (key, costs) => {
            const { standings, store } = await group.take(key, costs)
            assert.equal(store, withServer ? 'redis' : 'local')
            return standings ?? []
          },
        }
      },
      close: async () => {
        for (const group of groups) group.close()
        redis.close()
        await server?.stop()
      },
    }
  }
}

const nowhere = async (): Promise<string> => `redis://127.0.0.1:${await freePort()}`
const there = async (server: { url: string } | undefined): Promise<string> => server?.url ?? ''
const scripts = inRedis((routeName, policies, redis) => new RedisScriptStore(routeName, policies, redis))
const windows = inRedis((routeName, [policy], redis) => new RedisWindowStore(routeName, policy, redis))

for (const algorithm of ['fixed-window', 'gcra'] as const) {
  describeStore(`in memory, ${algorithm}`, { algorithm, needsRedis: false, takesAll: true, prepare: inMemory })
  describeStore(`in Redis, ${algorithm}`, { algorithm, needsRedis: true, takesAll: true, prepare: scripts })
  describeStore(`of the gateway, ${algorithm}`, {
    algorithm,
    needsRedis: true,
    takesAll: true,
    prepare: asGroup(there, true),
  })
  describeStore(`of a Redis that is not there, ${algorithm}`, {
    algorithm,
    needsRedis: false,
    takesAll: true,
    prepare: asGroup(nowhere, false),
  })
}
describeStore('of rate-limit-redis', {
  algorithm: 'fixed-window',
  needsRedis: true,
  takesAll: false,
  prepare: windows,
})
