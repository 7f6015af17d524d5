import { ValueType } from '@opentelemetry/api'
import {
  ProtobufMetricsSerializer,
  type IExportMetricsServiceResponse,
  type ISerializer,
} from '@opentelemetry/otlp-transformer'
import {
  AggregationTemporality,
  DataPointType,
  type DataPoint,
  type ExponentialHistogram,
  type Histogram,
  type MetricData,
  type ResourceMetrics,
  type ScopeMetrics,
} from '@opentelemetry/sdk-metrics'
import type { Exemplar, ExemplarSource } from '../exemplars'
import { writeAttribute } from './attribute-writer'
import { writeResource, writeScope } from './origin-writer'
import { ProtobufWriter } from './protobuf-writer'

/**
 * Serializes metrics as an OTLP ExportMetricsServiceRequest in protobuf: the same bytes as the SDK's serializer, plus
 * exemplars, which the SDK does not have.
 */
export class MetricSerializer implements ISerializer<ResourceMetrics, IExportMetricsServiceResponse> {
  readonly #writer = new ProtobufWriter()
  readonly #exemplars: ExemplarSource

  constructor(exemplars: ExemplarSource) {
    this.#exemplars = exemplars
  }

  serializeRequest({ resource, scopeMetrics }: ResourceMetrics): Uint8Array {
    const writer = this.#writer
    writer.clear() // of a message that could not be finished
    const start = writer.begin(1, 2) // ExportMetricsServiceRequest.resource_metrics
    writeResource(writer, resource)
    for (const ofScope of scopeMetrics) this.#scopeMetrics(ofScope)
    if (resource.schemaUrl) writer.text(3, resource.schemaUrl)
    writer.end(start, 2)
    return writer.take()
  }

  deserializeResponse(data: Uint8Array): IExportMetricsServiceResponse {
    return ProtobufMetricsSerializer.deserializeResponse(data)
  }

