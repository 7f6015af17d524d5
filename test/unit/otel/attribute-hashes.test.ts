import assert from 'node:assert/strict'
import type { Attributes } from '@opentelemetry/api'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { rememberHashes } from '../../../otel/sdk/attribute-hashes'

class Reader extends MetricReader {
  protected override onForceFlush(): Promise<void> {
    return Promise.resolve()
  }

  protected override onShutdown(): Promise<void> {
    return Promise.resolve()
  }
}

/** An attributes object that tells how often its keys were asked for, which the SDK does to hash them. */
function counted(attributes: Attributes): { readonly attributes: Attributes; readonly hashed: () => number } {
  let hashed = 0
  const ownKeys = (target: Attributes): (string | symbol)[] => {
    hashed++
    return Reflect.ownKeys(target)
  }
  return { attributes: new Proxy(attributes, { ownKeys }), hashed: () => hashed }
}

describe('the hashes of attributes', () => {
  let reader: Reader
  let provider: MeterProvider

  before(() => rememberHashes())

  beforeEach(() => {
    reader = new Reader()
    provider = new MeterProvider({ readers: [reader] })
  })

  /** Of all series, in the order in which they came. */
  async function values(): Promise<unknown[]> {
    const { resourceMetrics } = await reader.collect()
    const metrics = resourceMetrics.scopeMetrics.flatMap(scope => scope.metrics)
    return metrics.flatMap(({ dataPoints }) => dataPoints.map(({ value }) => value))
  }

  it('are computed once for frozen ones', () => {
    const { attributes, hashed } = counted(Object.freeze({ route: '/a', status: 200 }))
    const counter = provider.getMeter('test').createCounter('requests')
    counter.add(1, attributes)
    const once = hashed()
    for (let i = 0; i < 100; i++) counter.add(1, attributes)
    assert.equal(hashed(), once)
  })

  it('are the same for frozen ones, for equal ones and for those in another order', async () => {
    const counter = provider.getMeter('test').createCounter('requests')
    const frozen = Object.freeze({ route: '/a', status: 200 })
    for (const attributes of [frozen, frozen, { route: '/a', status: 200 }, { status: 200, route: '/a' }]) {
      counter.add(1, attributes)
    }
    assert.deepEqual(await values(), [4])
    counter.add(1, frozen)
    assert.deepEqual(await values(), [5])
  })

  it('follow what is changed', async () => {
    const counter = provider.getMeter('test').createCounter('requests')
    const attributes = { route: '/a' }
    counter.add(1, attributes)
    counter.add(1, { ...attributes })
    attributes.route = '/b'
    counter.add(1, attributes)
    assert.deepEqual(await values(), [2, 1])
  })

  it('are left to an SDK that looks otherwise', () => {
    assert.doesNotThrow(() => rememberHashes({} as never))
  })
})
