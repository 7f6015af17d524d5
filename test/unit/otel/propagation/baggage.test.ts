import assert from 'node:assert/strict'
import { defaultTextMapGetter, defaultTextMapSetter, ROOT_CONTEXT } from '@opentelemetry/api'
import { BaggagePropagator } from '../../../../otel/sdk/propagation/baggage'

/** What goes on of this baggage. */
function sentOn(baggage: string, keys?: readonly string[]): string | undefined {
  const propagator = new BaggagePropagator(keys)
  const carrier: Record<string, string> = {}
  propagator.inject(propagator.extract(ROOT_CONTEXT, { baggage }, defaultTextMapGetter), carrier, defaultTextMapSetter)
  return carrier['baggage']
}

describe('baggage', () => {
  it('goes on as it came, with its metadata', () => {
    assert.equal(sentOn('tenant=a,user=b%20c;level=1'), 'tenant=a,user=b%20c;level=1')
  })

  it('goes on by key only, where keys are named', () => {
    assert.equal(
      sentOn('tenant=a,user=b,app.one=1,app.two=2,apple=3', ['tenant', 'app.*']),
      'tenant=a,app.one=1,app.two=2',
    )
  })

  it('does not go on where none of its keys is named', () => {
    assert.equal(sentOn('user=b', ['tenant']), undefined)
  })

  it('has 64 members at the most', () => {
    const members = Array.from({ length: 100 }, (_, index) => `k${index}=${index}`)
    assert.deepEqual(sentOn(members.join(','))?.split(','), members.slice(0, 64))
  })

  it('has 8192 characters at the most', () => {
    const members = Array.from({ length: 10 }, (_, index) => `k${index}=${'v'.repeat(1_000)}`)
    const sent = sentOn(members.join(',')) ?? ''
    assert.ok(sent.length > 7_000 && sent.length <= 8_192, String(sent.length))
  })
})
