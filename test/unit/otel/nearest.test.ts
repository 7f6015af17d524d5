import assert from 'node:assert/strict'
import { nearest } from '../../../otel/sdk/nearest'

describe('the nearest valid name', () => {
  const NAMES = ['otlp', 'console', 'prometheus', 'none']

  for (const [typed, meant] of [
    ['prometheus', 'prometheus'],
    ['promethues', 'prometheus'],
    ['Prometheus', 'prometheus'],
    ['prometheu', 'prometheus'],
    ['oltp', 'otlp'],
    ['otl', 'otlp'],
    ['nonee', 'none'],
    ['jaeger', undefined],
    ['zipkin', undefined],
    ['', undefined],
  ] as const) {
    it(`is ${meant} for "${typed}"`, () => {
      assert.equal(nearest(typed, NAMES), meant)
    })
  }

  it('allows as many mistakes as it is told', () => {
    assert.equal(nearest('OTEL_TRACE_EXPORTER', ['OTEL_TRACES_EXPORTER'], 1), 'OTEL_TRACES_EXPORTER')
    assert.equal(nearest('OTEL_TRAC_EXPORTER', ['OTEL_TRACES_EXPORTER'], 1), undefined)
  })
})
