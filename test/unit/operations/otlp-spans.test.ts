import assert from 'node:assert/strict'
import { readSpans } from '../../../src/operations/otlp-spans'

describe('spans of OTLP/JSON', () => {
  it('keep their nanoseconds', () => {
    const times = { startTimeUnixNano: '1763915882258123456', endTimeUnixNano: '1763915882258623456' }
    const span = { traceId: 'a', spanId: 'b', name: 'GET', kind: 3, ...times }
    const [read] = readSpans(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))
    assert.equal(read?.durationMs.toFixed(3), '0.500')
    assert.equal(read.kind, 'client')
    assert.deepEqual([read.service, read.attributes, read.events, read.parentSpanId], ['', [], [], undefined])
  })

  it('have attributes of every kind as text', () => {
    const values = [{ stringValue: 'a' }, { intValue: 7 }, { boolValue: true }, { arrayValue: { values: [] } }]
    const attributes = values.map((value, index) => ({ key: `k${index}`, value }))
    const span = {
      traceId: 'a',
      spanId: 'b',
      name: '',
      kind: 0,
      startTimeUnixNano: '0',
      endTimeUnixNano: '0',
      attributes,
    }
    const [read] = readSpans(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }))
    assert.deepEqual(
      read?.attributes.map(([, value]) => value),
      ['a', '7', 'true', '{"values":[]}'],
    )
  })
})
