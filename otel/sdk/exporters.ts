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
 * By which way each signal leaves. Every exporter reads its own `OTEL_EXPORTER_OTLP_*` variables (settings.ts has checked
 * them), and every queue is bounded: by default 2048 spans and 2048 log records. What is dropped or cannot be sent is
 * counted in the SDK's own metrics, `otel.sdk.processor.*` and `otel.sdk.exporter.*`, which is what alerts stand on.
 */

/** @returns no provider without exporters: instruments then cost nothing */
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

/** Where kept spans go; nowhere is allowed, the recorder still has them. */
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
  // First: what the others are given has all its attributes.
  return exports.length === 0 ? [] : [new LogAttributes(), ...exports]
}

type HistogramChoice = Required<Pick<OTLPMetricExporterOptions, 'aggregationPreference'>>

/** Chosen by the exporter, not by a view: a view would change `/metrics` as well, where exponential ones cannot be told. */
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

/** The three have one method more than their common interface. */
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
