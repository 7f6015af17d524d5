import assert from 'node:assert/strict'
import { putBeside } from '../../../../src/incidents/evidence/beside'
import type { TraceSpan } from '../../../../src/incidents/evidence/otlp-trace'

describe('a failing trace beside a good one', () => {
  it('shows what is missing, what is longer, what failed and what came in addition', () => {
    const good = [
      span('GET /orders', 1_000, 30),
      span('check', 1_001, 2),
      span('query', 1_004, 10),
      span('render', 1_020, 5),
    ]
    const failing = [
      { ...span('GET /orders', 5_000, 900), isError: true },
      span('check', 5_001, 2),
      span('query', 5_004, 400),
      span('query', 5_410, 400),
    ]
    assert.deepEqual(
      putBeside(failing, good).map(({ name, failing: one, good: other, difference }) => [
        name,
        one?.durationMs,
        other?.durationMs,
        difference,
      ]),
      [
        ['GET /orders', 900, 30, 'failed'],
        ['check', 2, 2, undefined],
        ['query', 400, 10, 'longer'],
        ['render', undefined, 5, 'missing'],
        ['query', 400, undefined, 'additional'],
      ],
    )
  })

  it('makes no difference of a few milliseconds', () => {
    assert.equal(putBeside([span('a', 0, 4)], [span('a', 0, 1)])[0]?.difference, undefined)
    assert.equal(putBeside([span('a', 0, 1)], [span('a', 0, 80)])[0]?.difference, 'shorter')
  })
})

function span(name: string, startMs: number, durationMs: number): TraceSpan {
  return {
    spanId: `${name}${startMs}`,
    parentSpanId: undefined,
    service: 'orders',
    name,
    kind: 'server',
    startMs,
    durationMs,
    isError: false,
    attributes: {},
    exception: undefined,
  }
}
