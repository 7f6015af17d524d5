import {
  AggregationTemporality,
  AggregationType,
  DataPointType,
  InstrumentType,
  MetricReader,
  type ExponentialHistogram,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics'
import { labelPairs } from './labels'

/**
 * Aggregates the histograms once more, exponentially: an instrument has one aggregation for each reader, and the text
 * formats need the explicit buckets. It must be collected directly after the exposition's own reader: some instruments
 * report changes since the last collection, of whatever reader.
 */
export class ExponentialReader extends MetricReader {
  constructor() {
    super({
      aggregationSelector: type =>
        type === InstrumentType.HISTOGRAM
          ? { type: AggregationType.EXPONENTIAL_HISTOGRAM }
          : { type: AggregationType.DROP },
      aggregationTemporalitySelector: () => AggregationTemporality.CUMULATIVE,
    })
  }

  protected async onForceFlush(): Promise<void> {
    // Has nothing to send.
  }

  protected async onShutdown(): Promise<void> {
    // Has nothing to close.
  }
}

/** The exponential histograms of one collection, by the series that they belong to. */
export class NativeHistograms {
  readonly #bySeries = new Map<string, ExponentialHistogram>()

  constructor(metrics: ResourceMetrics | undefined) {
    for (const { scope, metrics: ofScope } of metrics?.scopeMetrics ?? []) {
      for (const metric of ofScope) {
        if (metric.dataPointType !== DataPointType.EXPONENTIAL_HISTOGRAM) continue
        for (const { attributes, value } of metric.dataPoints)
          this.#bySeries.set(seriesKey(scope.name, metric.descriptor.name, labelPairs(attributes)), value)
      }
    }
  }

  of(scope: string, metric: string, pairs: string): ExponentialHistogram | undefined {
    return this.#bySeries.get(seriesKey(scope, metric, pairs))
  }
}

function seriesKey(scope: string, metric: string, pairs: string): string {
  return `${scope}\n${metric}\n${pairs}`
}

/** Scales that Prometheus has: finer ones are merged, coarser ones cannot be written. */
const FINEST_SCHEMA = 8
const COARSEST_SCHEMA = -4

export interface NativeBuckets {
  /** Runs of buckets: the gap before each, and its length. */
  readonly spans: readonly { readonly offset: number; readonly length: number }[]
  /** Counts, each as the difference to the one before. */
  readonly deltas: readonly number[]
}

/** @returns undefined if the histogram is too coarse for Prometheus */
export function schemaOf(scale: number): number | undefined {
  return scale < COARSEST_SCHEMA ? undefined : Math.min(scale, FINEST_SCHEMA)
}

/**
 * Buckets as Prometheus writes them. Bucket `i` of OpenTelemetry begins above `base ** i`, that of Prometheus ends there,
 * so that the numbers differ by one.
 */
export function nativeBuckets(
  { offset, bucketCounts }: ExponentialHistogram['positive'],
  scale: number,
  schema: number,
): NativeBuckets {
  const spans: { offset: number; length: number }[] = []
  const counts: number[] = []
  let last: number | undefined
  for (const [place, count] of bucketCounts.entries()) {
    if (count === 0) continue
    const index = ((offset + place) >> (scale - schema)) + 1
    const span = spans.at(-1)
    if (index === last) counts[counts.length - 1] = (counts.at(-1) ?? 0) + count
    else {
      counts.push(count)
      if (span !== undefined && last !== undefined && index === last + 1) span.length++
      else spans.push({ offset: last === undefined ? index : index - last - 1, length: 1 })
    }
    last = index
  }
  return { spans, deltas: counts.map((count, place) => count - (counts[place - 1] ?? 0)) }
}