  #scopeMetrics({ scope, metrics }: ScopeMetrics): void {
    const writer = this.#writer
    const start = writer.begin(2, 2) // ResourceMetrics.scope_metrics
    writeScope(writer, scope)
    for (const metric of metrics) this.#metric(metric)
    if (scope.schemaUrl) writer.text(3, scope.schemaUrl)
    writer.end(start, 2)
  }

  #metric(metric: MetricData): void {
    const writer = this.#writer
    const { name, description, unit } = metric.descriptor
    const start = writer.begin(2, 2) // ScopeMetrics.metrics
    writer.text(1, name)
    if (description) writer.text(2, description)
    if (unit) writer.text(3, unit)
    this.#data(metric)
    writer.end(start, 2)
  }

  /** Gauge, Sum, Histogram or ExponentialHistogram; their points are all in field 1. */
  #data(metric: MetricData): void {
    const writer = this.#writer
    const start = writer.begin(DATA_FIELDS[metric.dataPointType], 2)
    switch (metric.dataPointType) {
      case DataPointType.HISTOGRAM:
        for (const point of metric.dataPoints) this.#histogram(metric, point)
        break
      case DataPointType.EXPONENTIAL_HISTOGRAM:
        for (const point of metric.dataPoints) this.#exponentialHistogram(metric, point)
        break
      case DataPointType.GAUGE:
      case DataPointType.SUM:
        for (const point of metric.dataPoints) this.#number(metric, point)
    }
    if (metric.dataPointType !== DataPointType.GAUGE)
      writer.integer(2, metric.aggregationTemporality === AggregationTemporality.DELTA ? 1 : 2)
    if (metric.dataPointType === DataPointType.SUM && metric.isMonotonic) writer.integer(3, 1)
    writer.end(start, 2)
  }

  #number(metric: MetricData, point: DataPoint<number>): void {
    const writer = this.#writer
    const start = writer.begin(1, 2)
    this.#times(point)
    if (metric.descriptor.valueType === ValueType.INT) writer.fixed64(6, point.value)
    else writer.double(4, point.value)
    this.#attributes(7, point)
    this.#exemplarsOf(metric, point, 5)
    writer.end(start, 2)
  }

  #histogram(metric: MetricData, point: DataPoint<Histogram>): void {
    const writer = this.#writer
    const { count, sum, min, max, buckets } = point.value
    const start = writer.begin(1, 2)
    this.#times(point)
    writer.fixed64(4, count)
    if (sum !== undefined) writer.double(5, sum)
    if (buckets.counts.length > 0) writer.packedFixed64(6, buckets.counts)
    if (buckets.boundaries.length > 0) writer.packedDoubles(7, buckets.boundaries)
    this.#attributes(9, point)
    if (min !== undefined) writer.double(11, min)
    if (max !== undefined) writer.double(12, max)
    this.#exemplarsOf(metric, point, 8)
    writer.end(start, 2)
  }

  #exponentialHistogram(metric: MetricData, point: DataPoint<ExponentialHistogram>): void {
    const writer = this.#writer
    const { count, sum, min, max, scale, zeroCount, positive, negative } = point.value
    const start = writer.begin(1, 2)
    this.#attributes(1, point)
    this.#times(point)
    writer.fixed64(4, count)
    if (sum !== undefined) writer.double(5, sum)
    if (scale !== 0) writer.zigzag(6, scale)
    writer.fixed64(7, zeroCount)
    this.#buckets(8, positive)
    this.#buckets(9, negative)
    if (min !== undefined) writer.double(12, min)
    if (max !== undefined) writer.double(13, max)
    this.#exemplarsOf(metric, point, 11)
    writer.end(start, 2)
  }

  #buckets(field: number, { offset, bucketCounts }: ExponentialHistogram['positive']): void {
    const writer = this.#writer
    const start = writer.begin(field, 1)
    if (offset !== 0) writer.zigzag(1, offset)
    if (bucketCounts.length > 0) writer.packedIntegers(2, bucketCounts)
    writer.end(start, 1)
  }

  #times({ startTime, endTime }: DataPoint<unknown>): void {
    this.#writer.nanoseconds(2, startTime)
    this.#writer.nanoseconds(3, endTime)
  }

  #attributes(field: number, { attributes }: DataPoint<unknown>): void {
    for (const key in attributes) writeAttribute(this.#writer, field, key, attributes[key])
  }

  #exemplarsOf(metric: MetricData, point: DataPoint<unknown>, field: number): void {
    for (const exemplar of exemplarsOf(this.#exemplars, metric, point)) this.#exemplar(field, exemplar)
  }

  #exemplar(field: number, { traceId, spanId, value, timeMs }: Exemplar): void {
    const writer = this.#writer
    const start = writer.begin(field, 1)
    writer.nanoseconds(2, [Math.floor(timeMs / 1e3), (timeMs % 1e3) * 1e6])
    writer.double(3, value)
    writer.hex(4, spanId)
    writer.hex(5, traceId)
    writer.end(start, 1)
  }
}

/** Field of Metric for each kind of data. */
const DATA_FIELDS: Readonly<Record<DataPointType, number>> = {
  [DataPointType.GAUGE]: 5,
  [DataPointType.SUM]: 7,
  [DataPointType.HISTOGRAM]: 9,
  [DataPointType.EXPONENTIAL_HISTOGRAM]: 10,
}

/** With delta temporality a point covers a short time, and only the exemplars of that time belong to it. */
export function exemplarsOf(
  source: ExemplarSource,
  metric: MetricData,
  point: DataPoint<unknown>,
): readonly Exemplar[] {
  const exemplars = source.exemplars(metric.descriptor.name, point.attributes)
  if (exemplars.length === 0 || metric.aggregationTemporality !== AggregationTemporality.DELTA) return exemplars
  const [seconds, nanos] = point.startTime
  return exemplars.filter(({ timeMs }) => timeMs >= seconds * 1e3 + nanos / 1e6)
}
