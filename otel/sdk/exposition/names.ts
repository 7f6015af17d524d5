/**
 * Translates OpenTelemetry names to Prometheus names by the "Prometheus and OpenMetrics Compatibility" specification,
 * with the same results as the Collector's Prometheus exporters, so that a metric has one name on every path.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram'

export interface FamilyName {
  /** The OpenMetrics family name, without the `_total` of counters. Empty if no valid name is left. */
  readonly name: string
  /** The OpenMetrics `# UNIT`, if the name ends with it. */
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
  // Other units of the specification
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
 * Turns `http.server.request.duration` in `s` into `http_server_request_duration_seconds`. A unit is not repeated, a
 * gauge of unit `1` is a ratio, and annotations such as `{request}` are dropped.
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

/**
 * Labels that the exposition itself writes. An attribute of the same name is renamed, as Prometheus does with
 * `exported_job`.
 */
const RESERVED = new Set(['le', 'otel_scope_name', 'otel_scope_version', 'otel_scope_schema_url'])

/** Turns `http.route` into `http_route`; names that begin with `__` are reserved for Prometheus. */
export function labelName(attribute: string): string {
  const name = attribute.replace(/[^a-zA-Z0-9]+/g, '_')
  if (/^\d/.test(name)) return `key_${name}`
  return RESERVED.has(name) ? `exported_${name}` : name === '' ? '_' : name
}
