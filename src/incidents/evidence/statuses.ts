import type { Alert } from '../alerts/alert'
import type { Evidence, StatusCount } from './evidence'
import { increaseOf } from './increase'
import type { PrometheusClient, Sample } from './prometheus'
import { answerMatchers, requestsByOutcome } from './selection'

/** Maximum statuses reported for one alert. */
const MAX_STATUSES = 6

/** Counts the final statuses of the requests that the alert is about. */
export async function countStatuses(
  alert: Pick<Alert, 'labels'>,
  window: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<StatusCount[]> {
  const matchers = answerMatchers(alert)
  if (matchers === undefined) return []
  const counter = 'http_server_request_duration_seconds_count'
  const grown = (sum: string): Promise<Sample[]> => increaseOf(sum, window, prometheus, signal)
  const failed = grown(`sum by (http_response_status_code) (${counter}{${matchers.failed}})`)
  if (alert.labels['family'] !== 'faults') {
    const [counts, all] = await Promise.all([failed, grown(`sum(${counter}{${matchers.all}})`)])
    return rankStatuses(counts, all[0]?.value)
  }
  const [counts, requests] = await Promise.all([failed, grown(requestsByOutcome(alert))])
  // The denominator of the rule: with refused requests in it, it would contradict "100 % failed".
  const isLetThrough = ({ labels }: Sample): boolean => ['ok', 'fault'].includes(labels['gateway_outcome'] ?? '')
  const refused = Math.round(sumOf(requests.filter(sample => !isLetThrough(sample))))
  return rankStatuses(counts, sumOf(requests.filter(isLetThrough))).map(status => ({ ...status, refused }))
}

function sumOf(samples: readonly Sample[]): number {
  return samples.reduce((sum, { value }) => sum + value, 0)
}

/**
 * @param counts affected requests by status
 * @param all the total; default: the sum of the affected ones
 */
export function rankStatuses(counts: readonly Sample[], all?: number): StatusCount[] {
  const affected = Math.round(sumOf(counts))
  // The two queries run at different moments, so the total may be smaller than its part.
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

/** "500 in 40, 502 in 16 of 2310 requests that were let through (400 more were refused or given up)". */
export function statusesInWords(statuses: readonly StatusCount[]): string {
  const shares = statuses.map(({ status, count }) => `${status} in ${count}`)
  const [first] = statuses
  const requests = `${shares.join(', ')} of ${first?.total ?? 0} requests`
  if (first?.refused === undefined) return requests
  const others = first.refused > 0 ? ` (${first.refused} more were refused or given up)` : ''
  return `${requests} that were let through${others}`
}
