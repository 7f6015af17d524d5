import type { ProvingTrace } from '../evidence/evidence'
import type { Incident, IncidentAlert } from './incident-record'

/** Bytes of JSON of one incident: 500 of them (`MAX_INCIDENTS`) stay below 128 MiB in Redis, whatever traces and labels hold. */
export const MAX_INCIDENT_BYTES = 256 * 1024

/** What can be given up of an alert, the least missed first. Each takes one thing away, or nothing if there is none left. */
const GIVE_UP: readonly ((alert: IncidentAlert) => IncidentAlert | undefined)[] = [
  withoutSpansOfOldest,
  withoutGoodTrace,
  alert => alert.evidence && { ...alert, evidence: undefined },
  alert => (Object.keys(alert.annotations).length > 0 ? { ...alert, annotations: {} } : undefined),
]

/** The incident, made to fit: first the spans of the oldest alerts' traces go, whole alerts last and the newest never. */
export function bounded(incident: Incident): Incident {
  let bytes = bytesOfIncident(incident)
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
  while (bytes > MAX_INCIDENT_BYTES && alerts.length > 1) {
    const oldest = alerts.shift()
    if (oldest !== undefined) bytes -= bytesOf(oldest)
  }
  return { ...incident, alerts }
}

/** Traces are newest first. */
function withoutSpansOfOldest(alert: IncidentAlert): IncidentAlert | undefined {
  const { evidence } = alert
  if (evidence === undefined) return undefined
  const oldest = evidence.traces.findLastIndex(({ spans }) => spans.length > 0)
  const trace = evidence.traces[oldest]
  if (trace === undefined) return undefined
  const traces = evidence.traces.map((other, index) => (index === oldest ? { ...other, spans: NO_SPANS } : other))
  const smaller = { ...alert, evidence: { ...evidence, traces } }
  sizes.set(smaller, bytesOf(alert) - bytesOf(trace.spans) + bytesOf(NO_SPANS))
  return smaller
}

function withoutGoodTrace(alert: IncidentAlert): IncidentAlert | undefined {
  if (alert.evidence?.goodTrace === undefined) return undefined
  const { goodTrace: _goodTrace, ...evidence } = alert.evidence
  return { ...alert, evidence }
}

const NO_SPANS: ProvingTrace['spans'] = []

/**
 * Known sizes. Alerts and spans are never changed, only replaced: each is measured once, however many alerts its incident
 * has and however often one of them changes.
 */
const sizes = new WeakMap<object, number>()

function bytesOf(value: object): number {
  let bytes = sizes.get(value)
  if (bytes === undefined) sizes.set(value, (bytes = Buffer.byteLength(JSON.stringify(value))))
  return bytes
}

function bytesOfIncident({ alerts, ...rest }: Incident): number {
  const commas = Math.max(0, alerts.length - 1)
  const field = ',"alerts":[]'.length
  const own = Buffer.byteLength(JSON.stringify(rest)) + field
  return alerts.reduce((sum, alert) => sum + bytesOf(alert), own + commas)
}
