import assert from 'node:assert/strict'
import type { Signature } from '../../../../src/incidents/evidence/evidence'
import { isPartial, mergeEvidence } from '../../../../src/incidents/evidence/merge'
import { evidenceOf, NOW, traceOf } from '../record/alerts'

describe('a second look for evidence', () => {
  it('takes nothing away when it finds nothing any more', () => {
    const before = evidenceOf({
      signatures: [signature(37)],
      traces: [traceOf()],
      firstBadMs: NOW - 9_000,
      lastGoodMs: NOW - 10_000,
      changes: [{ timeMs: NOW - 60_000, what: 'a release' }],
      limitedClients: [{ client: 'a', count: 3 }],
      curve: {
        what: 'failed requests',
        unit: 'per second',
        startMs: 0,
        stepMs: 1,
        lines: [{ name: 'a', values: [1] }],
      },
    })
    assert.deepEqual(mergeEvidence(before, evidenceOf({ missing: ['traces: gone', 'counts: gone'] })), before)
  })

  it('opens what could not be opened, and is not partial any more', () => {
    const before = evidenceOf({
      traces: [traceOf({ source: undefined }, 0)],
      missing: ['traces: some could not be opened'],
    })
    assert.equal(isPartial(before), true)
    const merged = mergeEvidence(before, evidenceOf({ traces: [traceOf()] }))
    assert.deepEqual(merged.traces, [traceOf()])
    assert.equal(isPartial(merged), false)
  })

  it('does not give up a trace that was open for one that is only named', () => {
    const after = evidenceOf({
      traces: [traceOf({ source: undefined }, 0)],
      missing: ['traces: some could not be opened'],
    })
    const merged = mergeEvidence(evidenceOf({ traces: [traceOf()] }), after)
    assert.deepEqual(merged.traces, [traceOf()])
    assert.deepEqual(merged.missing, [])
  })

  it('takes the larger count with its window, and what was said from whoever heard it', () => {
    const before = evidenceOf({ signatures: [{ ...signature(37), target: '10.0.0.7:9001', message: 'refused' }] })
    const after = evidenceOf({ window: { startMs: 0, endMs: NOW + 30_000 }, signatures: [signature(60)] })
    const merged = mergeEvidence(before, after)
    assert.deepEqual(merged.window, after.window)
    assert.deepEqual(merged.signatures, [{ ...signature(60), target: '10.0.0.7:9001', message: 'refused' }])
  })

  it('names what neither look found out', () => {
    const before = evidenceOf({ missing: ['counts: no answer in time', 'changes: no answer in time'] })
    const after = evidenceOf({ missing: ['counts: refused', 'curve: refused'] })
    assert.deepEqual(mergeEvidence(before, after).missing, ['counts: refused'])
  })

  it('keeps ten traces, those that could be opened first, newest first', () => {
    const traces = Array.from({ length: 12 }, (_, i) =>
      traceOf({ traceId: `${i}`, timeMs: NOW + i, source: undefined }, 0),
    )
    const merged = mergeEvidence(evidenceOf({ traces: [traceOf({ timeMs: NOW - 1 })] }), evidenceOf({ traces }))
    assert.equal(merged.traces.length, 10)
    assert.deepEqual(merged.traces.at(-1), traceOf({ timeMs: NOW - 1 }))
  })
})

function signature(count: number): Signature {
  return {
    route: '/orders',
    upstream: 'orders',
    reason: 'connect_refused',
    target: undefined,
    message: undefined,
    count,
    total: count,
  }
}
