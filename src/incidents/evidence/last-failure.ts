import type { Alert } from '../alerts/alert'
import type { PrometheusClient } from './prometheus'
import { failureSelector } from './selection'

/** Maximum points of a range query. */
const MAX_POINTS = 1_000
/** Maximum distance of an exemplar from the last increase; an older one belongs to another failure. */
const SAME_FAILURE_MS = 30_000

/**
 * When the last request failed that an alert is about. The alert fires for minutes after that: rules look back, and
 * `keep_firing_for` prevents flapping. Undefined for alerts that count no failures.
 */
export async function findLastFailure(
  alert: Pick<Alert, 'labels' | 'annotations'>,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  prometheus: Pick<PrometheusClient, 'queryRange' | 'queryExemplars'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const selector = failureSelector(alert)
  if (selector === undefined) return undefined
  const range = { startMs, endMs, stepMs: Math.max(1_000, (endMs - startMs) / MAX_POINTS) }
  const exemplarQuery = alert.annotations['exemplar_query'] ?? ''
  const [series, exemplars] = await Promise.all([
    prometheus.queryRange(`sum(gateway_requests_total{${selector}})`, range, signal),
    exemplarQuery === '' ? [] : prometheus.queryExemplars(exemplarQuery, startMs, endMs, signal).catch(() => []),
  ])
  const points = series[0]?.points ?? []
  const last = points.findLastIndex(([, value], index) => index > 0 && value > (points[index - 1]?.[1] ?? value))
  if (last === -1) return undefined
  const scrapedMs = (points[last]?.[0] ?? 0) * 1_000
  const provenMs = Math.max(...exemplars.map(({ timeMs }) => timeMs).filter(timeMs => timeMs <= scrapedMs))
  return scrapedMs - provenMs <= SAME_FAILURE_MS ? provenMs : scrapedMs
}
