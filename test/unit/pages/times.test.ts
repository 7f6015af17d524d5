import assert from 'node:assert/strict'
import { clock, clockOrDate, duration, lasted, timeElement } from '../../../src/pages/times'

const TIME = Date.parse('2026-11-03T16:02:11.987Z')

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

describe('how long something lasted', () => {
  for (const [seconds, text] of [
    [-5, '0 s'],
    [0.4, '0 s'],
    [59.6, '1 min'],
    [230, '3 min 50 s'],
    [3_600, '1 h'],
    [3_605, '1 h'],
    [7_500, '2 h 5 min'],
    [90_000, '1 d 1 h'],
  ] as const) {
    it(`is ${text} for ${seconds} s`, () => assert.equal(lasted(seconds * 1_000), text))
  }
})

describe('a time', () => {
  it('is in UTC', () => assert.equal(clock(TIME), '16:02:11'))

  it('has its day where that is not today', () => {
    assert.equal(clockOrDate(TIME, TIME + 3_600_000), '16:02:11')
    assert.equal(clockOrDate(TIME, TIME + 86_400_000), '3 Nov 2026 16:02:11')
  })

  it('is there for machines too', () => {
    assert.match(timeElement(TIME).toString(), /^<time datetime="2026-11-03T16:02:11\.987Z"[^>]*>16:02:11<\/time>$/)
  })

  it('that is none costs nothing but itself', () => {
    for (const broken of [NaN, Infinity, 1e20]) assert.equal(clock(broken), '00:00:00')
  })
})
