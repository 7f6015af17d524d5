import assert from 'node:assert/strict'
import { W3CTraceState } from '../../../../otel/sdk/propagation/trace-state'
import { readOtelTraceState, withThreshold } from '../../../../otel/sdk/sampling/otel-trace-state'
import { isSampledBy, randomnessOf, thresholdOf, writtenThreshold } from '../../../../otel/sdk/sampling/threshold'

describe('thresholds of consistent probability sampling', () => {
  // The first four are examples of the specification.
  for (const [ratio, written] of [
    [1, '0'],
    [0.5, '8'],
    [0.25, 'c'],
    [0.1, 'e666'],
    [0.01, 'fd70a'],
    [0.001, 'ffbe77'],
    [1 / 3, 'aaab'],
    [2 ** -56, 'ffffffffffffff'],
  ] as const) {
    it(`of ${ratio} is ${written}`, () => {
      const threshold = thresholdOf(ratio)
      assert.ok(threshold !== undefined)
      assert.equal(writtenThreshold(threshold), written)
      const accepted = 1 - Number(BigInt(`0x${threshold}`)) / 2 ** 56
      if (ratio > 2 ** -50) assert.ok(Math.abs(accepted / ratio - 1) < 1e-3, `${accepted}`)
    })
  }

  it('do not exist for 0 and for what 56 bits cannot express', () => {
    assert.equal(thresholdOf(0), undefined)
    assert.equal(thresholdOf(2 ** -60), undefined)
    assert.equal(isSampledBy(undefined, 'f'.repeat(14)), false)
  })

  it('sample a trace whose randomness is not below them, so that one rate includes every smaller one', () => {
    const traceId = `${'0'.repeat(18)}fd70a000000000`
    const randomness = randomnessOf(traceId, undefined)
    assert.equal(isSampledBy(thresholdOf(0.01), randomness), true)
    assert.equal(isSampledBy(thresholdOf(0.5), randomness), true)
    assert.equal(isSampledBy(thresholdOf(0.001), randomness), false)
    assert.equal(isSampledBy(thresholdOf(0.5), randomnessOf(traceId, '0'.repeat(14))), false, 'rv comes before the id')
  })
})

describe('the member ot of tracestate', () => {
  const parse = (text: string) => W3CTraceState.parse(text)

  for (const [what, before, threshold, after] of [
    ['is added to nothing', undefined, thresholdOf(0.25), 'ot=th:c'],
    ['is added before the members of others', 'acme=1', thresholdOf(0.25), 'ot=th:c,acme=1'],
    [
      'replaces a threshold and keeps other fields',
      'acme=1,ot=rv:01234567890123;th:8;x:y',
      thresholdOf(1),
      'ot=th:0;rv:01234567890123;x:y,acme=1',
    ],
    ['loses a threshold and keeps the randomness', 'ot=th:8;rv:01234567890123', undefined, 'ot=rv:01234567890123'],
    ['disappears with its only field', 'ot=th:8', undefined, ''],
  ] as const) {
    it(what, () => {
      const state = withThreshold(before === undefined ? undefined : parse(before), threshold)
      assert.equal(state?.serialize(), after)
    })
  }

  it('is read, and what is invalid in it is not', () => {
    assert.deepEqual(readOtelTraceState(parse('ot=th:c8;rv:0123456789abcd')), {
      threshold: 'c8000000000000',
      randomness: '0123456789abcd',
    })
    for (const text of ['ot=th:', 'ot=th:xyz', 'ot=th:0123456789abcdef', 'ot=rv:123', 'ot=rv:0123456789ABCD', 'a=th:8'])
      assert.deepEqual(readOtelTraceState(parse(text)), { threshold: undefined, randomness: undefined }, text)
  })
})
