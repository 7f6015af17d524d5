import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
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
  ConsoleMetricExporter,
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
import { PushingReader } from './observed-gauges'
import { ProtobufTraceExporter, type OwnMetrics } from './otlp/trace-exporter'
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
): { readonly meterProvider: MeterProvider | undefined; readonly readers: readonly MetricReader[] } {
  const ownMetrics: ((meterProvider: MeterProvider) => void)[] = []
  const readers = settings.exporters.metrics.map(name => {
    if (name === 'prometheus') return new PrometheusExposition(exemplars)
    if (name === 'console') return periodic(new ConsoleMetricExporter(), settings)
    const exporter = otlpMetrics[settings.protocols.metrics]()
    ownMetrics.push(meterProvider => exporter.setSelfObsMeterProvider(meterProvider))
    return periodic(exporter, settings)
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
export function createSpanExports(settings: TelemetrySettings, ownMetrics: OwnMetrics): SpanProcessor[] {
  return settings.exporters.traces.map(name =>
    name === 'otlp'
      ? new BatchSpanProcessor({
          ...ownMetrics,
          ...settings.spanBatches,
          exporter: otlpTraces[settings.protocols.traces](ownMetrics),
        })
      : new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() }),
  )
}

export function createLogRecordProcessors(settings: TelemetrySettings, ownMetrics: OwnMetrics): LogRecordProcessor[] {
  return settings.exporters.logs.map(name =>
    name === 'otlp'
      ? new BatchLogRecordProcessor({
          ...ownMetrics,
          ...settings.logBatches,
          exporter: otlpLogs[settings.protocols.logs](ownMetrics),
        })
      : new SimpleLogRecordProcessor({ exporter: new ConsoleLogRecordExporter() }),
  )
}

const otlpMetrics: Record<OtlpProtocol, () => OtlpMetricExporter> = {
  'http/protobuf': () => new ProtobufMetricExporter(),
  'http/json': () => new JsonMetricExporter(),
  grpc: () => new GrpcMetricExporter(),
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
