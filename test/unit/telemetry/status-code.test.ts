import assert from 'node:assert/strict'
import { KNOWN_STATUSES, statusLabel } from '../../../src/telemetry/status-code'

describe('a status as a label value', () => {
  for (const [status, label] of [
    [200, 200],
    [206, 206],
    [404, 404],
    [429, 429],
    [499, 499],
    [503, 503],
    [299, 200],
    [399, 300],
    [498, 400],
    [599, 500],
    [600, 500],
    [999, 500],
    [0, 500],
    [101, 101],
    [103, 500],
  ] as const) {
    it(`is ${label} for ${status}`, () => assert.equal(statusLabel(status), label))
  }

  it('is one of a known few, whatever an upstream sends', () => {
    const labels = new Set(Array.from({ length: 1_000 }, (_, status) => statusLabel(status)))
    assert.deepEqual(
      [...labels].filter(label => !KNOWN_STATUSES.has(label)),
      [],
    )
    assert.ok(labels.size <= 64)
  })
})
