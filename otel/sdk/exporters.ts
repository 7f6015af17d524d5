import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import {
  OTLPMetricExporter as JsonMetricExporter,
  type OTLPMetricExporterOptions,
} from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import type { Resource } from '@opentelemetry/resources'
import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  SimpleLogRecordProcessor,
  type LogRecordExporter,
  type LogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import {
  AggregationType,
  ConsoleMetricExporter,
  InstrumentType,
  MeterProvider,
  type MetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { rememberHashes } from './attribute-hashes'
import type { ExemplarSource } from './exemplars'
import { PrometheusExposition } from './exposition/exporter'
import { LogAttributes } from './log-attributes'
import { PushingReader } from './observed-gauges'
import { ProtobufTraceExporter, type OwnMetrics } from './otlp/trace-exporter'
import { Pipeline, type Signal } from './pipelines'
import type { OtlpProtocol, TelemetrySettings } from './settings'

/**
 * Creates the exporters of each signal. Every exporter reads its own `OTEL_EXPORTER_OTLP_*` variables (checked in
 * settings.ts), and every queue is bounded: by default 2048 spans and 2048 log records. Dropped and failed data is
 * counted in the SDK's own metrics, `otel.sdk.processor.*` and `otel.sdk.exporter.*`, which the alerts use.
 */

/** @returns no provider when there are no exporters: instruments then cost nothing */
export function createMeterProvider(
  settings: TelemetrySettings,
  resource: Resource,
  exemplars: ExemplarSource,
  pipelines: Pipeline[],
): { readonly meterProvider: MeterProvider | undefined; readonly readers: readonly MetricReader[] } {
  const ownMetrics: ((meterProvider: MeterProvider) => void)[] = []
  const readers = settings.exporters.metrics.map(name => {
    if (name === 'prometheus') return new PrometheusExposition(exemplars)
    const pipeline = pipelineOf('metrics', name, settings, pipelines)
    if (name === 'console') return periodic(pipeline.watch(new ConsoleMetricExporter()), settings)
    const exporter = otlpMetrics[settings.protocols.metrics](histogramsOf(settings))
    ownMetrics.push(meterProvider => exporter.setSelfObsMeterProvider(meterProvider))
    return periodic(pipeline.watch(exporter), settings)
  })
  if (readers.length === 0) return { meterProvider: undefined, readers }
  rememberHashes()
  const meterProvider = new MeterProvider({ resource, readers })
  for (const observe of ownMetrics) observe(meterProvider)
  return { meterProvider, readers }
}

function periodic(exporter: PushMetricExporter, settings: TelemetrySettings): MetricReader {
  return new PushingReader({
    exporter,
    exportIntervalMillis: settings.metricExport.intervalMs,
    exportTimeoutMillis: settings.metricExport.timeoutMs,
  })
}

/** Processors that export kept spans. There may be none; the recorder still has the spans. */
export function createSpanExports(
  settings: TelemetrySettings,
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): SpanProcessor[] {
  return settings.exporters.traces.map(name => {
    const pipeline = pipelineOf('traces', name, settings, pipelines)
    return name === 'otlp'
      ? new BatchSpanProcessor({
          ...ownMetrics,
          ...settings.spanBatches,
          exporter: pipeline.watch(otlpTraces[settings.protocols.traces](ownMetrics)),
        })
      : new SimpleSpanProcessor({ exporter: pipeline.watch(new ConsoleSpanExporter()) })
  })
}

function pipelineOf(signal: Signal, name: string, settings: TelemetrySettings, pipelines: Pipeline[]): Pipeline {
  const pipeline = new Pipeline(signal, name, name === 'otlp' ? settings.receivers[signal] : '')
  pipelines.push(pipeline)
  return pipeline
}

export function createLogRecordProcessors(
  settings: TelemetrySettings,
  ownMetrics: OwnMetrics,
  pipelines: Pipeline[],
): LogRecordProcessor[] {
  const exports: LogRecordProcessor[] = settings.exporters.logs.map(name => {
    const pipeline = pipelineOf('logs', name, settings, pipelines)
    return name === 'otlp'
      ? new BatchLogRecordProcessor({
          ...ownMetrics,
          ...settings.logBatches,
          exporter: pipeline.watch(otlpLogs[settings.protocols.logs](ownMetrics)),
        })
      : new SimpleLogRecordProcessor({ exporter: pipeline.watch(new ConsoleLogRecordExporter()) })
  })
  // LogAttributes comes first, so that the exporters get records with all attributes.
  return exports.length === 0 ? [] : [new LogAttributes(), ...exports]
}

type HistogramChoice = Required<Pick<OTLPMetricExporterOptions, 'aggregationPreference'>>

/**
 * Set at the exporter, not by a view: a view would also change `/metrics`, which cannot show exponential histograms.
 */
function histogramsOf({ histograms }: TelemetrySettings): HistogramChoice {
  const areExponential = histograms === 'base2_exponential_bucket_histogram'
  return {
    aggregationPreference: type =>
      areExponential && type === InstrumentType.HISTOGRAM
        ? { type: AggregationType.EXPONENTIAL_HISTOGRAM }
        : { type: AggregationType.DEFAULT },
  }
}

const otlpMetrics: Record<OtlpProtocol, (histograms: HistogramChoice) => OtlpMetricExporter> = {
  'http/protobuf': histograms => new ProtobufMetricExporter(histograms),
  'http/json': histograms => new JsonMetricExporter(histograms),
  grpc: histograms => new GrpcMetricExporter(histograms),
}

/** The three exporters have one method more than their common interface. */
type OtlpMetricExporter = ProtobufMetricExporter | JsonMetricExporter | GrpcMetricExporter

const otlpTraces: Record<OtlpProtocol, (ownMetrics: OwnMetrics) => SpanExporter> = {
  'http/protobuf': ownMetrics => new ProtobufTraceExporter(ownMetrics),
  'http/json': ownMetrics => new JsonTraceExporter(ownMetrics),
  grpc: ownMetrics => new GrpcTraceExporter(ownMetrics),
}

const otlpLogs: Record<OtlpProtocol, (ownMetrics: OwnMetrics) => LogRecordExporter> = {
  'http/protobuf': ownMetrics => new ProtobufLogExporter(ownMetrics),
  'http/json': ownMetrics => new JsonLogExporter(ownMetrics),
  grpc: ownMetrics => new GrpcLogExporter(ownMetrics),
}
