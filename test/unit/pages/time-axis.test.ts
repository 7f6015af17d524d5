import assert from 'node:assert/strict'
import { timeAxis } from '../../../src/pages/time-axis'

/** Two minutes with ticks every 30 s. */
const RANGE = { startMs: Date.UTC(2026, 10, 30, 3, 21, 25), endMs: Date.UTC(2026, 10, 30, 3, 23, 15) }
const FRAME = { bottom: 166, height: 190 }

describe('the time axis of a chart', () => {
  it('leaves out a time at the edge that would touch the next one on a phone, and keeps its mark', () => {
    const axis = axisOf(RANGE)
    assert.deepEqual(textsOf(axis), ['03:22:00', '03:22:30', '03:23:00'])
    assert.equal(axis.match(/<line/g)?.length, 4)
  })

  it('keeps a time at the edge that has room', () => {
    const startMs = Date.UTC(2026, 10, 30, 3, 0, 0)
    assert.deepEqual(textsOf(axisOf({ startMs, endMs: startMs + 15 * 60_000 })), ['03:00', '03:05', '03:10', '03:15'])
  })
})

function axisOf(range: { readonly startMs: number; readonly endMs: number }): string {
  const x = (timeMs: number): number => ((timeMs - range.startMs) / (range.endMs - range.startMs)) * 100
  return timeAxis(range, x, FRAME).toString()
}

function textsOf(axis: string): string[] {
  return [...axis.matchAll(/>(\d\d:[\d:]+)</g)].map(([, text = '']) => text)
}
