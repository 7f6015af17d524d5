import assert from 'node:assert/strict'
import { Reservoir } from '../../../../src/observe/samples/reservoir'

describe('a reservoir', () => {
  it('holds everything as long as it is not full', () => {
    const reservoir = new Reservoir<number>(5)
    for (let item = 0; item < 5; item++) reservoir.put(reservoir.next(), item)
    assert.deepEqual(reservoir.items, [0, 1, 2, 3, 4])
    assert.equal(reservoir.seen, 5)
  })

  it('takes each item of a longer stream with the same chance', () => {
    const [capacity, length, rounds] = [10, 200, 4_000]
    const taken = Array.from({ length: 4 }, () => 0)
    for (let round = 0; round < rounds; round++) {
      const reservoir = new Reservoir<number>(capacity)
      for (let item = 0; item < length; item++) {
        const index = reservoir.next()
        if (index !== -1) reservoir.put(index, item)
      }
      assert.equal(reservoir.items.length, capacity)
      assert.equal(reservoir.seen, length)
      for (const item of reservoir.items) taken[Math.floor(item / 50)]! += 1
    }
    const expected = (capacity * rounds) / taken.length
    // Seven standard deviations: it fails once in some 10^11 runs.
    for (const count of taken) assert.ok(Math.abs(count - expected) < 7 * Math.sqrt(expected), taken.join(' '))
  })

  it('takes few of a long stream, so that few samples are made', () => {
    const reservoir = new Reservoir<number>(50)
    let made = 0
    for (let item = 0; item < 100_000; item++) {
      const index = reservoir.next()
      if (index === -1) continue
      made++
      reservoir.put(index, item)
    }
    assert.ok(made < 1_000, `${made} of 100000`)
  })
})
