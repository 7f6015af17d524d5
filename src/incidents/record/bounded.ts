import type { ProvingTrace } from '../evidence/evidence'
import type { Incident, IncidentAlert } from './incident-record'

/** Maximum bytes of JSON per incident: 500 incidents (`MAX_INCIDENTS`) stay below 128 MiB in Redis. */
export const MAX_INCIDENT_BYTES = 256 * 1024

/**
 * Steps that shorten an alert, the least important data first. Each removes one item, or returns undefined if none is
 * left.
 */
const GIVE_UP: readonly ((alert: IncidentAlert) => IncidentAlert | undefined)[] = [
  withoutSpansOfOldest,
  withoutGoodTrace,
  withoutLogs,
  alert => alert.evidence && { ...alert, evidence: undefined },
  alert => (Object.keys(alert.annotations).length > 0 ? { ...alert, annotations: {} } : undefined),
]

/**
 * Shortens the incident to the maximum size: spans of the oldest alerts first, whole alerts last, never the newest
 * alert.
 */
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

function withoutLogs(alert: IncidentAlert): IncidentAlert | undefined {
  if (alert.evidence?.logs === undefined) return undefined
  const { logs: _logs, ...evidence } = alert.evidence
  return { ...alert, evidence }
}

const NO_SPANS: ProvingTrace['spans'] = []

/**
 * Sizes measured so far. Alerts and spans are immutable, so each is measured once, however often its incident changes.
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
