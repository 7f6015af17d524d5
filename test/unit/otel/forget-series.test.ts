import assert from 'node:assert/strict'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  MetricReader,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { forgetSeries } from '../../../otel/sdk/forget-series'

class PulledReader extends MetricReader {
  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}
}

const ONE = { 'server.address': '10.0.0.1', 'server.port': 80 }
const TWO = { 'server.address': '10.0.0.2', 'server.port': 80 }

describe('forgetting series', () => {
  let reader: PulledReader
  let pushed: InMemoryMetricExporter
  let provider: MeterProvider

  beforeEach(() => {
    reader = new PulledReader()
    pushed = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const pushing = new PeriodicExportingMetricReader({ exporter: pushed, exportIntervalMillis: 3_600_000 })
    provider = new MeterProvider({ readers: [reader, pushing] })
  })
  afterEach(async () => provider.shutdown())

  async function exposed(): Promise<unknown[]> {
    const { resourceMetrics } = await reader.collect()
    return resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ dataPoints }) =>
        dataPoints.map(({ attributes, value }) => [attributes['server.address'], value]),
      ),
    )
  }

  it('removes the series with these attributes for every exporter, and no others', async () => {
    const counter = provider.getMeter('a').createCounter('calls')
    counter.add(1, ONE)
    counter.add(2, { ...ONE, result: 'failed' })
    counter.add(4, TWO)
    assert.equal((await exposed()).length, 3)

    forgetSeries(provider, ONE)
    await provider.forceFlush()

    assert.deepEqual(await exposed(), [['10.0.0.2', 4]])
    const points = pushed.getMetrics().at(-1)?.scopeMetrics[0]?.metrics[0]?.dataPoints
    assert.deepEqual(
      points?.map(({ attributes }) => attributes),
      [TWO],
    )
  })

  it('removes what was not collected yet', async () => {
    provider.getMeter('a').createHistogram('duration').record(1, ONE)
    forgetSeries(provider, ONE)
    assert.deepEqual(await exposed(), [])
  })

  it('counts from 0 when the series is recorded again', async () => {
    const counter = provider.getMeter('a').createCounter('calls')
    counter.add(5, ONE)
    await exposed()
    forgetSeries(provider, ONE)
    counter.add(1, ONE)
    assert.deepEqual(await exposed(), [['10.0.0.1', 1]])
  })

  it('leaves a provider alone whose insides it does not know', () => {
    assert.doesNotThrow(() => forgetSeries({} as MeterProvider, ONE))
  })
})
