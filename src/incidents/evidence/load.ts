import type { Alert } from '../alerts/alert'
import { duration } from '../../pages/times'
import type { Evidence, Load } from './evidence'
import type { PrometheusClient } from './prometheus'
import { ownMatchers } from './selection'

/** The load during an alert about load. Refused requests have no traces, so the load is the evidence. */
export async function findLoad(
  alert: Pick<Alert, 'labels'>,
  { startMs, endMs }: Evidence['window'],
  prometheus: Pick<PrometheusClient, 'query'>,
  signal: AbortSignal,
): Promise<Load | undefined> {
  if (alert.labels['family'] !== 'load') return undefined
  const own = ownMatchers(alert).join(',')
  const seconds = Math.ceil((endMs - startMs) / 1_000)
  const [active, delay] = await Promise.all([
    // Summed before the maximum, as methods peak at different times; the step is not below the scrape interval.
    prometheus.query(
      `max(max_over_time(sum by (instance) (http_server_active_requests{${own}})[${seconds}s:5s]))`,
      endMs,
      signal,
    ),
    prometheus.query(`max(max_over_time(nodejs_eventloop_delay_p99_seconds{${own}}[${seconds}s]))`, endMs, signal),
  ])
  return { activeRequests: active[0]?.value, eventLoopDelay: delay[0]?.value }
}

/** "up to 812 requests at once, the event loop up to 640 ms late"; empty where nothing is known. */
export function loadInWords({ activeRequests, eventLoopDelay }: Load): string {
  return [
    ...(activeRequests === undefined ? [] : [`up to ${activeRequests} requests at once`]),
    ...(eventLoopDelay === undefined ? [] : [`the event loop up to ${duration(eventLoopDelay * 1_000)} late`]),
  ].join(', ')
}
