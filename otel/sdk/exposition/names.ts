/**
 * From OpenTelemetry names to Prometheus names, after the "Prometheus and OpenMetrics Compatibility" specification and with
 * the results of the Collector's Prometheus exporters, so that a metric has one name whichever way it leaves.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram'

export interface FamilyName {
  /** Without the `_total` of counters: the name of the family in OpenMetrics. Empty: no name is left. */
  readonly name: string
  /** As in OpenMetrics `# UNIT`, where the name ends with it. */
  readonly unit: string | undefined
}

const UNITS: Readonly<Record<string, string>> = {
  // Time
  d: 'days',
  h: 'hours',
  min: 'minutes',
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
  // Bytes
  By: 'bytes',
  KiBy: 'kibibytes',
  MiBy: 'mebibytes',
  GiBy: 'gibibytes',
  TiBy: 'tibibytes',
  KBy: 'kilobytes',
  MBy: 'megabytes',
  GBy: 'gigabytes',
  TBy: 'terabytes',
  // Others of the specification
  m: 'meters',
  V: 'volts',
  A: 'amperes',
  J: 'joules',
  W: 'watts',
  g: 'grams',
  Cel: 'celsius',
  Hz: 'hertz',
  '1': '',
  '%': 'percent',
}

const PER_UNITS: Readonly<Record<string, string>> = {
  s: 'second',
  m: 'minute',
  h: 'hour',
  d: 'day',
  w: 'week',
  mo: 'month',
  y: 'year',
}

/**
 * `http.server.request.duration` in `s` becomes `http_server_request_duration_seconds`. A unit is not said twice, a
 * ratio is a gauge of unit `1`, and annotations such as `{request}` say nothing.
 */
export function familyName(name: string, unit: string, type: MetricType, isGauge: boolean): FamilyName {
  let words = wordsOf(name)
  if (type === 'counter') words = words.filter(word => word !== 'total')
  const suffix = unitSuffix(unit)
  if (isGauge && unit === '1') {
    words = [...words.filter(word => word !== 'ratio'), 'ratio']
  } else {
    if (suffix.unit !== '' && !words.includes(suffix.unit)) words.push(suffix.unit)
    if (suffix.per !== '' && !words.includes(suffix.per)) words.push('per', suffix.per)
  }
  const joined = words.join('_')
  const full = /^\d/.test(joined) ? `_${joined}` : joined
  const said =
    isGauge && unit === '1' ? 'ratio' : [suffix.unit, suffix.per && `per_${suffix.per}`].filter(Boolean).join('_')
  return { name: full, unit: said !== '' && full.endsWith(`_${said}`) ? said : undefined }
}

function unitSuffix(unit: string): { readonly unit: string; readonly per: string } {
  const [main = '', per = ''] = unit.split('/').map(part => part.replace(/\{[^}]*\}/g, '').trim())
  return { unit: UNITS[main] ?? wordsOf(main).join('_'), per: PER_UNITS[per] ?? wordsOf(per).join('_') }
}

function wordsOf(text: string): string[] {
  return text.split(/[^a-zA-Z0-9]+/).filter(word => word !== '')
}

/** Labels of our own making. An attribute of the same name is moved aside, as Prometheus does with `exported_job`. */
const RESERVED = new Set(['le', 'otel_scope_name', 'otel_scope_version', 'otel_scope_schema_url'])

/** `http.route` becomes `http_route`; names that begin with `__` belong to Prometheus itself. */
export function labelName(attribute: string): string {
  const name = attribute.replace(/[^a-zA-Z0-9]+/g, '_')
  if (/^\d/.test(name)) return `key_${name}`
  return RESERVED.has(name) ? `exported_${name}` : name === '' ? '_' : name
}
