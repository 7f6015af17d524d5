import type { MeterProvider } from '@opentelemetry/api'
import { OTLPExporterBase } from '@opentelemetry/otlp-exporter-base'
import { convertLegacyHttpOptions, createOtlpHttpExportDelegate } from '@opentelemetry/otlp-exporter-base/node-http'
import { TraceExporterMetricsHelper } from '@opentelemetry/otlp-transformer'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import type { OtlpOptions } from '../plan'
import { SpanSerializer } from './span-serializer'

/** Where processors and exporters count the data that they drop or fail to send. */
export type OwnMetrics = { readonly selfObsMeterProvider?: MeterProvider }

/** The SDK's span exporter for OTLP over http/protobuf with our serializer; settings and retries are the SDK's. */
export class ProtobufTraceExporter extends OTLPExporterBase<ReadableSpan[]> implements SpanExporter {
  constructor(given: OtlpOptions, { selfObsMeterProvider }: OwnMetrics) {
    const options = convertLegacyHttpOptions(given, 'TRACES', 'v1/traces', { 'Content-Type': 'application/x-protobuf' })
    const metrics = [COMPONENT_TYPE, TraceExporterMetricsHelper, selfObsMeterProvider] as const
    super(createOtlpHttpExportDelegate(options, new SpanSerializer(), ...metrics))
  }
}

/** `otel.component.type` in the exporter's own metrics. */
const COMPONENT_TYPE = 'otlp_http_span_exporter'
