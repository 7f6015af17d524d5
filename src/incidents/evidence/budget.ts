import { durationText } from '../../config/values/duration'
import type { Alert } from '../alerts/alert'
import type { Budget, Evidence } from './evidence'
import { increaseOf } from './increase'
import { quoted, type PrometheusClient } from './prometheus'

/** How often the generated rules record `increase5m`, as a fraction of its five minutes (`slo/slo-rules.ts`). */
const RECORDED_SHARE = 4 / 5

/** The kind of objective that an alert is about, by its family. */
const SLOS: ReadonlyMap<string, 'availability' | 'latency'> = new Map([
  ['faults', 'availability'],
  ['latency', 'latency'],
])

/**
 * The share of a route's error budget that its faults or slow requests spent, from the rules that `npm run monitoring`
 * generates. Undefined without an objective, or if these rules have no data yet.
 */
export async function findBudget(
  alert: Pick<Alert, 'labels'>,
  window: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<Budget | undefined> {
  const { family, job, http_route: route } = alert.labels
  const kind = SLOS.get(family ?? '')
  if (kind === undefined || job === undefined || route === undefined || route === '') return undefined
  const own = `job=${quoted(job)},http_route=${quoted(route)}`
  const slo = `{${own},slo="${kind}"}`
  const [objective] = await prometheus.query(`slo:objective:ratio${slo}`, window.endMs, signal)
  if (objective === undefined) return undefined // most routes have none: one query instead of five
  const [windowDays] = await prometheus.query(`slo:objective_window:days${slo}`, window.endMs, signal)
  const days = windowDays?.value ?? DEFAULT_DAYS
  // Whole units: Prometheus takes no `7.5d`.
  const range = durationText(Math.round(days * DAY_MS))
  const [left, requests, bad] = await Promise.all([
    prometheus.query(`min(job_http_route:slo_error_budget_remaining:ratio${slo})`, window.endMs, signal),
    prometheus.query(
      `sum(sum_over_time(job_http_route:slo_requests:increase5m${slo}[${range}]))`,
      window.endMs,
      signal,
    ),
    kind === 'availability' ? countFaults(own, window, prometheus, signal) : countSlow(slo, window, prometheus, signal),
  ])
  const all = requests[0]?.value
  if (all === undefined || left[0] === undefined) return undefined
  const allowed = all * RECORDED_SHARE * (1 - objective.value)
  if (!(allowed > 0)) return undefined
  return { spent: bad / allowed, left: left[0].value, days }
}

/** The default of `slo.window`, for rules of an earlier version, which do not record it. */
const DEFAULT_DAYS = 30
const DAY_MS = 86_400_000

/** Exact to the last scrape: most faults are younger than the last recorded five minutes when the message is written. */
async function countFaults(
  own: string,
  window: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<number> {
  const [faults] = await increaseOf(
    `sum(gateway_requests_total{${own},gateway_outcome="fault"})`,
    window,
    prometheus,
    signal,
  )
  return faults?.value ?? 0
}

/** As recorded: which requests are slow depends on the objective, and the recording rule knows its threshold. */
async function countSlow(
  slo: string,
  { startMs, endMs }: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<number> {
  const range = `${Math.max(1, Math.ceil((endMs - startMs) / 1_000))}s`
  const recorded = `sum(sum_over_time(job_http_route:slo_bad_requests:increase5m${slo}[${range}]))`
  const [slow] = await prometheus.query(recorded, endMs, signal)
  return (slow?.value ?? 0) * RECORDED_SHARE
}

/** "12 % of the 30-day error budget in 20 minutes, 63 % is left". */
export function budgetInWords({ spent, left, days = DEFAULT_DAYS }: Budget, lastedMs: number): string {
  const minutes = Math.max(1, Math.round(lastedMs / 60_000))
  const rest = left > 0 ? `${percent(left)} is left` : 'none is left'
  return `${percent(spent)} of the ${Number(days.toFixed(2))}-day error budget in ${minutes} minute${minutes === 1 ? '' : 's'}, ${rest}`
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}
