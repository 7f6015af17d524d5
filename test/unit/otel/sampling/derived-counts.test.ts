import assert from 'node:assert/strict'
import { SpanKind } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { readOtelTraceState } from '../../../../otel/sdk/sampling/otel-trace-state'
import { FAULT, GOOD, startTracing } from '../kept-traces/request-spans'

/** Standard errors that a derived count may be away from the true one; a right one is further once in 15,000 runs. */
const TOLERANCE = 4

/** How many requests a span stands for, as span metrics and backends compute it from `tracestate`. */
function adjustedCount(span: ReadableSpan): number {
  const { threshold } = readOtelTraceState(span.spanContext().traceState)
  assert.ok(threshold !== undefined, 'each exported span says how it was sampled')
  return 1 / (1 - Number(BigInt(`0x${threshold}`)) / 2 ** 56)
}

describe('counts derived from sampled spans', () => {
  it('are those of all requests within the statistical error, at 1 %, with faults kept up to a rate', () => {
    const ratio = 0.01
    const tracing = startTracing({ sampler: 'parentbased_traceidratio', ratio, perSecond: 5 })
    const requests = 60_000
    const outages = 20_000
    let faults = 0
    for (let i = 0; i < requests; i++) {
      tracing.tick(1) // 1,000 requests per second
      // Rare faults, of which all are kept, and an outage, in which far more than 5 fail per second.
      const fails = i % 1_000 === 0 || (i >= requests - outages && i % 2 === 0)
      if (fails) faults++
      const { span } = tracing.begin()
      span.setAttributes(fails ? FAULT : GOOD)
      span.end()
    }
    const spans = tracing.exported().filter(({ kind }) => kind === SpanKind.SERVER)
    const failed = spans.filter(({ attributes }) => attributes['gateway.outcome'] === 'fault')
    const good = spans.filter(({ attributes }) => attributes['gateway.outcome'] === 'ok')

    // Each count is a sum of spans that stand for 1 and of spans that stand for 100: only the latter vary.
    for (const [what, found, truth] of [
      ['faults', failed, faults],
      ['other requests', good, requests - faults],
    ] as const) {
      const derived = found.reduce((sum, span) => sum + adjustedCount(span), 0)
      const certain = found.filter(span => adjustedCount(span) === 1).length
      const error = Math.sqrt((truth - certain) * (1 / ratio - 1))
      assert.ok(Math.abs(derived - truth) <= TOLERANCE * error + 1, `${what}: ${derived} of ${truth} ± ${error}`)
    }
    assert.ok(spans.length < requests / 50, `${spans.length} spans were exported`)
    assert.ok(failed.some(span => adjustedCount(span) === 1) && failed.some(span => adjustedCount(span) > 99))
  })

  it('count each rare fault exactly, whether or not the head sampler chose it', () => {
    for (const sampler of ['always_off', 'traceidratio', 'always_on']) {
      const tracing = startTracing({ sampler, ratio: 0.5 })
      for (let i = 0; i < 20; i++) {
        tracing.tick(1_000)
        tracing.request(FAULT)
      }
      const counts = tracing.exported().map(adjustedCount)
      assert.deepEqual(counts, Array<number>(40).fill(1), `${sampler}: a SERVER and a CLIENT span each`)
    }
  })
})
