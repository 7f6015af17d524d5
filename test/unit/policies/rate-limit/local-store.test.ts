import assert from 'node:assert/strict'
import { LocalStore } from '../../../../src/policies/rate-limit/local-store'
import { Refusals } from '../../../../src/policies/rate-limit/refusals'
import type { RateLimitPolicy } from '../../../../src/policies/rate-limit/schema'

const POLICY = { name: 'default', limit: 10, windowMs: 3_600_000, dryRun: false } as RateLimitPolicy

for (const algorithm of ['fixed-window', 'gcra'] as const) {
  describe(`the local count, ${algorithm}`, () => {
    let store: LocalStore
    afterEach(() => store.close())

    const passes = (key: string): boolean => store.take(key, [1])[0]?.allowed === true
    const passed = (requests: number): number =>
      Array.from({ length: requests }, () => passes('a')).filter(Boolean).length
    const open = (replicas: number, limit = 10): void => {
      store = new LocalStore([{ ...POLICY, algorithm, limit }], replicas)
    }

    it('lets through this replica’s share', () => {
      open(3)
      assert.equal(passed(10), 3)
    })

    it('lets one request through where there are more replicas than the limit', () => {
      open(20)
      assert.equal(passed(10), 1)
    })

    it('begins with what was counted along', () => {
      open(1)
      store.note('a', [1], [{ allowed: true, remaining: 0, resetMs: 3_600_000, retryMs: 0 }])
      store.note('a', [4], [{ allowed: true, remaining: 0, resetMs: 3_600_000, retryMs: 0 }])
      assert.equal(passed(10), 5)
      assert.equal(store.inUse('a')[0]?.cost, 10)
    })

    it('counts along no request that Redis refused', () => {
      open(1)
      store.note('a', [10], [{ allowed: false, remaining: 0, resetMs: 3_600_000, retryMs: 1 }])
      assert.equal(passed(10), 10)
    })

    it('goes by no clock that can be set', () => {
      open(1, 2)
      const wall = Date.now
      assert.equal(passed(3), 2)
      try {
        for (const jumpMs of [-3_600_000, 7_200_000]) {
          Date.now = () => wall() + jumpMs
          const [standing] = store.take('a', [1])
          assert.equal(standing?.allowed, false)
          assert.ok(standing.retryMs > 0 && standing.retryMs <= 3_600_000, `${standing.retryMs} ms`)
        }
      } finally {
        Date.now = wall
      }
    })

    it('never refuses a client for what others used, however many there are, and remembers those that come again', () => {
      open(1, 2)
      assert.equal(passed(3), 2)
      for (let i = 0; i < 100_005; i++) {
        assert.ok(passes(`made up ${i}`))
        if (i % 1_000 === 0) assert.ok(!passes('a'), 'seen again and again, so not forgotten')
      }
      assert.ok(passes('a tenant never seen before'))
    })

    it('has nothing in use for a client that it does not know', () => {
      open(1)
      assert.deepEqual(store.inUse('a'), [{ cost: 0, resetMs: 0 }])
    })
  })
}

describe('a window that is counted along', () => {
  it('ends when it ends in Redis, not a whole window after this replica saw its first request', () => {
    const store = new LocalStore([{ ...POLICY, algorithm: 'fixed-window' }], 1)
    store.note('a', [1], [{ allowed: true, remaining: 5, resetMs: 60_000, retryMs: 0 }])
    const resetMs = store.inUse('a')[0]?.resetMs ?? 0
    assert.ok(resetMs > 59_000 && resetMs <= 60_000, `${resetMs} ms`)
    store.close()
  })
})

describe('remembered refusals', () => {
  const REFUSED = [{ allowed: false, remaining: 0, resetMs: 60_000, retryMs: 30_000 }]

  it('answer for a client until its request would pass', () => {
    const refusals = new Refusals()
    refusals.remember('a', [1], REFUSED, 30_000)
    const [standing] = refusals.recall('a', [1]) ?? []
    assert.equal(standing?.allowed, false)
    assert.ok(standing.retryMs > 29_000 && standing.retryMs <= 30_000)
    assert.equal(refusals.recall('b', [1]), undefined)
    refusals.remember('c', [1], REFUSED, 0)
    assert.equal(refusals.recall('c', [1]), undefined)
  })

  it('do not answer for a request that counts for less', () => {
    const refusals = new Refusals()
    refusals.remember('a', [5], REFUSED, 30_000)
    assert.equal(refusals.recall('a', [1]), undefined)
    assert.notEqual(refusals.recall('a', [6]), undefined)
  })

  it('are ten thousand at the most, the oldest are forgotten first', () => {
    const refusals = new Refusals()
    for (let i = 0; i <= 10_000; i++) refusals.remember(`client-${i}`, [1], REFUSED, 30_000)
    assert.equal(refusals.recall('client-0', [1]), undefined)
    assert.notEqual(refusals.recall('client-1', [1]), undefined)
  })
})
