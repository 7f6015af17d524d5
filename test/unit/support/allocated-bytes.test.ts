import assert from 'node:assert/strict'
import { allocatedBytes } from '../../support/allocated-bytes'

type Collections = Parameters<typeof allocatedBytes>[1]

/** Of what V8 says about a collection, the part that counts. */
function collection(before: number, after: number): Collections[number] {
  return {
    beforeGC: { heapStatistics: { usedHeapSize: before } },
    afterGC: { heapStatistics: { usedHeapSize: after } },
  } as Collections[number]
}

describe('allocated bytes', () => {
  it('are the growth of the heap when nothing was collected', () => {
    assert.equal(allocatedBytes(100, [], 350), 250)
  })

  it('are the sum of all growth between collections, however much those free', () => {
    assert.equal(allocatedBytes(100, [collection(400, 50), collection(500, 500)], 520), 300 + 450 + 20)
    assert.equal(allocatedBytes(100, [collection(400, 0), collection(450, 10)], 30), 300 + 450 + 20)
  })
})
