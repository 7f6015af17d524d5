import assert from 'node:assert/strict'
import { duration } from '../../../src/page/times'

describe('a duration', () => {
  for (const [ms, text] of [
    [0, '0'],
    [0.0421, '0.0421 ms'],
    [17.345, '17.3 ms'],
    [999, '999 ms'],
    [2_049, '2.05 s'],
    [119_000, '119 s'],
    [600_000, '10 min'],
  ] as const) {
    it(`of ${ms} ms is written ${text}`, () => assert.equal(duration(ms), text))
  }
})
