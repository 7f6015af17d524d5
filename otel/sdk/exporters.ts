import type * as GrpcLogs from '@opentelemetry/exporter-logs-otlp-grpc'
import type * as JsonLogs from '@opentelemetry/exporter-logs-otlp-http'
import type * as ProtobufLogs from '@opentelemetry/exporter-logs-otlp-proto'
import type * as GrpcTraces from '@opentelemetry/exporter-trace-otlp-grpc'
import type * as JsonTraces from '@opentelemetry/exporter-trace-otlp-http'
import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  SimpleLogRecordProcessor,
  type LogRecordExporter,
  type LogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import { ConsoleMetricExporter, MeterProvider, type MetricReader } from '@opentelemetry/sdk-metrics'
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { rememberHashes } from './attribute-hashes'
import { matcher } from './wildcards'
import type { ExemplarSource } from './exemplars'
import { ExponentialReader } from './exposition/native-histograms'
import { PrometheusExposition } from './exposition/exporter'
import { LogAttributes } from './log-attributes'
import { PushingReader } from './observed-gauges'
import { load } from './load'
import type * as MetricExporters from './otlp/metric-exporters'
import type * as TraceExporter from './otlp/trace-exporter'
import type { OwnMetrics } from './otlp/trace-exporter'
import { Pipeline, type Signal } from './pipelines'
import type { ConsolePlan, OtlpOptions, OtlpPlan, ProcessorPlan, TelemetryPlan } from './plan'
import type { OtlpProtocol } from './settings'

/**
 * Creates the exporters of each signal. Every queue is bounded: by default 2048 spans and 2048 log records. Dropped and
 * failed data is counted in the SDK's own metrics, `otel.sdk.processor.*` and `otel.sdk.exporter.*`, which the alerts
 * use.
 */

/** @returns no provider when there are no exporters: instruments then cost nothing */
export function createMeterProvider(
  { readers: plans, resource, views }: TelemetryPlan,
  exemplars: ExemplarSource,
  pipelines: Pipeline[],
  hasNativeHistograms = false,
): { readonly meterProvider: MeterProvider | undefined; readonly readers: readonly MetricReader[] } {
  const ownMetrics: ((meterProvider: MeterProvider) => void)[] = []
  const exponential = hasNativeHistograms ? new ExponentialReader() : undefined
  const readers = plans.map(plan => {
    if (!('intervalMs' in plan)) return new PrometheusExposition(beside(views, exemplars), undefined, exponential)
    const { exporter: way, intervalMs, timeoutMs, cardinalityLimits } = plan
    const pipeline = pipelineOf('metrics', way, pipelines)
    const options = {
      exportIntervalMillis: intervalMs,
      exportTimeoutMillis: timeoutMs,
      ...(cardinalityLimits && { cardinalityLimits }),
    }
    if (way.name === 'console')
      return new PushingReader({ ...options, exporter: pipeline.watch(new ConsoleMetricExporter()) })
    const exporter = load<typeof MetricExporters>('./otlp/metric-exporters').createMetricExporter(way, exemplars)
    ownMetrics.push(meterProvider => exporter.setSelfObsMeterProvider(meterProvider))
    return new PushingReader({ ...options, exporter: pipeline.watch(exporter) })
  })
  if (readers.length === 0) return { meterProvider: undefined, readers }
  rememberHashes()
  const isExposed = readers.some(reader => reader instanceof PrometheusExposition)
  const all = exponential !== undefined && isExposed ? [...readers, exponential] : readers
  const meterProvider = new MeterProvider({ resource, readers: all, views: [...views] })
  for (const observe of ownMetrics) observe(meterProvider)
  return { meterProvider, readers }
}

