import type { Alert } from '../alerts/alert'
import { failureSelector, ownMatchers } from './selection'
import type { PrometheusClient, Series } from './prometheus'

/** The numbers of an alert over time, at equal steps. */
export interface Curve {
  /** "failed requests". */
  readonly what: string
  readonly unit: 'per second' | 'seconds' | 'share' | 'on or off'
  readonly startMs: number
  readonly stepMs: number
  /** The first line is what the alert is about; the others are for comparison. */
  readonly lines: readonly CurveLine[]
}

export interface CurveLine {
  readonly name: string
  /** `null` where Prometheus has no value. */
  readonly values: readonly (number | null)[]
}

export type CurvePlan = Pick<Curve, 'what' | 'unit'> & {
  readonly lines: readonly { readonly name: string; readonly expression: string }[]
}

/** Points per line: enough for a chart as wide as a screen, in about a kilobyte of the record. */
const POINTS = 160
/** Minimum step. Steps are whole seconds, so that the same query repeated has the same points. */
const MIN_STEP_MS = 1_000

/** The curve of an alert; undefined if there is nothing to draw. Rejects if Prometheus does not answer. */
export async function fetchCurve(
  alert: Pick<Alert, 'labels'>,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  prometheus: Pick<PrometheusClient, 'queryRange'>,
  signal: AbortSignal,
): Promise<Curve | undefined> {
  const plan = planCurve(alert)
  if (plan === undefined) return undefined
  const stepMs = Math.max(MIN_STEP_MS, Math.ceil((endMs - startMs) / POINTS / 1_000) * 1_000)
  const range = { startMs: Math.floor(startMs / stepMs) * stepMs, endMs, stepMs }
  const found = await Promise.all(plan.lines.map(line => prometheus.queryRange(line.expression, range, signal)))
  const lines = plan.lines.map(({ name }, index) => ({ name, values: onGrid(found[index]?.[0], range) }))
  if (lines[0]?.values.every(value => value === null) !== false) return undefined
  return { what: plan.what, unit: plan.unit, startMs: range.startMs, stepMs, lines }
}

/** One minute covers four scrapes, so that a failed scrape leaves no gap. */
const RATE_WINDOW = '1m'

/** The lines to draw for an alert. Alerts of the same selection have the same plan. */
export function planCurve(alert: Pick<Alert, 'labels'>): CurvePlan | undefined {
  const { family, http_route: route, instance } = alert.labels
  const failures = failureSelector(alert)
  if (failures !== undefined) {
    const what = WHAT.get(family ?? '') ?? 'refused requests'
    return {
      what: withPlace(what, route ?? instance),
      unit: 'per second',
      lines: [
        { name: what, expression: perSecond(failures) },
        { name: 'all requests', expression: perSecond(ownMatchers(alert).join(',')) },
      ],
    }
  }
  if (family === 'latency') {
    return {
      what: withPlace('slowest 5 % of the answers', route),
      unit: 'seconds',
      lines: [
        { name: '95th percentile', expression: quantile(0.95, alert) },
        { name: 'median', expression: quantile(0.5, alert) },
      ],
    }
  }
  return STATES.get(family ?? '')
}

const WHAT: ReadonlyMap<string, string> = new Map([
  ['faults', 'failed requests'],
  ['rate-limit', 'limited requests'],
  ['load', 'requests turned away'],
])

/** Curves of single numbers, worse when higher, about all of Redis or the whole gateway. */
const STATES: ReadonlyMap<string, CurvePlan> = new Map([
  ['redis', state('Redis does not answer', 'on or off', '1 - min(redis_up)')],
  ['redis-memory', share('memory used of maxmemory', 'redis_memory_used_bytes', 'redis_memory_max_bytes')],
  ['redis-connections', share('connections of maxclients', 'redis_connected_clients', 'redis_config_maxclients')],
  ['rate-limit-store', state('limits counted without Redis', 'on or off', 'max(gateway_rate_limiting_degraded)')],
])

function share(what: string, part: string, whole: string): CurvePlan {
  return state(what, 'share', `max(${part} / (${whole} > 0))`)
}

function state(what: string, unit: Curve['unit'], expression: string): CurvePlan {
  return { what, unit, lines: [{ name: what, expression }] }
}

function withPlace(what: string, route: string | undefined): string {
  return route === undefined || route === '' ? what : `${what}, ${route}`
}

function perSecond(selector: string): string {
  return `sum(rate(gateway_requests_total{${selector}}[${RATE_WINDOW}]))`
}

/** A quantile as in the rule: a 5xx response is a fault, not a slow request. */
function quantile(share: number, { labels }: Pick<Alert, 'labels'>): string {
  const { gateway_upstream_name: _of, ...own } = labels
  const selector = [...ownMatchers({ labels: own }), 'http_response_status_code!~"5.."'].join(',')
  return `histogram_quantile(${share}, sum by (le) (rate(http_server_request_duration_seconds_bucket{${selector}}[${RATE_WINDOW}])))`
}

function onGrid(
  series: Series | undefined,
  { startMs, endMs, stepMs }: { readonly startMs: number; readonly endMs: number; readonly stepMs: number },
): (number | null)[] {
  const values = Array.from({ length: Math.floor((endMs - startMs) / stepMs) + 1 }, (): number | null => null)
  for (const [seconds, value] of series?.points ?? []) {
    const index = Math.round((seconds * 1_000 - startMs) / stepMs)
    if (index >= 0 && index < values.length && Number.isFinite(value)) values[index] = Number(value.toPrecision(4))
  }
  return values
}
