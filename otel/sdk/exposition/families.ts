import { DataPointType, type MetricData, type ResourceMetrics } from '@opentelemetry/sdk-metrics'
import { escapeQuoted, type Label } from './labels'
import { familyName, type MetricType } from './names'

/** All metrics with one exposed name, from any scope; they are written together, once. */
export interface Family {
  /** Without `_total`. */
  readonly name: string
  readonly type: MetricType
  readonly unit: string | undefined
  help: string
  readonly members: { readonly metric: WritableMetric; readonly scopeLabels: string; readonly scope: Scope }[]
}

/** The metrics that the text formats can express. */
export type WritableMetric = Exclude<MetricData, { readonly dataPointType: DataPointType.EXPONENTIAL_HISTOGRAM }>

type Scope = ResourceMetrics['scopeMetrics'][number]['scope']

/**
 * Sorts metrics into families in the order of their first appearance. Names can collide only after translation, and
 * scrapers reject a family that appears twice or with two types, so the first one wins.
 *
 * @param complain called for everything that is left out, at every scrape
 */
export function familiesOf(metrics: ResourceMetrics, complain: (problem: string) => void): Family[] {
  const families = new Map<string, Family>()
  // Owner of each sample name: a gauge `x_count` and a histogram `x` would expose the same series twice.
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
      family.members.push({ metric, scopeLabels, scope })
    }
  }
  return [...families.values()]
}

/** @returns the reason, in words, if there is no family */
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

/** Leaves out the schema URL: it would be the longest label of every line, and queries do not use it. OTLP has it. */
function scopePairs(scope: Scope): string {
  return scopeEntries(scope)
    .map(([name, value]) => `${name}="${escapeQuoted(value)}"`)
    .join(',')
}

export function scopeEntries({ name, version }: Scope): Label[] {
  return [
    ['otel_scope_name', name],
    ['otel_scope_version', version],
  ].filter((pair): pair is [string, string] => pair[1] !== undefined && pair[1] !== '')
}
