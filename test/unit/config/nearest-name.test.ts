import assert from 'node:assert/strict'
import { editDistance, nearestName } from '../../../src/config/nearest-name'

describe('the nearest name', () => {
  for (const [a, b, distance] of [
    ['', '', 0],
    ['', 'abc', 3],
    ['limit', 'limit', 0],
    ['limt', 'limit', 1],
    ['limmit', 'limit', 1],
    ['limot', 'limit', 1],
    ['lmiit', 'limit', 1],
    ['kitten', 'sitting', 3],
    ['ca', 'abc', 3],
  ] as const) {
    it(`counts edits, swapped neighbours as one: ${distance} from "${a}" to "${b}"`, () => {
      assert.equal(editDistance(a, b), distance)
      assert.equal(editDistance(b, a), distance)
    })
  }

  it('gives up at the limit', () => {
    assert.equal(editDistance('kitten', 'sitting', 2), 2)
    assert.equal(editDistance('a', 'abcdef', 3), 3)
  })

  for (const [typed, nearest] of [
    ['limt', 'limit'],
    ['LIMIT', 'limit'],
    ['onStorefailure', 'onStoreFailure'],
    ['onStorFailur', 'onStoreFailure'],
    ['win', undefined],
    ['burst', undefined],
    ['', undefined],
  ] as const) {
    it(`of "${typed}" is ${nearest ?? 'none'}`, () => {
      assert.equal(nearestName(typed, ['limit', 'window', 'key', 'onStoreFailure']), nearest)
    })
  }

  it('is the nearest of several', () => {
    assert.equal(nearestName('orderss', ['border', 'orders', 'order']), 'orders')
  })
})
