import { OTLPLogExporter as GrpcLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogExporter } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtobufLogExporter } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtobufMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtobufTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import {
  BatchLogRecordProcessor,
  ConsoleLogRecordExporter,
  SimpleLogRecordProcessor,
  type LogRecordExporter,
  type LogRecordProcessor,
} from '@opentelemetry/sdk-logs'
import {
  ConsoleMetricExporter,
  PeriodicExportingMetricReader,
  type MetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import {
  BatchSpanProcessor,
  ConsoleSpanExporter,
  NoopSpanProcessor,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace'
import { PrometheusExposition } from './exposition/exporter'
import type { OtlpProtocol, TelemetrySettings } from './settings'

/**
 * By which way each signal leaves. Every exporter reads its own `OTEL_EXPORTER_OTLP_*` variables (settings.ts has checked
 * them), and every queue is bounded: by default 2048 spans and 2048 log records, the rest is dropped and counted.
 */

export function metricReaders(settings: TelemetrySettings): MetricReader[] {
  return settings.exporters.metrics.map(name => {
    if (name === 'prometheus') return new PrometheusExposition()
    const exporter = name === 'otlp' ? otlpMetrics[settings.protocols.metrics]() : new ConsoleMetricExporter()
    return new PeriodicExportingMetricReader({
      exporter,
      exportIntervalMillis: settings.metricExport.intervalMs,
      exportTimeoutMillis: settings.metricExport.timeoutMs,
    })
  })
}

/** Never empty: without a processor the SDK registers no tracer, and logs and answers would lose their trace ids. */
export function spanProcessors(settings: TelemetrySettings): SpanProcessor[] {
  const processors = settings.exporters.traces.map(name =>
    name === 'otlp'
      ? new BatchSpanProcessor({ exporter: otlpTraces[settings.protocols.traces](), ...settings.spanBatches })
      : new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() }),
  )
  return processors.length === 0 ? [new NoopSpanProcessor()] : processors
}

export function logRecordProcessors(settings: TelemetrySettings): LogRecordProcessor[] {
  return settings.exporters.logs.map(name =>
    name === 'otlp'
      ? new BatchLogRecordProcessor({ exporter: otlpLogs[settings.protocols.logs](), ...settings.logBatches })
      : new SimpleLogRecordProcessor({ exporter: new ConsoleLogRecordExporter() }),
  )
}

const otlpMetrics: Record<OtlpProtocol, () => PushMetricExporter> = {
  'http/protobuf': () => new ProtobufMetricExporter(),
  'http/json': () => new JsonMetricExporter(),
  grpc: () => new GrpcMetricExporter(),
}

const otlpTraces: Record<OtlpProtocol, () => SpanExporter> = {
  'http/protobuf': () => new ProtobufTraceExporter(),
  'http/json': () => new JsonTraceExporter(),
  grpc: () => new GrpcTraceExporter(),
}

const otlpLogs: Record<OtlpProtocol, () => LogRecordExporter> = {
  'http/protobuf': () => new ProtobufLogExporter(),
  'http/json': () => new JsonLogExporter(),
  grpc: () => new GrpcLogExporter(),
}
