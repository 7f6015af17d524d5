import type { Incident, IncidentAlert } from './incident-record'

/** Bytes of JSON of one incident: 500 of them (`MAX_INCIDENTS`) stay below 128 MiB in Redis, whatever traces and labels hold. */
export const MAX_INCIDENT_BYTES = 256 * 1024

/** What can be given up of an alert, the least missed first. Each takes one thing away, or nothing if there is none left. */
const GIVE_UP: readonly ((alert: IncidentAlert) => IncidentAlert | undefined)[] = [
  withoutSpansOfOldest,
  alert => alert.evidence && { ...alert, evidence: undefined },
  alert => (Object.keys(alert.annotations).length > 0 ? { ...alert, annotations: {} } : undefined),
]

/** The incident, made to fit: first the spans of the oldest alerts' traces go, whole alerts last and the newest never. */
export function bounded(incident: Incident): Incident {
  let bytes = bytesOf(incident)
  if (bytes <= MAX_INCIDENT_BYTES) return incident
  const alerts = [...incident.alerts]
  for (const giveUp of GIVE_UP) {
    for (let index = 0; index < alerts.length && bytes > MAX_INCIDENT_BYTES;) {
      const alert = alerts[index]
      const smaller = alert && giveUp(alert)
      if (alert === undefined || smaller === undefined) {
        index++
        continue
      }
      bytes -= bytesOf(alert) - bytesOf(smaller)
      alerts[index] = smaller
    }
  }
  while (bytes > MAX_INCIDENT_BYTES && alerts.length > 1) bytes -= bytesOf(alerts.shift())
  return { ...incident, alerts }
}

/** Traces are newest first. */
function withoutSpansOfOldest(alert: IncidentAlert): IncidentAlert | undefined {
  const { evidence } = alert
  if (evidence === undefined) return undefined
  const oldest = evidence.traces.findLastIndex(({ spans }) => spans.length > 0)
  if (oldest === -1) return undefined
  const traces = evidence.traces.map((trace, index) => (index === oldest ? { ...trace, spans: [] } : trace))
  return { ...alert, evidence: { ...evidence, traces } }
}

function bytesOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value))
}
