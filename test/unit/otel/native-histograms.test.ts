import assert from 'node:assert/strict'
import { nativeBuckets, schemaOf } from '../../../otel/sdk/exposition/native-histograms'

describe('native histograms', () => {
  for (const [what, bucket, scale, schema, expected] of [
    ['one run', { offset: 2, bucketCounts: [1, 3, 2] }, 3, 3, [[[3, 3]], [1, 2, -1]]],
    [
      'a gap',
      { offset: -2, bucketCounts: [4, 0, 0, 1] },
      0,
      0,
      [
        [
          [-1, 1],
          [2, 1],
        ],
        [4, -3],
      ],
    ],
    ['finer buckets than Prometheus has', { offset: -3, bucketCounts: [1, 1, 1, 1, 1] }, 10, 8, [[[0, 2]], [3, -1]]],
    ['no observation', { offset: 0, bucketCounts: [0, 0] }, 8, 8, [[], []]],
  ] as const) {
    it(`have the buckets of ${what}`, () => {
      const found = nativeBuckets({ offset: bucket.offset, bucketCounts: [...bucket.bucketCounts] }, scale, schema)
      assert.deepEqual([found.spans.map(({ offset, length }) => [offset, length]), found.deltas], expected)
    })
  }

  it('have a schema from -4 to 8', () => {
    assert.deepEqual([20, 8, 3, -4, -5].map(schemaOf), [8, 8, 3, -4, undefined])
  })
})
