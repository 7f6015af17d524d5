import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { escapeQuoted } from './labels'
import { familyName, type MetricType } from './names'

/** All metrics that come out under one name, from whichever scopes; written once, together. */
export interface Family {
  /** Without `_total`. */
  readonly name: string
  readonly type: MetricType
  readonly unit: string | undefined
  help: string
  readonly members: { readonly metric: WritableMetric; readonly scopeLabels: string }[]
}

/** What the text formats have a form for. */
export type WritableMetric = Exclude<MetricData, { readonly dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM }>

type Scope = ResourceMetrics['scopeMetrics'][number]['scope']

/**
 * Sorts metrics into families, in the order of their first appearance. Names may meet only after translation, and a
 * family that came out twice, or with two types, would make a scraper refuse everything: the first one wins.
 *
 * @param complain told of everything that is left out, at every scrape
 */
export function familiesOf(metrics: ResourceMetrics, complain: (problem: string) => void): Family[] {
  const families = new Map<string, Family>()
  // Who has which sample name: a gauge `x_count` beside a histogram `x` would be the same series twice.
  const owners = new Map<string, Family | 'target'>([
    ['target', 'target'],
    ['target_info', 'target'],
  ])
  for (const { scope, metrics: ofScope } of metrics.scopeMetrics) {
    const scopeLabels = scopePairs(scope)
    for (const metric of ofScope) {
      if (metric.dataPoints.length === 0) continue
      if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
        complain(`${metric.descriptor.name} is left out of /metrics: exponential histograms have no text form`)
        continue
      }
      const family = familyFor(metric, families, owners)
      if (typeof family === 'string') {
        complain(`${metric.descriptor.name} of ${scope.name} is left out of /metrics: ${family}`)
        continue
      }
      family.help ||= metric.descriptor.description
      family.members.push({ metric, scopeLabels })
    }
  }
  return [...families.values()]
}

/** @returns why there is none, in words */
function familyFor(
  metric: WritableMetric,
  families: Map<string, Family>,
  owners: Map<string, Family | 'target'>,
): Family | string {
  const type = typeOf(metric)
  const isGauge = metric.dataPointType === DataPointType.GAUGE
  const { name, unit } = familyName(metric.descriptor.name, metric.descriptor.unit, type, isGauge)
  if (name === '') return 'nothing of its name is allowed in one'
  const existing = families.get(name)
  if (existing !== undefined) {
    return existing.type === type ? existing : `${name} is already a ${existing.type}, this is a ${type}`
  }
  const names = [name, ...sampleNames(name, type)]
  const taken = names.find(sample => owners.has(sample))
  if (taken !== undefined) return `${taken} is already written by another metric`
  const family: Family = { name, type, unit, help: '', members: [] }
  families.set(name, family)
  for (const sample of names) owners.set(sample, family)
  return family
}

function typeOf(metric: WritableMetric): MetricType {
  if (metric.dataPointType === DataPointType.HISTOGRAM) return 'histogram'
  return metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? 'counter' : 'gauge'
}

function sampleNames(name: string, type: MetricType): string[] {
  if (type === 'counter') return [`${name}_total`]
  return type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : []
}

/** Without the schema URL: it would be the longest label of every line, and say nothing that a query asks for. It is in OTLP. */
function scopePairs(scope: Scope): string {
  const pairs = [
    ['otel_scope_name', scope.name],
    ['otel_scope_version', scope.version],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '')
  return pairs.map(([name, value]) => `${name}="${escapeQuoted(value)}"`).join(',')
}
