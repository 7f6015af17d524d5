import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { Attributes } from '@opentelemetry/api'
import type { Exemplar, ExemplarSource } from '../exemplars'

/** Most series in one piece: a message of this size takes a worker about a millisecond to write. */
const SERIES_PER_PIECE = 500

type Scope = ResourceMetrics['scopeMetrics'][number]['scope']
export type Point = MetricData['dataPoints'][number]

/** A part of one metric of one process, in a form that a message between processes can carry. */
export interface MetricPiece {
  readonly scope: Scope
  readonly descriptor: MetricData['descriptor']
  readonly type: DataPointType
  readonly isMonotonic: boolean
  readonly points: readonly Point[]
  /** By the index of the point, then of its bucket. */
  readonly exemplars: readonly (readonly (Exemplar | undefined)[])[]
}

/** Splits collected metrics into pieces. Exponential histograms have no text form and are left out. */
export function* piecesOf(metrics: ResourceMetrics, exemplars: ExemplarSource): Generator<MetricPiece, void> {
  for (const { scope, metrics: ofScope } of metrics.scopeMetrics) {
    const { name, version = '', schemaUrl = '' } = scope
    for (const metric of ofScope) {
      if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) continue
      for (let from = 0; from < metric.dataPoints.length; from += SERIES_PER_PIECE) {
        const points: readonly Point[] = metric.dataPoints.slice(from, from + SERIES_PER_PIECE)
        yield {
          scope: { name, version, schemaUrl },
          descriptor: metric.descriptor,
          type: metric.dataPointType,
          isMonotonic: metric.dataPointType === DataPointType.SUM && metric.isMonotonic,
          points,
          exemplars: exemplarsOf(metric.descriptor.name, points, exemplars),
        }
      }
    }
  }
}

function exemplarsOf(name: string, points: readonly Point[], source: ExemplarSource): MetricPiece['exemplars'] {
  return points.map(({ attributes, value }) => {
    if (source.exemplars(name, attributes).length === 0) return NONE
    const buckets = isHistogram(value) ? value.buckets.boundaries.length + 1 : 1
    return Array.from({ length: buckets }, (_, bucket) => source.exemplar(name, attributes, bucket))
  })
}

const NONE: readonly undefined[] = []

export interface HistogramValue {
  readonly buckets: { readonly boundaries: number[]; readonly counts: number[] }
  readonly count: number
  readonly sum?: number | undefined
}

export function isHistogram(value: Point['value']): value is HistogramValue & Point['value'] {
  return typeof value === 'object' && 'buckets' in value
}

/** The attributes as a key, equal for equal attributes whatever their order. */
export function attributesKey(attributes: Attributes): string {
  const keys = Object.keys(attributes)
  if (keys.length > 1) keys.sort()
  let key = ''
  for (const name of keys) key += `${JSON.stringify(name)}:${JSON.stringify(attributes[name])},`
  return key
}
