import assert from 'node:assert/strict'
import { readSpans } from '../../../../src/incidents/evidence/otlp-trace'

describe('the spans of a trace', () => {
  it('have the same kind and status as a number and as the name that Tempo writes', () => {
    const spans = [
      { kind: 2, status: { code: 2 } },
      { kind: 'SPAN_KIND_SERVER', status: { code: 'STATUS_CODE_ERROR' } },
      { kind: 3, status: { code: 1 } },
      { kind: 'SPAN_KIND_CLIENT', status: { code: 'STATUS_CODE_OK' } },
      { kind: 'SPAN_KIND_INTERNAL' },
    ]
    const read = readSpans({ resourceSpans: [{ scopeSpans: [{ spans }] }] })
    assert.deepEqual(
      read.map(({ kind, isError }) => `${kind} ${isError}`),
      ['server true', 'server true', 'client false', 'client false', 'other false'],
    )
  })
})
