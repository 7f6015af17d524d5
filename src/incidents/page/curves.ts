import { fetchCurve, planCurve, type Curve } from '../evidence/curve'
import type { FoundExemplar, PrometheusClient } from '../evidence/prometheus'
import { findReplicaUrls } from '../evidence/trace-sources'
import type { Incident, IncidentAlert } from '../record/incident'

/** The curve of alerts that are about the same numbers. */
export interface AlertCurve {
  readonly alerts: readonly IncidentAlert[]
  /** Undefined: neither Prometheus nor the record has one. */
  readonly curve: Curve | undefined
  /** Why it is the recorded one and not today's. */
  readonly note: string | undefined
  /** What Prometheus has besides the traces in the record. */
  readonly exemplars: readonly LinkedExemplar[]
}

export type LinkedExemplar = FoundExemplar & {
  /** The replica that recorded it, as its ops port is reached. */
  readonly replicaUrl: string | undefined
}

/** As much of Prometheus as a page asks. */
export type AskedPrometheus = Pick<PrometheusClient, 'query' | 'queryRange' | 'queryExemplars'>

/** Where curves and exemplars come from. */
export interface AskedOfCurves {
  readonly prometheus: AskedPrometheus
  /** The job under which Prometheus scrapes the gateways. */
  readonly gatewayJob: string
}

/** A page must not wait for a Prometheus that hangs. */
const BUDGET_MS = 1_000
/** Curves on one page; an incident has one cause and seldom more than one or two selections. */
const MAX_CURVES = 3
const MAX_EXEMPLARS = 40
/** Around the start: what was normal before, and how it went on. */
const BEFORE_MS = 10 * 60_000
const AFTER_START_MS = 60 * 60_000
const AFTER_END_MS = 5 * 60_000

/** The curves of an incident, from Prometheus as it is now, else as they were recorded. Never rejects. */
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

/** What is shown of the time around an incident: its start, and its end where that is not hours later. */
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
  // Spread over the time: the newest alone would leave the beginning bare.
  const slotMs = Math.max(1, (endMs - startMs) / MAX_EXEMPLARS)
  const bySlot = new Map([...distinct.values()].map(exemplar => [Math.floor(exemplar.timeMs / slotMs), exemplar]))
  return [...bySlot.values()].sort((a, b) => a.timeMs - b.timeMs).slice(0, MAX_EXEMPLARS)
}