/** A view that aggregates in another way has other buckets than those for which exemplars are recorded. */
function beside(views: TelemetryPlan['views'], exemplars: ExemplarSource): ExemplarSource {
  const names = views.filter(({ aggregation }) => aggregation !== undefined).map(view => view.instrumentName ?? '*')
  const isChanged = matcher(names)
  if (names.length === 0 || isChanged === undefined) return exemplars
  return {
    exemplar: (instrument, attributes, bucket) =>
      isChanged(instrument) ? undefined : exemplars.exemplar(instrument, attributes, bucket),
    // Without buckets they are right beside every aggregation.
    exemplars: (instrument, attributes) => exemplars.exemplars(instrument, attributes),
  }
}

/** Processors that export kept spans. There may be none; the recorder still has the spans. */
export function createSpanExports(
  plans: readonly ProcessorPlan[],
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): SpanProcessor[] {
  return plans.map(({ exporter: way, batches }) => {
    const exporter = pipelineOf('traces', way, pipelines).watch<SpanExporter>(
      way.name === 'otlp' ? otlpTraces[way.protocol](way.options, ownMetrics) : new ConsoleSpanExporter(),
    )
    return batches === undefined
      ? new SimpleSpanProcessor({ exporter })
      : new BatchSpanProcessor({ ...ownMetrics, ...batches, exporter })
  })
}

export function createLogRecordProcessors(
  plans: readonly ProcessorPlan[],
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): LogRecordProcessor[] {
  const exports: LogRecordProcessor[] = plans.map(({ exporter: way, batches }) => {
    const exporter = pipelineOf('logs', way, pipelines).watch<LogRecordExporter>(
      way.name === 'otlp' ? otlpLogs[way.protocol](way.options, ownMetrics) : new ConsoleLogRecordExporter(),
    )
    return batches === undefined
      ? new SimpleLogRecordProcessor({ exporter })
      : new BatchLogRecordProcessor({ ...ownMetrics, ...batches, exporter })
  })
  // LogAttributes comes first, so that the exporters get records with all attributes.
  return exports.length === 0 ? [] : [new LogAttributes(), ...exports]
}

function pipelineOf(signal: Signal, way: ConsolePlan | OtlpPlan, pipelines: Pipeline[]): Pipeline {
  const pipeline = new Pipeline(signal, way.name, way.name === 'otlp' ? way.receiver : '')
  pipelines.push(pipeline)
  return pipeline
}

const otlpTraces: Record<OtlpProtocol, (options: OtlpOptions, ownMetrics: OwnMetrics) => SpanExporter> = {
  'http/protobuf': (options, ownMetrics) =>
    new (load<typeof TraceExporter>('./otlp/trace-exporter').ProtobufTraceExporter)(options, ownMetrics),
  'http/json': (options, ownMetrics) =>
    new (load<typeof JsonTraces>('@opentelemetry/exporter-trace-otlp-http').OTLPTraceExporter)({
      ...options,
      ...ownMetrics,
    }),
  grpc: (options, ownMetrics) =>
    new (load<typeof GrpcTraces>('@opentelemetry/exporter-trace-otlp-grpc').OTLPTraceExporter)({
      ...options,
      ...ownMetrics,
    }),
}

const otlpLogs: Record<OtlpProtocol, (options: OtlpOptions, ownMetrics: OwnMetrics) => LogRecordExporter> = {
  'http/protobuf': (options, ownMetrics) =>
    new (load<typeof ProtobufLogs>('@opentelemetry/exporter-logs-otlp-proto').OTLPLogExporter)({
      ...options,
      ...ownMetrics,
    }),
  'http/json': (options, ownMetrics) =>
    new (load<typeof JsonLogs>('@opentelemetry/exporter-logs-otlp-http').OTLPLogExporter)({
      ...options,
      ...ownMetrics,
    }),
  grpc: (options, ownMetrics) =>
    new (load<typeof GrpcLogs>('@opentelemetry/exporter-logs-otlp-grpc').OTLPLogExporter)({
      ...options,
      ...ownMetrics,
    }),
}
