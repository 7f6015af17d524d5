import assert from 'node:assert/strict'
import { Calm } from '../../../src/redis/calm'

describe('a Redis that was too slow', () => {
  /** How many quick probes it needs until it is back. */
  const probesNeeded = (calm: Calm): number => {
    for (let probes = 1; probes <= 100; probes++) if (calm.isOver(10)) return probes
    return Infinity
  }

  it('is back when a probe is answered in half of the time that a request may wait', () => {
    const calm = new Calm(200)
    calm.tooSlow(true, 0)
    assert.equal(calm.isOver(150), false)
    assert.equal(calm.isOver(99), true)
  })

  it('needs twice as many quick probes in a row after each relapse, within bounds, and one again after a steady minute', () => {
    const calm = new Calm(200)
    const needed = []
    let now = 0
    for (let relapse = 0; relapse < 8; relapse++) {
      calm.tooSlow(true, now)
      needed.push(probesNeeded(calm))
      calm.back((now += 1_000))
      now += 1_000
    }
    assert.deepEqual(needed, [1, 2, 4, 8, 16, 32, 32, 32])
    calm.tooSlow(true, now + 61_000)
    assert.equal(probesNeeded(calm), 1)
  })

  it('begins to count again with a probe that is slow, or is not answered', () => {
    const calm = new Calm(200)
    calm.tooSlow(true, 0)
    calm.isOver(1)
    calm.back(0)
    calm.tooSlow(true, 1)
    assert.deepEqual([calm.isOver(1), calm.isOver(150), calm.isOver(1)], [false, false, false])
    calm.tooSlow(false, 2)
    assert.deepEqual([calm.isOver(1), calm.isOver(1)], [false, true])
  })

  it('is back at once where it was away for another reason', () => {
    assert.equal(new Calm(200).isOver(199), true)
  })
})
