import type { MeterProvider } from '@opentelemetry/api'
import { OTLPMetricExporterBase } from '@opentelemetry/exporter-metrics-otlp-http'
import {
  convertLegacyHttpOptions,
  createOtlpHttpExportDelegate,
  createOtlpHttpExporterMetrics,
} from '@opentelemetry/otlp-exporter-base/node-http'
import type * as GrpcBase from '@opentelemetry/otlp-grpc-exporter-base'
import {
  JsonMetricsSerializer,
  MetricsExporterMetricsHelper,
  type IExportMetricsServiceResponse,
  type ISerializer,
} from '@opentelemetry/otlp-transformer'
import type { MetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { ExemplarSource } from '../exemplars'
import { load } from '../load'
import type { OtlpOptions, OtlpPlan } from '../plan'
import { counted, type CountBytes } from './counted'
import { exemplarsOf, MetricSerializer } from './metric-serializer'

/**
 * The SDK's metric exporters with serializers that write exemplars; settings, retries and the exporters' own metrics are
 * the SDK's. Its readers and aggregations stay as they are: only what a point is written as is ours.
 */
export interface OtlpMetricExporter extends OTLPMetricExporterBase {
  /** Sets where the exporter counts what it sent and what failed. */
  setSelfObsMeterProvider(meterProvider: MeterProvider): void
}

export function createMetricExporter(
  { protocol, options }: OtlpPlan,
  exemplars: ExemplarSource,
  count: CountBytes,
): OtlpMetricExporter {
  const protobuf = counted(new MetricSerializer(exemplars), count)
  if (protocol === 'grpc') return new GrpcMetricExporter(options, protobuf)
  return protocol === 'http/json'
    ? new HttpMetricExporter(options, counted(new JsonMetricSerializer(exemplars), count), 'application/json')
    : new HttpMetricExporter(options, protobuf, 'application/x-protobuf')
}

type Serializer = ISerializer<ResourceMetrics, IExportMetricsServiceResponse>

const HTTP_COMPONENT = 'otlp_http_metric_exporter'
const GRPC_COMPONENT = 'otlp_grpc_metric_exporter'
const GRPC_SERVICE = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'

class HttpMetricExporter extends OTLPMetricExporterBase implements OtlpMetricExporter {
  readonly #url: string | undefined

  constructor(given: OtlpOptions, serializer: Serializer, type: string) {
    const options = convertLegacyHttpOptions(given, 'METRICS', 'v1/metrics', { 'Content-Type': type })
    super(
      createOtlpHttpExportDelegate(options, serializer, HTTP_COMPONENT, MetricsExporterMetricsHelper, undefined),
      given,
    )
    this.#url = given.url
  }

  setSelfObsMeterProvider(meterProvider: MeterProvider): void {
    this.setMetrics(
      createOtlpHttpExporterMetrics(HTTP_COMPONENT, MetricsExporterMetricsHelper, this.#url, meterProvider),
    )
  }
}

const grpcBase = (): typeof GrpcBase => load('@opentelemetry/otlp-grpc-exporter-base')

class GrpcMetricExporter extends OTLPMetricExporterBase implements OtlpMetricExporter {
  readonly #url: string | undefined

  constructor(given: OtlpOptions, serializer: Serializer) {
    const options = grpcBase().convertLegacyOtlpGrpcOptions(given, 'METRICS')
    const metrics = [GRPC_COMPONENT, MetricsExporterMetricsHelper, undefined] as const
    super(
      grpcBase().createOtlpGrpcExportDelegate(options, serializer, ...metrics, 'MetricsExportService', GRPC_SERVICE),
      given,
    )
    this.#url = given.url
  }

  setSelfObsMeterProvider(meterProvider: MeterProvider): void {
    this.setMetrics(
      grpcBase().createOtlpGrpcExporterMetrics(GRPC_COMPONENT, MetricsExporterMetricsHelper, this.#url, meterProvider),
    )
  }
}

interface JsonPoint {
  exemplars?: object[]
}

interface JsonRequest {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly {
      readonly metrics: readonly Readonly<Record<string, { readonly dataPoints: readonly JsonPoint[] }>>[]
    }[]
  }[]
}

/** Adds the exemplars to the text of the SDK's serializer: JSON is for trying things out, and may cost more. */
class JsonMetricSerializer implements Serializer {
  readonly #exemplars: ExemplarSource

  constructor(exemplars: ExemplarSource) {
    this.#exemplars = exemplars
  }

  serializeRequest(metrics: ResourceMetrics): Uint8Array | undefined {
    const bytes = JsonMetricsSerializer.serializeRequest(metrics)
    if (bytes === undefined) return undefined
    const request = JSON.parse(Buffer.from(bytes).toString()) as JsonRequest
    for (const [index, { metrics: ofScope }] of metrics.scopeMetrics.entries()) {
      for (const [place, metric] of ofScope.entries()) {
        const written = request.resourceMetrics[0]?.scopeMetrics[index]?.metrics[place]
        if (written !== undefined) this.#add(metric, written)
      }
    }
    return Buffer.from(JSON.stringify(request))
  }

  deserializeResponse(data: Uint8Array): IExportMetricsServiceResponse {
    return JsonMetricsSerializer.deserializeResponse(data)
  }

  #add(metric: MetricData, written: Readonly<Record<string, { readonly dataPoints: readonly JsonPoint[] }>>): void {
    const data = written['sum'] ?? written['histogram'] ?? written['exponentialHistogram']
    for (const [index, point] of metric.dataPoints.entries()) {
      const exemplars = exemplarsOf(this.#exemplars, metric, point)
      const to = data?.dataPoints[index]
      if (exemplars.length === 0 || to === undefined) continue
      to.exemplars = exemplars.map(({ traceId, spanId, value, timeMs }) => ({
        timeUnixNano: `${BigInt(timeMs) * 1_000_000n}`,
        asDouble: value,
        traceId,
        spanId,
      }))
    }
  }
}
