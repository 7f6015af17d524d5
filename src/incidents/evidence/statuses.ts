import type { Alert } from '../alerts/alert'
import type { Evidence, StatusCount } from './evidence'
import { increaseOf } from './increase'
import type { PrometheusClient, Sample } from './prometheus'
import { answerMatchers } from './selection'

/** Statuses told of one alert. */
const MAX_STATUSES = 6

/** With which statuses the requests ended that the alert is about. */
export async function countStatuses(
  alert: Pick<Alert, 'labels'>,
  window: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<StatusCount[]> {
  const matchers = answerMatchers(alert)
  if (matchers === undefined) return []
  const counter = 'http_server_request_duration_seconds_count'
  const [failed, all] = await Promise.all([
    increaseOf(`sum by (http_response_status_code) (${counter}{${matchers.failed}})`, window, prometheus, signal),
    increaseOf(`sum(${counter}{${matchers.all}})`, window, prometheus, signal),
  ])
  return rankStatuses(failed, all[0]?.value)
}

/**
 * @param counts affected requests by status
 * @param all of how many; the sum of the affected ones where it is not given
 */
export function rankStatuses(counts: readonly Sample[], all?: number): StatusCount[] {
  const affected = Math.round(counts.reduce((sum, { value }) => sum + value, 0))
  // Asked a moment apart, the whole may be smaller than its part.
  const total = Math.max(affected, Math.round(all ?? 0))
  return counts
    .filter(({ value }) => Math.round(value) > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, MAX_STATUSES)
    .map(({ labels, value }) => ({
      status: labels['http_response_status_code'] ?? 'none',
      count: Math.round(value),
      total,
    }))
}

/** "500 in 40, 502 in 16 of 2310 requests". */
export function statusesInWords(statuses: readonly StatusCount[]): string {
  const shares = statuses.map(({ status, count }) => `${status} in ${count}`)
  return `${shares.join(', ')} of ${statuses[0]?.total ?? 0} requests`
}
