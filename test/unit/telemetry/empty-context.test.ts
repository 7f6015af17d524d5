import assert from 'node:assert/strict'
import { createContextKey, ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api'
import { EMPTY_CONTEXT } from '../../../src/telemetry/empty-context'

const A = createContextKey('a')
const B = createContextKey('b')

const WAYS: Readonly<Record<string, (context: Context) => Context>> = {
  'with nothing': context => context,
  'with a value': context => context.setValue(A, 1),
  'with a value that is undefined': context => context.setValue(A, undefined),
  'with another value': context => context.setValue(A, 1).setValue(A, 2),
  'with two values': context => context.setValue(A, 1).setValue(B, 2),
  'with two values, one of them changed': context => context.setValue(A, 1).setValue(B, 2).setValue(A, 3),
  'with a value that is gone': context => context.setValue(A, 1).deleteValue(A),
  'with two values, one of them gone': context => context.setValue(A, 1).setValue(B, 2).deleteValue(A),
  'where nothing was to be deleted': context => context.deleteValue(A).setValue(A, 1).deleteValue(B),
}

describe('the empty context is like the root context', () => {
  for (const [what, go] of Object.entries(WAYS)) {
    it(what, () => {
      const [ours, theirs] = [go(EMPTY_CONTEXT), go(ROOT_CONTEXT)]
      for (const key of [A, B]) assert.equal(ours.getValue(key), theirs.getValue(key))
    })
  }

  it('with a span', () => {
    const spanContext = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 }
    const context = trace.setSpanContext(EMPTY_CONTEXT, spanContext)
    assert.deepEqual(trace.getSpanContext(context), spanContext)
    assert.equal(trace.getSpanContext(EMPTY_CONTEXT), undefined)
  })

  it('and what is made of a context leaves it as it is', () => {
    const context = EMPTY_CONTEXT.setValue(A, 1)
    context.setValue(A, 2)
    context.deleteValue(A)
    assert.deepEqual([context.getValue(A), EMPTY_CONTEXT.getValue(A)], [1, undefined])
  })
})
