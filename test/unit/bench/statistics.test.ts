import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import type * as Statistics from '../../../bench/statistics.js' with { 'resolution-mode': 'import' }

// The bench runs from its sources; compiled, this file is dist/test/unit/bench/statistics.test.js.
const { interpolate, meanRatio, median, percentile, ratios, spreadOfLaunches } = require(
  resolve(__dirname, '../../../../bench/statistics.ts'),
) as typeof Statistics

describe("the bench's arithmetic", () => {
  it('takes the middle value, or the mean of the two in the middle', () => {
    assert.equal(median([9, 1, 5]), 5)
    assert.equal(median([9, 1, 5, 6]), 5.5)
    assert.throws(() => median([]), RangeError)
  })

  it('takes the nearest rank as percentile', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
    assert.equal(percentile(hundred, 0.5), 50)
    assert.equal(percentile(hundred, 0.99), 99)
    assert.equal(percentile(hundred, 0.999), 100)
    assert.equal(percentile([7], 0), 7)
  })

  it('puts the reference on the line between its measurements before and after', () => {
    const samples = [
      { at: 10, value: 100 },
      { at: 20, value: 120 },
      { at: 40, value: 80 },
    ]
    assert.equal(interpolate(samples, 10), 100)
    assert.equal(interpolate(samples, 15), 110)
    assert.equal(interpolate(samples, 20), 120)
    assert.equal(interpolate(samples, 35), 90)
  })

  it('takes the nearest measurement of the reference outside of all of them', () => {
    const samples = [
      { at: 10, value: 100 },
      { at: 20, value: 120 },
    ]
    assert.equal(interpolate(samples, 5), 100)
    assert.equal(interpolate(samples, 25), 120)
    assert.throws(() => interpolate([], 1), RangeError)
  })

  it('compares launches by the median of their rounds, so that one bad round of one launch is not its spread', () => {
    const launches = [
      [1, 1.1, 9],
      [1.2, 1.3, 1.4],
      [1.5, 1.6, 0.1],
    ]
    assert.deepEqual(spreadOfLaunches(launches), { median: 1.3, min: 1.1, max: 1.5 })
  })

  it('has the spread of the rounds when there was one launch only', () => {
    assert.deepEqual(spreadOfLaunches([[3, 1, 2]]), { median: 2, min: 1, max: 3 })
  })

  it('divides values of the same launch and round', () => {
    assert.deepEqual(ratios([[2, 6], [9]], [[1, 2], [3]]), [[2, 3], [3]])
    assert.throws(() => ratios([[1, 2]], [[1]]), RangeError)
  })

  it('has an interval around the mean ratio that narrows with more launches', () => {
    const four = meanRatio([1.1, 1.2, 1.1, 1.2])
    const sixteen = meanRatio(Array.from({ length: 16 }, (_, index) => (index % 2 === 0 ? 1.1 : 1.2)))
    assert.ok(four && sixteen)
    assert.ok(Math.abs(four.mean - Math.sqrt(1.1 * 1.2)) < 1e-12)
    // By hand: logs 0.09531 and 0.18232, standard deviation 0.05024, Student 3.18, half width 0.07988.
    assert.ok(Math.abs(four.high / four.mean - Math.exp(0.07988)) < 1e-3)
    assert.ok(sixteen.high - sixteen.low < (four.high - four.low) / 2)
  })

  it('has no interval for a single launch', () => {
    assert.equal(meanRatio([1.1]), undefined)
  })

  it('finds no difference between ratios that scatter around 1', () => {
    const interval = meanRatio([0.9, 1.1, 1.02, 0.98, 1.05, 0.95])
    assert.ok(interval && interval.low < 1 && interval.high > 1)
  })
})
