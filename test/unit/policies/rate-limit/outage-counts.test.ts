import assert from 'node:assert/strict'
import { LocalStore } from '../../../../src/policies/rate-limit/local-store'
import { OutageCounts } from '../../../../src/policies/rate-limit/outage-counts'
import type { RateLimitPolicy } from '../../../../src/policies/rate-limit/schema'

const POLICY = { name: 'default', algorithm: 'fixed-window', limit: 1_000_000, windowMs: 3_600_000, dryRun: false }

describe('the counts of an outage', () => {
  let local: LocalStore
  let owed: OutageCounts
  /** What Redis was told, by key. */
  let told: Map<string, number>

  beforeEach(() => {
    local = new LocalStore([POLICY as RateLimitPolicy], 1)
    owed = new OutageCounts()
    told = new Map()
  })
  afterEach(() => local.close())

  const count = (key: string): void => {
    local.take(key, [1])
    owed.add(key, [1])
  }
  const redis = (meanwhile: () => void = () => {}) => ({
    handBack: async (key: string, [counted]: readonly { readonly cost: number }[]): Promise<void> => {
      told.set(key, (told.get(key) ?? 0) + (counted?.cost ?? 0))
      await Promise.resolve()
      meanwhile()
    },
  })

  it('are told once, each client’s in one piece', async () => {
    for (let i = 0; i < 1_000; i++) count(`client ${i % 500}`)
    await owed.handBack(local, redis())
    await owed.handBack(local, redis())
    assert.equal(told.size, 500)
    assert.ok([...told.values()].every(cost => cost === 2))
  })

  it('are kept for clients that Redis cannot take yet, as of a lost shard', async () => {
    for (const key of ['lost', 'there']) count(key)
    await owed.handBack(local, redis(), key => key !== 'lost')
    assert.deepEqual([...told.keys()], ['there'])
    await owed.handBack(local, redis())
    assert.deepEqual([...told.keys()], ['there', 'lost'])
  })

  it('are told to a Redis that has just returned in batches', async () => {
    for (let i = 0; i < 1_000; i++) count(`client ${i}`)
    let underWay = 0
    let most = 0
    await owed.handBack(local, {
      handBack: async () => {
        most = Math.max(most, ++underWay)
        await Promise.resolve()
        underWay--
      },
    })
    assert.equal(most, 200)
  })

  it('are told in the end, though requests go on all the time: nothing waits until there is nothing to tell', async () => {
    let counted = 0
    const busy = redis(() => {
      counted++
      count('busy')
    })
    count('busy')
    await owed.handBack(local, busy)
    const rest = owed.handBackRest(local, redis())
    assert.equal(told.get('busy'), counted + 1, 'the rest is sent at once')
    await rest
  })

  it('are kept for the next time when Redis fails again', async () => {
    for (let i = 0; i < 3; i++) count('a')
    const failing = { handBack: () => Promise.reject(new Error('gone')) }
    await assert.rejects(owed.handBack(local, failing), /gone/)
    await owed.handBackRest(local, failing)
    await owed.handBack(local, redis())
    assert.equal(told.get('a'), 3)
  })
})
