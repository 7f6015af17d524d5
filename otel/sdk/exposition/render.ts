import type { HistogramMetricData, ResourceMetrics } from '@opentelemetry/sdk-metrics'
import type { Exemplar, ExemplarSource } from '../exemplars'
import { familiesOf, type Family, type WritableMetric } from './families'
import { escapeHelp, escapeQuoted, labelPairs, type LabelCache } from './labels'
import type { TextFormat } from './negotiation'

/** Characters after which the caller may yield to the event loop: a tenth of a millisecond. */
const PIECE = 4_096

/** Inputs of rendering besides the metrics. */
export interface Rendering {
  readonly labels: LabelCache
  readonly exemplars: ExemplarSource
  /** Called for everything that is left out, at every scrape. */
  readonly complain: (problem: string) => void
}

/**
 * Writes collected metrics as Prometheus text 0.0.4 or OpenMetrics 1.0, piece by piece, so that the caller can yield to
 * the event loop in between.
 */
export function* render(metrics: ResourceMetrics, format: TextFormat, rendering: Rendering): Generator<string, void> {
  let piece = targetInfo(metrics, format)
  for (const family of familiesOf(metrics, rendering.complain)) {
    for (const lines of familyLines(family, format, rendering)) {
      piece += lines
      if (piece.length < PIECE) continue
      yield piece
      piece = ''
    }
  }
  yield format === 'openmetrics' ? `${piece}# EOF\n` : piece
}

/** Writes the resource once, as `target_info`, to be joined on `job` and `instance`. */
function targetInfo(metrics: ResourceMetrics, format: TextFormat): string {
  const name = format === 'openmetrics' ? 'target' : 'target_info'
  const type = format === 'openmetrics' ? 'info' : 'gauge'
  const pairs = labelPairs(metrics.resource.attributes)
  return `# HELP ${name} Target metadata\n# TYPE ${name} ${type}\ntarget_info{${pairs}} 1\n`
}

/** Writes a family, the lines of one series at a time. */
function* familyLines(family: Family, format: TextFormat, rendering: Rendering): Generator<string, void> {
  const { labels, complain } = rendering
  yield metadata(family, format)
  // Translation can make the labels of two series equal; a scraper would reject the second one.
  const written = new Set<string>()
  for (const { metric, scopeLabels } of family.members) {
    for (const point of metric.dataPoints) {
      const ofPoint = labels.pairs(point.attributes)
      const pairs = ofPoint === '' ? scopeLabels : scopeLabels === '' ? ofPoint : `${ofPoint},${scopeLabels}`
      if (written.has(pairs)) {
        complain(`a series of ${metric.descriptor.name} is left out of /metrics: its labels are those of another one`)
        continue
      }
      written.add(pairs)
      yield seriesLines({ family, metric, point, pairs, format }, rendering)
    }
  }
}

function metadata(family: Family, format: TextFormat): string {
  const openmetrics = format === 'openmetrics'
  const name = family.type === 'counter' && !openmetrics ? `${family.name}_total` : family.name
  const escape = openmetrics ? escapeQuoted : escapeHelp
  const help = family.help === '' ? '' : `# HELP ${name} ${escape(family.help)}\n`
  const unit = openmetrics && family.unit !== undefined ? `# UNIT ${name} ${family.unit}\n` : ''
  return `${help}# TYPE ${name} ${family.type}\n${unit}`
}

interface Series {
  readonly family: Family
  readonly metric: WritableMetric
  readonly point: WritableMetric['dataPoints'][number]
  readonly pairs: string
  readonly format: TextFormat
}

function seriesLines(series: Series, { exemplars, complain }: Rendering): string {
  const { family, metric, point, pairs, format } = series
  const { value } = point
  const exemplar = (bucket: number): string =>
    format === 'openmetrics' ? suffix(exemplars.exemplar(metric.descriptor.name, point.attributes, bucket)) : ''
  if (typeof value === 'object') return histogramLines(family.name, value, pairs, format, exemplar)
  if (family.type !== 'counter') return sample(family.name, pairs, number(value))
  if (value >= 0) return sample(`${family.name}_total`, pairs, number(value), exemplar(0))
  complain(`a series of ${metric.descriptor.name} is left out of /metrics: a counter cannot be ${value}`)
  return ''
}

/** Writes an exemplar as in OpenMetrics 1.0; its labels take 63 of the allowed 128 characters. */
function suffix(exemplar: Exemplar | undefined): string {
  if (exemplar === undefined) return ''
  const { traceId, spanId, value, timeMs } = exemplar
  return ` # {trace_id="${traceId}",span_id="${spanId}"} ${number(value)} ${(timeMs / 1_000).toFixed(3)}`
}

/** Writes a histogram. Buckets are cumulative, and the last one, `+Inf`, equals the count. */
function histogramLines(
  name: string,
  { buckets: { boundaries, counts }, count, sum }: HistogramMetricData['dataPoints'][number]['value'],
  pairs: string,
  format: TextFormat,
  exemplar: (bucket: number) => string,
): string {
  const before = pairs === '' ? `${name}_bucket{le="` : `${name}_bucket{${pairs},le="`
  let cumulative = 0
  let lines = ''
  for (const [index, boundary] of boundaries.entries()) {
    cumulative += counts[index] ?? 0
    lines += `${before}${bucketLabel(boundary, format)}"} ${cumulative}${exemplar(index)}\n`
  }
  lines += `${before}+Inf"} ${count}${exemplar(boundaries.length)}\n`
  lines += sample(`${name}_count`, pairs, String(count))
  return sum === undefined ? lines : lines + sample(`${name}_sum`, pairs, number(sum))
}

function sample(name: string, pairs: string, value: string, exemplar = ''): string {
  return pairs === '' ? `${name} ${value}${exemplar}\n` : `${name}{${pairs}} ${value}${exemplar}\n`
}

function number(value: number): string {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}

/** Writes a bucket boundary: OpenMetrics writes whole numbers as `1.0`, the text format as `1`. */
function bucketLabel(boundary: number, format: TextFormat): string {
  const text = String(boundary)
  return format === 'openmetrics' && /^-?\d+$/.test(text) ? `${text}.0` : text
}
