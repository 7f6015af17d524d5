import type { Alert } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import { mergeEvidence } from '../evidence/merge'
import { bounded } from './bounded'
import type { Incident, IncidentAlert } from './incident-record'

export type { Incident, IncidentAlert }

/** Alerts remembered in one incident; a flapping alert must not make it grow for ever. */
const MAX_ALERTS = 50

/**
 * Alerts with the same cause belong together: one upstream takes several routes along, and a Redis that is gone is behind
 * everything that is said about Redis and about limits counted without it.
 */
export function causeOf({ labels }: Alert): string {
  const { component, family, gateway_upstream_name: upstream, alertname = 'alert' } = labels
  if (upstream !== undefined && upstream !== '') return `upstream ${upstream}`
  if (component === 'redis' || family === 'rate-limit-store') return 'redis'
  return `${component ?? ''} ${family ?? alertname}`.trim()
}

export function openIncident(alert: Alert, now: number): Incident {
  // Sorts by time, and cannot be guessed from outside.
  const id = `${now.toString(36)}-${crypto.randomUUID().slice(0, 8)}`
  const { alertname = 'alert', http_route: route, gateway_upstream_name: upstream } = alert.labels
  const title = [alertname, route, upstream && `(${upstream})`].filter(Boolean).join(' ')
  return { id, cause: causeOf(alert), title, openedAtMs: now, closedAtMs: undefined, alerts: [] }
}

/**
 * The incident with what is now known about one of its alerts. An alert is in one state at a time: when it begins anew or ends,
 * what is still open of it under an earlier start (its end was missed, or another Prometheus saw it begin) ends too.
 */
export function withAlert(
  incident: Incident,
  fingerprint: string,
  alert: Alert,
  known: { readonly endsAtMs?: number; readonly evidence?: Evidence },
): Incident {
  const startsAtMs = Date.parse(alert.startsAt)
  const isSame = (other: IncidentAlert): boolean => other.fingerprint === fingerprint && other.startsAtMs === startsAtMs
  const before = incident.alerts.find(isSame)
  const after: IncidentAlert = {
    fingerprint,
    labels: alert.labels,
    annotations: alert.annotations,
    generatorURL: alert.generatorURL,
    startsAtMs,
    endsAtMs: known.endsAtMs ?? before?.endsAtMs,
    evidence:
      before?.evidence && known.evidence
        ? mergeEvidence(before.evidence, known.evidence)
        : (known.evidence ?? before?.evidence),
  }
  const overMs = known.endsAtMs ?? startsAtMs
  const others = incident.alerts
    .filter(other => !isSame(other))
    .map(other => (other.fingerprint === fingerprint ? endedBy(other, overMs) : other))
  const { alerts, ...rest } = bounded({ ...incident, alerts: [...others, after].slice(-MAX_ALERTS) })
  const isOver = alerts.every(({ endsAtMs }) => endsAtMs !== undefined)
  const closedAtMs = isOver ? Math.max(...alerts.map(({ endsAtMs }) => endsAtMs ?? 0)) : undefined
  return { ...rest, alerts, closedAtMs }
}

/** Whether the alert still fires and an end at this time can be its own, not that of an earlier firing. */
export function isEndedBy({ startsAtMs, endsAtMs }: IncidentAlert, timeMs: number): boolean {
  return endsAtMs === undefined && startsAtMs <= timeMs
}

function endedBy(alert: IncidentAlert, timeMs: number): IncidentAlert {
  return isEndedBy(alert, timeMs) ? { ...alert, endsAtMs: timeMs } : alert
}
