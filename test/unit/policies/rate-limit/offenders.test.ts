import assert from 'node:assert/strict'
import { TopOffenders } from '../../../../src/policies/rate-limit/offenders'
import type { RateLimitPolicy } from '../../../../src/policies/rate-limit/schema'

const POLICY = { name: 'default', offenders: 'clear' } as RateLimitPolicy

describe('the top offenders', () => {
  it('are counted exactly while they are few, those with most first', () => {
    const top = new TopOffenders('orders', POLICY)
    for (const client of ['a', 'b', 'b', 'c', 'b', 'c']) top.note(client)
    assert.deepEqual(top.list(), {
      route: 'orders',
      policy: 'default',
      limited: 6,
      offenders: [
        { client: 'b', count: 3, error: 0 },
        { client: 'c', count: 2, error: 0 },
        { client: 'a', count: 1, error: 0 },
      ],
    })
  })

  it('stay few among many, and whoever has a large share is certainly there', () => {
    const top = new TopOffenders('orders', POLICY)
    for (let i = 0; i < 100_000; i++) top.note(i % 10 === 0 ? 'heavy' : i % 25 === 1 ? 'second' : `stray-${i}`)
    const { limited, offenders } = top.list()
    assert.equal(limited, 100_000)
    assert.equal(offenders.length, 50)
    assert.deepEqual(
      offenders.slice(0, 2).map(({ client }) => client),
      ['heavy', 'second'],
    )
    const heavy = offenders[0]!
    assert.ok(heavy.count >= 10_000 && heavy.count - heavy.error <= 10_000, `${heavy.count} ± ${heavy.error}`)
    assert.ok(offenders.every(({ error }) => error <= 100_000 / 50))
  })

  it('are shown as digests unless the policy says otherwise, the same client always as the same', () => {
    const list = (): string[] => {
      const top = new TopOffenders('orders', { ...POLICY, offenders: 'hashed' })
      top.note('203.0.113.9')
      top.note('203.0.113.10')
      return top.list().offenders.map(({ client }) => client)
    }
    const [first, second] = list()
    assert.match(first ?? '', /^[0-9a-f]{12}$/)
    assert.notEqual(first, second)
    assert.deepEqual(list(), [first, second])
  })
})
