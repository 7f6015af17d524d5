import assert from 'node:assert/strict'
import { ValueType } from '@opentelemetry/api'
import { AggregationTemporalityPreference } from '@opentelemetry/exporter-metrics-otlp-http'
import { ProtobufMetricsSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  AggregationType,
  InMemoryMetricExporter,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { NO_EXEMPLARS, type Exemplar, type ExemplarSource } from '../../../../otel/sdk/exemplars'
import { createMetricExporter } from '../../../../otel/sdk/otlp/metric-exporters'
import { MetricSerializer } from '../../../../otel/sdk/otlp/metric-serializer'
import { withOnly } from '../../../../otel/sdk/with-variables'
import { decodeProtobuf } from '../../../support/otlp-messages'

/** Every kind of instrument, with values at the edges of what is written. */
async function collect(temporality: AggregationTemporality, isExponential = false): Promise<ResourceMetrics> {
  class Exporter extends InMemoryMetricExporter {
    override selectAggregationTemporality(): AggregationTemporality {
      return temporality
    }
    selectAggregation(type: InstrumentType): { type: AggregationType.DEFAULT | AggregationType.EXPONENTIAL_HISTOGRAM } {
      const isHistogram = isExponential && type === InstrumentType.HISTOGRAM
      return { type: isHistogram ? AggregationType.EXPONENTIAL_HISTOGRAM : AggregationType.DEFAULT }
    }
  }
  const exporter = new Exporter(temporality)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({
    resource: resourceFromAttributes({ 'service.name': 'möwe', 'process.pid': 7 }),
    readers: [reader],
  })
  const meter = provider.getMeter('myesi-gateway', '1.2.3', { schemaUrl: 'https://opentelemetry.io/schemas/1.45.0' })
  const histogram = meter.createHistogram('http.server.request.duration', { unit: 's', description: 'Duration' })
  for (const value of [0, 0.001, 0.5, 7, 1e6]) histogram.record(value, { 'http.route': '/a', list: ['x', 'y'] })
  histogram.record(3, { 'http.route': '/b' })
  meter.createCounter('requests', { valueType: ValueType.INT }).add(2 ** 40 + 5, { ok: true })
  meter.createUpDownCounter('level', { valueType: ValueType.INT }).add(-(2 ** 40))
  meter.createGauge('ratio').record(-0.25, { n: 1.5 })
  meter.createObservableGauge('observed').addCallback(result => result.observe(4))
  const { resourceMetrics } = await reader.collect()
  await provider.shutdown()
  return resourceMetrics
}

const EXEMPLAR: Exemplar = {
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  spanId: '00f067aa0ba902b7',
  value: 0.5,
  timeMs: 1_700_000_000_123,
}

function always(exemplar: Exemplar): ExemplarSource {
  return { exemplar: () => exemplar, exemplars: () => [exemplar] }
}

describe('the serializer of metrics', () => {
  for (const temporality of [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA]) {
    for (const isExponential of [false, true]) {
      const histograms = isExponential ? 'exponential' : 'explicit'
      it(`writes the same bytes as the one of the SDK: ${AggregationTemporality[temporality]}, ${histograms}`, async () => {
        const metrics = await collect(temporality, isExponential)
        const expected = ProtobufMetricsSerializer.serializeRequest(metrics) as Uint8Array
        const found = new MetricSerializer(NO_EXEMPLARS).serializeRequest(metrics)
        assert.deepEqual(
          decodeProtobuf('metrics', Buffer.from(found)),
          decodeProtobuf('metrics', Buffer.from(expected)),
        )
        assert.ok(Buffer.from(found).equals(expected))
      })
    }
  }

  it('adds exemplars to counters and to both kinds of histograms', async () => {
    for (const isExponential of [false, true]) {
      const metrics = await collect(AggregationTemporality.CUMULATIVE, isExponential)
      const bytes = new MetricSerializer(always(EXEMPLAR)).serializeRequest(metrics)
      const text = JSON.stringify(decodeProtobuf('metrics', Buffer.from(bytes)))
      const points = [
        ...text.matchAll(/"exemplars":\[\{"timeUnixNano":"?1700000000123000000"?,"asDouble":0\.5,"spanId":/g),
      ]
      assert.equal(points.length, 6, text)
    }
  })

  it('leaves out exemplars that are older than a delta', async () => {
    const metrics = await collect(AggregationTemporality.DELTA)
    const none = new MetricSerializer(NO_EXEMPLARS).serializeRequest(metrics)
    assert.equal(new MetricSerializer(always(EXEMPLAR)).serializeRequest(metrics).length, none.length)
    const fresh = new MetricSerializer(always({ ...EXEMPLAR, timeMs: Date.now() + 1_000 })).serializeRequest(metrics)
    assert.ok(fresh.length > none.length)
  })
})

describe('the exporters of metrics', () => {
  for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
    it(`over ${protocol} have the temporality of their variable and of their options`, async () => {
      const plan = { name: 'otlp', protocol, receiver: '', options: {} } as const
      const delta = AggregationTemporality.DELTA
      const { COUNTER, UP_DOWN_COUNTER } = InstrumentType
      const variables = { OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'delta' }
      const byVariable = withOnly(variables, () => createMetricExporter(plan, NO_EXEMPLARS, () => {}))
      const options = { temporalityPreference: AggregationTemporalityPreference.DELTA }
      const byOption = withOnly({}, () => createMetricExporter({ ...plan, options }, NO_EXEMPLARS, () => {}))
      const byDefault = withOnly({}, () => createMetricExporter(plan, NO_EXEMPLARS, () => {}))
      assert.equal(byVariable.selectAggregationTemporality(COUNTER), delta)
      assert.equal(byOption.selectAggregationTemporality(COUNTER), delta)
      assert.notEqual(byOption.selectAggregationTemporality(UP_DOWN_COUNTER), delta, 'a sum that can fall never is')
      assert.notEqual(byDefault.selectAggregationTemporality(COUNTER), delta)
      for (const exporter of [byVariable, byOption, byDefault]) await exporter.shutdown()
    })
  }
})
