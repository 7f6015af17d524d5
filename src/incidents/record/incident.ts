import type { Alert } from '../alerts/alert'
import type { Evidence } from '../evidence/evidence'
import { mergeEvidence } from '../evidence/merge'
import { bounded } from './bounded'
import type { Incident, IncidentAlert } from './incident-record'

export type { Incident, IncidentAlert }

/** Maximum alerts per incident, so that a flapping alert does not grow it without limit. */
const MAX_ALERTS = 50

/**
 * The cause of an alert; alerts with the same cause share an incident. One upstream affects several routes, and an
 * unavailable Redis is the cause of all alerts about Redis and about degraded limits.
 */
export function causeOf({ labels }: Alert): string {
  const { component, family, gateway_upstream_name: upstream, alertname = 'alert' } = labels
  if (upstream !== undefined && upstream !== '') return `upstream ${upstream}`
  if (component === 'redis' || family === 'rate-limit-store') return 'redis'
  return `${component ?? ''} ${family ?? alertname}`.trim()
}

export function openIncident(alert: Alert, now: number): Incident {
  // The id sorts by time and cannot be guessed.
  const id = `${now.toString(36)}-${crypto.randomUUID().slice(0, 8)}`
  const { alertname = 'alert', http_route: route, gateway_upstream_name: upstream } = alert.labels
  const title = [alertname, route, upstream && `(${upstream})`].filter(Boolean).join(' ')
  return { id, cause: causeOf(alert), title, openedAtMs: now, closedAtMs: undefined, alerts: [] }
}

/**
 * Returns the incident with an alert added or updated. An alert has one state at a time: when it starts again or ends,
 * firings with an earlier start (whose end was missed, or which another Prometheus reported) end too.
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

/** Whether the alert is firing and an end at this time belongs to this firing, not to an earlier one. */
export function isEndedBy({ startsAtMs, endsAtMs }: IncidentAlert, timeMs: number): boolean {
  return endsAtMs === undefined && startsAtMs <= timeMs
}

function endedBy(alert: IncidentAlert, timeMs: number): IncidentAlert {
  return isEndedBy(alert, timeMs) ? { ...alert, endsAtMs: timeMs } : alert
}
