import type { Attributes } from '@opentelemetry/api'
import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { Exemplar, ExemplarSource } from '../exemplars'
import { ruleOf, type Rule } from './gauge-rules'
import { attributesKey, type HistogramValue, type MetricPiece, type Point } from './worker-metrics'

/**
 * Most series of one metric. Each worker has at most as many as the SDK allows; workers that have ended leave theirs
 * behind, and the gateway may run for months.
 */
const MAX_SERIES = 10_000

interface MergedPoint {
  readonly attributes: Attributes
  value: number | HistogramValue
  exemplars: (Exemplar | undefined)[] | undefined
}

interface MergedMetric {
  readonly piece: Omit<MetricPiece, 'points' | 'exemplars'>
  readonly rule: Rule
  readonly points: Map<string, MergedPoint>
}

/** Adds up the metrics of several processes. */
export class MetricMerge {
  readonly #metrics = new Map<string, MergedMetric>()

  /** @param isPrimary whether these are the primary's own metrics */
  add(piece: MetricPiece, isPrimary: boolean): void {
    const rule = ruleOf(piece.descriptor.name, piece.type === DataPointType.GAUGE)
    if (rule === 'primary' && !isPrimary) return
    const metric = this.#metricOf(piece, rule)
    // The first process decides the type and unit of a name.
    if (metric.piece.type !== piece.type || metric.piece.isMonotonic !== piece.isMonotonic) return
    for (const [index, point] of piece.points.entries()) {
      const key = attributesKey(point.attributes)
      const before = metric.points.get(key)
      if (before === undefined) {
        if (metric.points.size >= MAX_SERIES) continue
        metric.points.set(key, newPoint(point, piece.exemplars[index]))
        continue
      }
      before.value = merged(before.value, point.value as MergedPoint['value'], rule)
      addExemplars(before, piece.exemplars[index])
    }
  }

  /** The result as one collection, with the exemplars of its series. */
  result(resource: ResourceMetrics['resource']): {
    readonly metrics: ResourceMetrics
    readonly exemplars: ExemplarSource
  } {
    const scopes = new Map<string, { scope: MetricPiece['scope']; metrics: MetricData[] }>()
    const exemplars = new Map<Attributes, readonly (Exemplar | undefined)[]>()
    for (const { piece, points } of this.#metrics.values()) {
      const key = scopeKey(piece.scope)
      const scope = scopes.get(key) ?? { scope: piece.scope, metrics: [] }
      scopes.set(key, scope)
      const dataPoints = [...points.values()].map(point => {
        // Its own object for each series, because exemplars are found by it.
        const attributes = { ...point.attributes }
        if (point.exemplars !== undefined) exemplars.set(attributes, point.exemplars)
        return { startTime: NO_TIME, endTime: NO_TIME, attributes, value: point.value }
      })
      scope.metrics.push(metricData(piece, dataPoints))
    }
    return { metrics: { resource, scopeMetrics: [...scopes.values()] }, exemplars: sourceOf(exemplars) }
  }

  /** What must not be lost when a process ends: its counters and histograms. A counter that falls looks like a restart. */
  *totals(): Generator<MetricPiece, void> {
    for (const { piece, points } of this.#metrics.values()) {
      const dataPoints = [...points.values()].map(({ attributes, value }) => {
        return { startTime: NO_TIME, endTime: NO_TIME, attributes, value } as Point
      })
      yield { ...piece, points: dataPoints, exemplars: [] }
    }
  }

  #metricOf({ points: _points, exemplars: _exemplars, ...piece }: MetricPiece, rule: Rule): MergedMetric {
    const key = `${scopeKey(piece.scope)}\0${piece.descriptor.name}`
    let metric = this.#metrics.get(key)
    if (metric === undefined) this.#metrics.set(key, (metric = { piece, rule, points: new Map() }))
    return metric
  }
}

/** Whether the metric only grows, so that it continues after the process that counted it. */
export function isTotal({ type, isMonotonic }: Pick<MetricPiece, 'type' | 'isMonotonic'>): boolean {
  return type === DataPointType.HISTOGRAM || (type === DataPointType.SUM && isMonotonic)
}

/** The exposition does not write times. */
const NO_TIME: [number, number] = [0, 0]

function newPoint({ attributes, value }: Point, exemplars: MetricPiece['exemplars'][number] | undefined): MergedPoint {
  const point: MergedPoint = { attributes, value: value as MergedPoint['value'], exemplars: undefined }
  addExemplars(point, exemplars)
  return point
}

function merged(a: MergedPoint['value'], b: MergedPoint['value'], rule: Rule): MergedPoint['value'] {
  if (typeof a === 'object' || typeof b === 'object') {
    return typeof a === 'object' && typeof b === 'object' ? addHistograms(a, b) : a
  }
  if (rule === 'max') return Math.max(a, b)
  return rule === 'min' ? Math.min(a, b) : a + b
}

/** Histograms with other boundaries, after a change of objectives, are not comparable: the first one stays. */
function addHistograms(a: HistogramValue, b: HistogramValue): HistogramValue {
  const { boundaries, counts } = a.buckets
  if (boundaries.length !== b.buckets.boundaries.length) return a
  if (boundaries.some((boundary, index) => boundary !== b.buckets.boundaries[index])) return a
  return {
    buckets: { boundaries, counts: counts.map((count, index) => count + (b.buckets.counts[index] ?? 0)) },
    count: a.count + b.count,
    sum: a.sum === undefined || b.sum === undefined ? undefined : a.sum + b.sum,
  }
}

/** Of each bucket, the newest exemplar of all processes. */
function addExemplars(point: MergedPoint, found: readonly (Exemplar | undefined)[] = []): void {
  for (const [bucket, exemplar] of found.entries()) {
    if (exemplar === undefined) continue
    point.exemplars ??= []
    const before = point.exemplars[bucket]
    if (before === undefined || before.timeMs < exemplar.timeMs) point.exemplars[bucket] = exemplar
  }
}

function sourceOf(byAttributes: ReadonlyMap<Attributes, readonly (Exemplar | undefined)[]>): ExemplarSource {
  return {
    exemplar: (_instrument, attributes, bucket) => byAttributes.get(attributes)?.[bucket],
    exemplars: (_instrument, attributes) =>
      (byAttributes.get(attributes) ?? []).filter(exemplar => exemplar !== undefined),
  }
}

function metricData(piece: MergedMetric['piece'], dataPoints: object[]): MetricData {
  const { descriptor, type: dataPointType, isMonotonic } = piece
  return { descriptor, dataPointType, isMonotonic, aggregationTemporality: 1, dataPoints } as unknown as MetricData
}

function scopeKey({ name, version }: MetricPiece['scope']): string {
  return `${name}\0${version ?? ''}`
}
