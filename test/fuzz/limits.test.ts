import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import * as fc from 'fast-check'
import { LocalStore } from '../../src/policies/rate-limit/local-store'
import type { RateLimitPolicy } from '../../src/policies/rate-limit/schema'
import { holds } from './properties'

const WINDOW_MS = 1_000

interface Request {
  readonly key: string
  readonly cost: number
  /** Since the request before. */
  readonly afterMs: number
}
interface Passed {
  readonly at: number
  readonly cost: number
}

const limits = fc.integer({ min: 3, max: 20 })
const requests = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b'),
    cost: fc.integer({ min: 1, max: 3 }),
    afterMs: fc.integer({ min: 0, max: 400 }),
  }),
  { maxLength: 200 },
)

describe('any order of requests', () => {
  // The one on the prototype is under it.
  afterEach(() => Reflect.deleteProperty(performance, 'now'))

  it('gets no more than the limit in a fixed window, which begins with its first request', () => {
    holds(
      fc.property(limits, requests, (limit, sent) => {
        for (const passed of pass(sent, [policy('fixed-window', limit)]).values()) {
          let endsAt = 0
          let used = 0
          for (const { at, cost } of passed) {
            if (at >= endsAt) [endsAt, used] = [at + WINDOW_MS, 0]
            used += cost
            assert.ok(used <= limit, `${used} of ${limit} in one window`)
          }
        }
      }),
      300,
    )
  })

  it('gets no more than the limit and what has drained since from GCRA, in any stretch of time', () => {
    holds(
      fc.property(limits, requests, (limit, sent) => {
        for (const passed of pass(sent, [policy('gcra', limit)]).values()) assertDrained(passed, limit)
      }),
      300,
    )
  })

  it('uses nothing of one limit when another one refuses it', () => {
    holds(
      fc.property(requests, sent => {
        const both = pass(sent, [policy('gcra', 4), policy('fixed-window', 1_000)])
        const one = pass(sent, [policy('gcra', 4)])
        assert.deepEqual(both, one)
        for (const passed of both.values()) assertDrained(passed, 4)
      }),
      300,
    )
  })

  /** What passes of them, by key. */
  function pass(sent: readonly Request[], policies: readonly RateLimitPolicy[]): ReadonlyMap<string, Passed[]> {
    let now = 1_000_000
    performance.now = () => now
    const store = new LocalStore(policies, 1)
    const passed = new Map<string, Passed[]>()
    for (const { key, cost, afterMs } of sent) {
      now += afterMs
      const standings = store.take(
        key,
        policies.map(() => cost),
      )
      if (standings.every(({ allowed }) => allowed)) passed.set(key, [...(passed.get(key) ?? []), { at: now, cost }])
      for (const { remaining, retryMs } of standings) assert.ok(remaining >= 0 && retryMs >= 0)
    }
    store.close()
    return passed
  }
})

function policy(algorithm: RateLimitPolicy['algorithm'], limit: number): RateLimitPolicy {
  return { name: algorithm, algorithm, limit, windowMs: WINDOW_MS, dryRun: false } as RateLimitPolicy
}

function assertDrained(passed: readonly Passed[], limit: number): void {
  for (let from = 0; from < passed.length; from++) {
    let used = 0
    for (const { at, cost } of passed.slice(from)) {
      used += cost
      const allowed = limit + ((at - (passed[from] as Passed).at) * limit) / WINDOW_MS
      assert.ok(used <= allowed + 1e-3, `${used} where ${allowed} are allowed`)
    }
  }
}
