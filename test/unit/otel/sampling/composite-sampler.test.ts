import assert from 'node:assert/strict'
import { ROOT_CONTEXT, SpanKind, trace, TraceFlags, type Context } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace'
import { W3CTraceState } from '../../../../otel/sdk/propagation/trace-state'
import {
  composableAlwaysOff,
  composableAlwaysOn,
  composableParentThreshold,
  composableProbability,
  composableRules,
  CompositeSampler,
  type ComposableSampler,
} from '../../../../otel/sdk/sampling/composite-sampler'

const LOW = `${'1'.repeat(18)}00000000000001`
const HIGH = `${'1'.repeat(18)}fffffffffffff0`

function parent(traceId: string, isSampled: boolean, traceState?: string): Context {
  const state = traceState === undefined ? undefined : W3CTraceState.parse(traceState)
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId: '00f067aa0ba902b7',
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state && { traceState: state }),
  })
}

function decide(sampler: ComposableSampler, traceId: string, context = ROOT_CONTEXT, kind = SpanKind.SERVER): string {
  const { decision, traceState } = new CompositeSampler(sampler).shouldSample(context, traceId, 'GET', kind, {})
  const isSampled = decision === SamplingDecision.RECORD_AND_SAMPLED
  return `${isSampled ? 'sampled' : 'not sampled'} ${traceState?.serialize() ?? ''}`.trim()
}

describe('composite sampler', () => {
  it('samples by the randomness of the trace id and writes its threshold', () => {
    assert.equal(decide(composableProbability(0.5), HIGH), 'sampled ot=th:8')
    assert.equal(decide(composableProbability(0.5), LOW), 'not sampled')
    assert.equal(decide(composableAlwaysOn(), LOW), 'sampled ot=th:0')
    assert.equal(decide(composableAlwaysOff(), HIGH), 'not sampled')
  })

  it('uses the randomness that the origin chose, and passes it on', () => {
    const state = 'ot=rv:fffffffffffff0,acme=1'
    assert.equal(
      decide(composableProbability(0.5), LOW, parent(LOW, false, state)),
      'sampled ot=th:8;rv:fffffffffffff0,acme=1',
    )
    assert.equal(
      decide(composableProbability(0.5), HIGH, parent(HIGH, true, 'ot=th:8;rv:00000000000001')),
      'not sampled ot=rv:00000000000001',
      'a threshold that did not sample is removed',
    )
  })

  describe('that follows its parent', () => {
    const sampler = composableParentThreshold(composableProbability(0.5))
    for (const [what, traceId, context, expected] of [
      ['asks the root sampler where there is none', HIGH, ROOT_CONTEXT, 'sampled ot=th:8'],
      ['keeps the threshold of a sampled one', HIGH, parent(HIGH, true, 'ot=th:c'), 'sampled ot=th:c'],
      ['samples without a threshold where the parent has none', LOW, parent(LOW, true), 'sampled'],
      ['does not sample where the parent did not', HIGH, parent(HIGH, false), 'not sampled'],
      ['drops a threshold that contradicts the flag', LOW, parent(LOW, true, 'ot=th:c,a=1'), 'sampled a=1'],
    ] as const) {
      it(what, () => assert.equal(decide(sampler, traceId, context), expected))
    }
  })

  it('takes the sampler of the first rule that matches, and samples nothing without one', () => {
    const rules = composableRules([
      { matches: ({ kind }) => kind === SpanKind.CLIENT, sampler: composableAlwaysOff() },
      { matches: ({ kind }) => kind === SpanKind.SERVER, sampler: composableProbability(0.25) },
    ])
    assert.equal(decide(rules, HIGH, ROOT_CONTEXT, SpanKind.SERVER), 'sampled ot=th:c')
    assert.equal(decide(rules, HIGH, ROOT_CONTEXT, SpanKind.CLIENT), 'not sampled')
    assert.equal(decide(rules, HIGH, ROOT_CONTEXT, SpanKind.INTERNAL), 'not sampled')
  })
})
