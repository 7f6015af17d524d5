import assert from 'node:assert/strict'
import { LostSlots, slotOf } from '../../../src/redis/lost-slots'

const SLOTS = 16_384
const [FIRST, SECOND, REPLICA] = ['10.0.0.1:6379', '10.0.0.2:6379', '10.0.0.3:6379'] as const

describe('the slot of a key', () => {
  it('is the one of the Redis Cluster specification', () => {
    assert.equal(slotOf('123456789'), 0x31c3)
    assert.equal(slotOf(''), 0)
  })

  it('is the one of the first part in braces, unless that is empty', () => {
    assert.equal(slotOf('myesi:rl:app:default:{10.1.0.1}'), slotOf('10.1.0.1'))
    assert.equal(slotOf('foo{{bar}}zap'), slotOf('{bar'))
    assert.equal(slotOf('foo{bar}{zap}'), slotOf('bar'))
    assert.notEqual(slotOf('foo{}{bar}'), slotOf('bar'))
  })
})

describe('the lost slots of a cluster', () => {
  let cluster: { slots: string[][] }
  let lost: LostSlots

  beforeEach(() => {
    cluster = { slots: Array.from({ length: SLOTS }, (_, slot) => (slot < SLOTS / 2 ? [FIRST, REPLICA] : [SECOND])) }
    lost = new LostSlots(cluster)
  })

  /** A key on one of the two masters. */
  function keyOn(master: string): string {
    return ['a', 'b', 'c', 'd', 'e'].find(key => cluster.slots[slotOf(key)]?.[0] === master)!
  }

  it('are all slots of the master that failed, and no others', () => {
    lost.lose(keyOn(FIRST))
    assert.equal(lost.size, SLOTS / 2)
    assert.deepEqual([lost.has(keyOn(FIRST)), lost.has(keyOn(SECOND))], [true, false])
    assert.equal(lost.areAll, false)
    lost.lose(keyOn(SECOND))
    assert.equal(lost.areAll, true)
  })

  it('stay lost when another node has them, until that one was prepared', async () => {
    lost.lose(keyOn(FIRST))
    for (const slot of cluster.slots) if (slot[0] === FIRST) slot.splice(0, 1)
    assert.equal(lost.has(keyOn(REPLICA)), true)
    const [probe, ...others] = lost.probes('lost')
    assert.deepEqual([cluster.slots[slotOf(probe!.key)]?.[0], others.length], [REPLICA, 0])
    await assert.rejects(lost.give(probe!.slots, async () => Promise.reject(new Error('gone again'))))
    assert.equal(lost.has(keyOn(REPLICA)), true)
    await lost.give(probe!.slots, async () => {
      assert.deepEqual([lost.has(probe!.key), lost.willHave(probe!.key)], [true, false])
      return Promise.resolve()
    })
    assert.equal(lost.size, 0)
  })

  it('can be probed at every master, by a key that it has', () => {
    const probes = lost.probes('all')
    assert.deepEqual(new Set(probes.map(({ key }) => cluster.slots[slotOf(key)]?.[0])), new Set([FIRST, SECOND]))
  })
})
