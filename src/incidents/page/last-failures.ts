import { findLastFailure } from '../evidence/last-failure'
import type { Incident, IncidentAlert } from '../record/incident'
import type { AskedPrometheus } from './curves'

/** Maximum time for all queries: a page must not wait for a Prometheus that hangs. */
const BUDGET_MS = 1_000
/** Maximum alerts queried; the others of an incident concern the same requests. */
const MAX_ASKED = 5

/** Adds the last failure that Prometheus knows now: an alert may still fire when requests have long stopped failing. */
export async function withLastFailures(
  incident: Incident,
  prometheus: AskedPrometheus,
  now: number,
): Promise<Incident> {
  const signal = AbortSignal.timeout(BUDGET_MS)
  const asked = incident.alerts.filter(isOpen).slice(-MAX_ASKED)
  const found = new Map(
    await Promise.all(
      asked.map(async (alert): Promise<readonly [IncidentAlert, number | undefined]> => {
        const startMs = alert.evidence?.window.startMs ?? alert.startsAtMs
        const range = { startMs, endMs: now }
        return [alert, await findLastFailure(alert, range, prometheus, signal).catch(() => undefined)]
      }),
    ),
  )
  const alerts = incident.alerts.map(alert => {
    const lastBadMs = found.get(alert)
    if (lastBadMs === undefined || alert.evidence === undefined) return alert
    return { ...alert, evidence: { ...alert.evidence, lastBadMs } }
  })
  return { ...incident, alerts }
}

function isOpen({ endsAtMs }: IncidentAlert): boolean {
  return endsAtMs === undefined
}
