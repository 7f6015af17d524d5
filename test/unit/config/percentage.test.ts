import assert from 'node:assert/strict'
import { parsePercentage } from '../../../src/config/values/percentage'

describe('a percentage in gateway.yaml', () => {
  it('is a number above 0 and below 100', () => {
    assert.deepEqual(parsePercentage(99.95), { value: 99.95 })
  })

  for (const [found, problem, nearest] of [
    [100, 'is too large: it leaves no error budget', undefined],
    [0, 'is too small', undefined],
    [0.999, 'looks like a ratio', '99.9'],
    ['99.9 %', 'is text, not a number', '99.9'],
    [undefined, 'is missing', undefined],
    [null, 'is empty', undefined],
    [true, 'is not a number', undefined],
  ] as const) {
    it(`that ${problem} is refused: ${JSON.stringify(found)}`, () => {
      const parsed = parsePercentage(found)
      assert.ok('mistake' in parsed)
      assert.equal(parsed.mistake.problem, problem)
      assert.equal(parsed.mistake.nearest, nearest)
    })
  }
})
