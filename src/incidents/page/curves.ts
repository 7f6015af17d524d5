import { fetchCurve, planCurve, type Curve } from '../evidence/curve'
import type { FoundExemplar, PrometheusClient } from '../evidence/prometheus'
import { findReplicaUrls } from '../evidence/trace-sources'
import type { Incident, IncidentAlert } from '../record/incident'

/** The curve of alerts with the same numbers. */
export interface AlertCurve {
  readonly alerts: readonly IncidentAlert[]
  /** Undefined: neither Prometheus nor the record has one. */
  readonly curve: Curve | undefined
  /** Why the recorded curve is shown instead of the current one. */
  readonly note: string | undefined
  /** Exemplars from Prometheus that are not among the traces in the record. */
  readonly exemplars: readonly LinkedExemplar[]
}

export type LinkedExemplar = FoundExemplar & {
  /** The ops port address of the replica that recorded it. */
  readonly replicaUrl: string | undefined
}

/** The methods of Prometheus that a page uses. */
export type AskedPrometheus = Pick<PrometheusClient, 'query' | 'queryRange' | 'queryExemplars'>

/** The sources of curves and exemplars. */
export interface AskedOfCurves {
  readonly prometheus: AskedPrometheus
  /** The Prometheus job that scrapes the gateways. */
  readonly gatewayJob: string
}

/** Maximum time for all queries: a page must not wait for a Prometheus that hangs. */
const BUDGET_MS = 1_000
/** Maximum curves on one page; an incident has one cause and seldom more than one or two selections. */
const MAX_CURVES = 3
const MAX_EXEMPLARS = 40
/** The time shown before the start (what was normal) and after it. */
const BEFORE_MS = 10 * 60_000
const AFTER_START_MS = 60 * 60_000
const AFTER_END_MS = 5 * 60_000

/** The curves of an incident: from Prometheus, or as recorded. Never rejects. */
export async function curvesOf(
  incident: Incident,
  sinceMs: number,
  { prometheus, gatewayJob }: AskedOfCurves,
  now: number,
): Promise<AlertCurve[]> {
  const range = curveRange(incident, sinceMs, now)
  const groups = Map.groupBy(incident.alerts.filter(planCurve), alert => JSON.stringify(planCurve(alert)?.lines))
  const signal = AbortSignal.timeout(BUDGET_MS)
  const replicas = findReplicaUrls(prometheus, gatewayJob, { timeMs: range.endMs, signal }).catch(() => NO_REPLICAS)
  return Promise.all(
    [...groups.values()].slice(0, MAX_CURVES).map(async alerts => {
      const [found, exemplars] = await Promise.all([
        drawn(alerts, range, prometheus, signal),
        exemplarsOf(alerts, range, prometheus, signal),
      ])
      const urls = await replicas
      const linked = exemplars.map(e => ({ ...e, replicaUrl: urls.get(e.series['instance'] ?? '') }))
      return { alerts, exemplars: linked, ...found }
    }),
  )
}

/** The time range shown for an incident: around its start, and to its end if that is not hours later. */
export function curveRange({ closedAtMs }: Incident, sinceMs: number, now: number): { startMs: number; endMs: number } {
  const overMs = closedAtMs === undefined ? now : Math.min(now, closedAtMs + AFTER_END_MS)
  return { startMs: sinceMs - BEFORE_MS, endMs: Math.min(overMs, sinceMs + AFTER_START_MS) }
}

const NO_REPLICAS: ReadonlyMap<string, string> = new Map()

async function drawn(
  alerts: readonly IncidentAlert[],
  range: { readonly startMs: number; readonly endMs: number },
  prometheus: AskedPrometheus,
  signal: AbortSignal,
): Promise<Pick<AlertCurve, 'curve' | 'note'>> {
  const recorded = alerts.findLast(({ evidence }) => evidence?.curve !== undefined)?.evidence?.curve
  const [alert] = alerts
  try {
    const curve = alert && (await fetchCurve(alert, range, prometheus, signal))
    if (curve !== undefined) return { curve, note: undefined }
    return { curve: recorded, note: 'Prometheus has no data for that time' }
  } catch {
    return { curve: recorded, note: 'Prometheus does not answer' }
  }
}

async function exemplarsOf(
  alerts: readonly IncidentAlert[],
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  prometheus: AskedPrometheus,
  signal: AbortSignal,
): Promise<FoundExemplar[]> {
  const selectors = new Set(alerts.map(({ annotations }) => annotations['exemplar_query'] ?? ''))
  selectors.delete('')
  const found = await Promise.all(
    [...selectors]
      .slice(0, 2)
      .map(selector => prometheus.queryExemplars(selector, startMs, endMs, signal).catch(() => [])),
  )
  const distinct = new Map(found.flat().map(exemplar => [exemplar.traceId, exemplar]))
  if (distinct.size <= MAX_EXEMPLARS) return [...distinct.values()].sort((a, b) => a.timeMs - b.timeMs)
  // Spread over the time: the newest alone would leave the beginning without dots.
  const slotMs = Math.max(1, (endMs - startMs) / MAX_EXEMPLARS)
  const bySlot = new Map([...distinct.values()].map(exemplar => [Math.floor(exemplar.timeMs / slotMs), exemplar]))
  return [...bySlot.values()].sort((a, b) => a.timeMs - b.timeMs).slice(0, MAX_EXEMPLARS)
}
