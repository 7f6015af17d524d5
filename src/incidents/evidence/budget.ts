import type { Alert } from '../alerts/alert'
import type { Budget, Evidence } from './evidence'
import { increaseOf } from './increase'
import { quoted, type PrometheusClient } from './prometheus'

/** How often the generated rules record `increase5m`, as a fraction of its five minutes (`slo/slo-rules.ts`). */
const RECORDED_SHARE = 4 / 5

/**
 * The share of a route's error budget that its faults spent, from the rules that `npm run monitoring` generates.
 * Undefined without an objective, or if these rules have no data yet.
 */
export async function findBudget(
  alert: Pick<Alert, 'labels'>,
  window: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<Budget | undefined> {
  const { family, job, http_route: route } = alert.labels
  if (family !== 'faults' || job === undefined || route === undefined || route === '') return undefined
  const own = `job=${quoted(job)},http_route=${quoted(route)}`
  const slo = `{${own},slo="availability"}`
  const [objective, left, requests, faults] = await Promise.all([
    prometheus.query(`slo:objective:ratio${slo}`, window.endMs, signal),
    prometheus.query(`min(job_http_route:slo_error_budget_remaining:ratio${slo})`, window.endMs, signal),
    prometheus.query(`sum(sum_over_time(job_http_route:slo_requests:increase5m${slo}[30d]))`, window.endMs, signal),
    increaseOf(`sum(gateway_requests_total{${own},gateway_outcome="fault"})`, window, prometheus, signal),
  ])
  const target = objective[0]?.value
  const all = requests[0]?.value
  if (target === undefined || all === undefined || left[0] === undefined) return undefined
  const allowed = all * RECORDED_SHARE * (1 - target)
  if (!(allowed > 0)) return undefined
  return { spent: (faults[0]?.value ?? 0) / allowed, left: left[0].value }
}

/** "12 % of the month's error budget in 20 minutes, 63 % is left". */
export function budgetInWords({ spent, left }: Budget, lastedMs: number): string {
  const minutes = Math.max(1, Math.round(lastedMs / 60_000))
  const rest = left > 0 ? `${percent(left)} is left` : 'none is left'
  return `${percent(spent)} of the month's error budget in ${minutes} minute${minutes === 1 ? '' : 's'}, ${rest}`
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(2))} %`
}
