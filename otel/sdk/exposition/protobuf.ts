import type { HrTime } from '@opentelemetry/api'
import type { HistogramMetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { Exemplar } from '../exemplars'
import { ProtobufWriter } from '../otlp/protobuf-writer'
import { familiesOf, scopeEntries, type Family, type WritableMetric } from './families'
import { labelEntries, type Label } from './labels'
import { nativeBuckets, NativeHistograms, schemaOf } from './native-histograms'
import type { Rendering } from './render'

/** Series after which the caller may yield: a tenth of a millisecond with histograms. */
const SERIES_PER_SLICE = 5
/** `MetricType` of Prometheus' metrics.proto. */
const TYPES = { counter: 0, gauge: 1, histogram: 4 } as const

/**
 * Writes collected metrics as Prometheus' protobuf format: `io.prometheus.client.MetricFamily`, each after its length. It
 * is the only format with native histograms; they stand beside the classic buckets of the same series. Counters and
 * histograms have their start.
 *
 * @yields a family, or undefined where the caller may yield to the event loop
 */
export function* renderProtobuf(
  metrics: ResourceMetrics,
  exponential: ResourceMetrics | undefined,
  rendering: Rendering,
): Generator<Uint8Array | undefined, void> {
  const writer = new ProtobufWriter()
  const native = new NativeHistograms(exponential)
  yield targetInfo(writer, metrics)
  for (const family of familiesOf(metrics, rendering.complain)) {
    writer.text(1, family.type === 'counter' ? `${family.name}_total` : family.name)
    if (family.help !== '') writer.text(2, family.help)
    writer.integer(3, TYPES[family.type])
    const written = new Set<string>()
    let series = 0
    for (const { metric, scope } of family.members) {
      const scopeLabels = scopeEntries(scope)
      for (const point of metric.dataPoints) {
        const pairs = rendering.labels.pairs(point.attributes)
        const key = `${scope.name}\n${scope.version ?? ''}\n${pairs}`
        if (written.has(key)) {
          rendering.complain(
            `a series of ${metric.descriptor.name} is left out of /metrics: its labels are those of another one`,
          )
          continue
        }
        written.add(key)
        const labels = [...labelEntries(point.attributes), ...scopeLabels]
        writeSeries(writer, { family, metric, point, labels, pairs, scope: scope.name, native }, rendering)
        if (++series % SERIES_PER_SLICE === 0) yield undefined
      }
    }
    if (family.unit !== undefined) writer.text(5, family.unit)
    yield delimited(writer.take())
  }
}

interface Series {
  readonly family: Family
  readonly metric: WritableMetric
  readonly point: WritableMetric['dataPoints'][number]
  readonly labels: readonly Label[]
  readonly pairs: string
  readonly scope: string
  readonly native: NativeHistograms
}

function writeSeries(writer: ProtobufWriter, series: Series, { exemplars, complain }: Rendering): void {
  const { family, metric, point, labels } = series
  const { value, attributes, startTime } = point
  if (family.type === 'counter' && typeof value === 'number' && value < 0) {
    complain(`a series of ${metric.descriptor.name} is left out of /metrics: a counter cannot be ${value}`)
    return
  }
  const start = writer.begin(4, 2) // MetricFamily.metric
  writeLabels(writer, labels)
  if (typeof value === 'object') {
    writeHistogram(writer, series, value, (bucket?: number) => {
      if (bucket === undefined) return exemplars.exemplars(metric.descriptor.name, attributes)
      const exemplar = exemplars.exemplar(metric.descriptor.name, attributes, bucket)
      return exemplar === undefined ? [] : [exemplar]
    })
  } else {
    const isCounter = family.type === 'counter'
    const data = writer.begin(isCounter ? 3 : 2, 1)
    writer.double(1, value)
    if (isCounter) {
      const exemplar = exemplars.exemplar(metric.descriptor.name, attributes, 0)
      if (exemplar !== undefined) writeExemplar(writer, 2, exemplar)
      writeTime(writer, 3, startTime)
    }
    writer.end(data, 1)
  }
  writer.end(start, 2)
}

function writeHistogram(
  writer: ProtobufWriter,
  { metric, point, pairs, scope, native }: Series,
  { buckets: { boundaries, counts }, count, sum }: HistogramMetricData['dataPoints'][number]['value'],
  exemplarsOf: (bucket?: number) => readonly Exemplar[],
): void {
  const exponential = native.of(scope, metric.descriptor.name, pairs)
  const schema = exponential === undefined ? undefined : schemaOf(exponential.scale)
  const start = writer.begin(7, 2) // Metric.histogram
  // The exponential one was collected last, and Prometheus refuses it if its buckets do not add up to the count.
  writer.integer(1, exponential?.count ?? count)
  const total = exponential === undefined ? sum : exponential.sum
  if (total !== undefined) writer.double(2, total)
  let cumulative = 0
  for (const [index, boundary] of boundaries.entries()) {
    cumulative += counts[index] ?? 0
    writeBucket(writer, cumulative, boundary, exemplarsOf(index))
  }
  const [last] = exemplarsOf(boundaries.length)
  if (last !== undefined) writeBucket(writer, exponential?.count ?? count, Infinity, [last])
  if (exponential !== undefined && schema !== undefined) {
    const { scale, zeroCount, positive, negative } = exponential
    writer.zigzag(5, schema)
    writer.double(6, 0) // only 0 itself is in the zero bucket
    writer.integer(7, zeroCount)
    writeNativeBuckets(writer, 9, nativeBuckets(negative, scale, schema))
    writeNativeBuckets(writer, 12, nativeBuckets(positive, scale, schema))
    for (const exemplar of exemplarsOf()) writeExemplar(writer, 16, exemplar)
  }
  writeTime(writer, 15, point.startTime)
  writer.end(start, 2)
}

/** @param field that of the spans; their counts have the next one */
function writeNativeBuckets(
  writer: ProtobufWriter,
  field: 9 | 12,
  { spans, deltas }: ReturnType<typeof nativeBuckets>,
): void {
  // A histogram without observations is known as native by an empty span.
  const written = spans.length === 0 && field === 12 ? [{ offset: 0, length: 0 }] : spans
  for (const { offset, length } of written) {
    const start = writer.begin(field, 1)
    writer.zigzag(1, offset)
    writer.integer(2, length)
    writer.end(start, 1)
  }
  for (const delta of deltas) writer.zigzag(field + 1, delta)
}

function writeBucket(writer: ProtobufWriter, count: number, bound: number, exemplars: readonly Exemplar[]): void {
  const start = writer.begin(3, 1)
  writer.integer(1, count)
  writer.double(2, bound)
  for (const exemplar of exemplars) writeExemplar(writer, 3, exemplar)
  writer.end(start, 1)
}

function writeExemplar(writer: ProtobufWriter, field: number, { traceId, spanId, value, timeMs }: Exemplar): void {
  const start = writer.begin(field, 1)
  writeLabels(writer, [
    ['trace_id', traceId],
    ['span_id', spanId],
  ])
  writer.double(2, value)
  writeTime(writer, 3, [Math.floor(timeMs / 1e3), (timeMs % 1e3) * 1e6])
  writer.end(start, 1)
}

function writeLabels(writer: ProtobufWriter, labels: readonly Label[]): void {
  for (const [name, value] of labels) {
    const start = writer.begin(1, 1)
    writer.text(1, name)
    writer.text(2, value)
    writer.end(start, 1)
  }
}

function writeTime(writer: ProtobufWriter, field: number, [seconds, nanos]: HrTime): void {
  const start = writer.begin(field, 1)
  writer.integer(1, seconds)
  writer.integer(2, Math.round(nanos))
  writer.end(start, 1)
}

function targetInfo(writer: ProtobufWriter, { resource }: ResourceMetrics): Uint8Array {
  writer.text(1, 'target_info')
  writer.text(2, 'Target metadata')
  writer.integer(3, TYPES.gauge)
  const start = writer.begin(4, 2)
  writeLabels(writer, labelEntries(resource.attributes))
  const gauge = writer.begin(2, 1)
  writer.double(1, 1)
  writer.end(gauge, 1)
  writer.end(start, 2)
  return delimited(writer.take())
}

/** A message after its length, as a varint. */
function delimited(message: Uint8Array): Uint8Array {
  const prefix: number[] = []
  let rest = message.length
  for (; rest > 127; rest = Math.floor(rest / 128)) prefix.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...prefix, rest]), message])
}
