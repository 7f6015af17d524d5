import type { MeterProvider } from '@opentelemetry/api'
import { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base'
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http'
import type * as GrpcBase from '@opentelemetry/otlp-grpc-exporter-base'
import {
  JsonLogsSerializer,
  JsonTraceSerializer,
  LogsExporterMetricsHelper,
  ProtobufLogsSerializer,
  ProtobufTraceSerializer,
  TraceExporterMetricsHelper,
} from '@opentelemetry/otlp-transformer'
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { load } from '../load'
import type { OtlpPlan } from '../plan'
import { counted, type CountBytes } from './counted'
import { SpanSerializer } from './span-serializer'

/** Where processors and exporters count the data that they drop or fail to send. */
export type OwnMetrics = { readonly selfObsMeterProvider?: MeterProvider }

const GRPC_TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const GRPC_LOGS = '/opentelemetry.proto.collector.logs.v1.LogsService/Export'
const CONTENT_TYPES = { 'http/protobuf': 'application/x-protobuf', 'http/json': 'application/json' } as const

/**
 * The SDK's exporters for OTLP, with the bytes counted that they write; settings, retries and the exporters' own metrics
 * (`otel.component.type` among them) are the SDK's. Spans over http/protobuf are written by our serializer.
 */
export function createSpanExporter(
  { protocol, options: given }: OtlpPlan,
  { selfObsMeterProvider }: OwnMetrics,
  count: CountBytes,
): SpanExporter {
  if (protocol === 'grpc') {
    const { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } = grpcBase()
    const options = convertLegacyOtlpGrpcOptions(given, 'TRACES')
    const metrics = ['otlp_grpc_span_exporter', TraceExporterMetricsHelper, selfObsMeterProvider] as const
    const serializer = counted(ProtobufTraceSerializer, count)
    return new OTLPExporterBase<ReadableSpan[]>(
      createOtlpGrpcExportDelegate(options, serializer, ...metrics, 'TraceExportService', GRPC_TRACES),
    )
  }
  const options = convertLegacyHttpOptions(given, 'TRACES', 'v1/traces', { 'Content-Type': CONTENT_TYPES[protocol] })
  const serializer = protocol === 'http/json' ? JsonTraceSerializer : new SpanSerializer()
  const metrics = ['otlp_http_span_exporter', TraceExporterMetricsHelper, selfObsMeterProvider] as const
  return new OTLPExporterBase<ReadableSpan[]>(
    createOtlpHttpExportDelegate(options, counted(serializer, count), ...metrics),
  )
}

/** The same for log records. */
export function createLogExporter(
  { protocol, options: given }: OtlpPlan,
  { selfObsMeterProvider }: OwnMetrics,
  count: CountBytes,
): LogRecordExporter {
  if (protocol === 'grpc') {
    const { convertLegacyOtlpGrpcOptions, createOtlpGrpcExportDelegate } = grpcBase()
    const options = convertLegacyOtlpGrpcOptions(given, 'LOGS')
    const metrics = ['otlp_grpc_log_exporter', LogsExporterMetricsHelper, selfObsMeterProvider] as const
    const serializer = counted(ProtobufLogsSerializer, count)
    return new OTLPExporterBase<ReadableLogRecord[]>(
      createOtlpGrpcExportDelegate(options, serializer, ...metrics, 'LogsExportService', GRPC_LOGS),
    )
  }
  const options = convertLegacyHttpOptions(given, 'LOGS', 'v1/logs', { 'Content-Type': CONTENT_TYPES[protocol] })
  const serializer = protocol === 'http/json' ? JsonLogsSerializer : ProtobufLogsSerializer
  const metrics = ['otlp_http_log_exporter', LogsExporterMetricsHelper, selfObsMeterProvider] as const
  return new OTLPExporterBase<ReadableLogRecord[]>(
    createOtlpHttpExportDelegate(options, counted(serializer, count), ...metrics),
  )
}

const grpcBase = (): typeof GrpcBase => load('@opentelemetry/otlp-grpc-exporter-base')
