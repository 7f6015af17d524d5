import type { Change, LogLine, ProvingTrace, Signature } from '../evidence/evidence'
import { placeOf, saidOf } from '../evidence/signatures'
import type { Incident, IncidentAlert } from '../record/incident'
import { clockOrDate, lasted } from '../../pages/times'

/** The summary of an incident from all its alerts. */
export interface Story {
  readonly isOpen: boolean
  readonly severity: string
  /** The most important alert: firing before resolved, critical before warning, earlier before later. */
  readonly main: IncidentAlert | undefined
  /** The onset as far as known, before the first alert. Milliseconds since the epoch. */
  readonly sinceMs: number
  readonly untilMs: number | undefined
  /** When the last request failed; undefined if unknown. An alert still fires for minutes after that. */
  readonly lastBadMs: number | undefined
  /** What failed, where, since when, and why: two sentences. */
  readonly what: string
  readonly why: string
  /** Most frequent first; `total` is the number of failures in the incident. */
  readonly signatures: readonly Signature[]
  /** End of the counted time: when the evidence of the latest alert was gathered. */
  readonly countedUntilMs: number | undefined
  /** In order of time. */
  readonly traces: readonly ProvingTrace[]
  /** Log lines by trace id, in order of time. */
  readonly logs: ReadonlyMap<string, readonly LogLine[]>
  readonly timeline: readonly Moment[]
  readonly missing: readonly string[]
}

export interface Moment {
  readonly timeMs: number
  readonly kind: 'change' | 'good' | 'bad' | 'fired' | 'resolved'
  readonly what: string
}

export function tell(incident: Incident, now: number): Story {
  const alerts = [...incident.alerts].sort(byWeight)
  const main = alerts[0]
  const isOpen = incident.closedAtMs === undefined
  const firstBadMs = earliest(alerts.map(({ evidence }) => evidence?.firstBadMs))
  const sinceMs = Math.round(
    earliest([firstBadMs, ...alerts.map(({ startsAtMs }) => startsAtMs)]) ?? incident.openedAtMs,
  )
  const lastBadMs = latest(alerts.map(({ evidence }) => evidence?.lastBadMs))
  const signatures = mergeSignatures(alerts)
  const time = { sinceMs, lastBadMs, untilMs: incident.closedAtMs }
  return {
    isOpen,
    main,
    signatures,
    countedUntilMs: latest(alerts.map(({ evidence }) => evidence?.window.endMs)),
    severity: main?.labels['severity'] ?? 'none',
    ...time,
    what: `${whatBroke(main, signatures, isOpen)} ${when(time, now)}`,
    why: whyItBroke(main, signatures),
    traces: mergeTraces(alerts),
    logs: logsByTrace(alerts),
    timeline: toTimeline(alerts, now),
    missing: [...new Set(alerts.flatMap(({ evidence }) => evidence?.missing ?? []))],
  }
}

/** The first line of the summary, for a list. */
export function firstLine({ signatures: [first], why }: Story): string {
  return first === undefined ? why : `${first.count} of ${first.total}: ${placeOf(first)} ${saidOf(first)}`
}

const SEVERITIES = ['critical', 'warning', 'info', 'none']

/** Orders alerts: firing before resolved, critical before warning, earlier before later. */
export function byWeight(a: IncidentAlert, b: IncidentAlert): number {
  const over = Number(a.endsAtMs !== undefined) - Number(b.endsAtMs !== undefined)
  return over || rank(a) - rank(b) || a.startsAtMs - b.startsAtMs
}

function rank({ labels }: IncidentAlert): number {
  return severityRank(labels['severity'] ?? 'none')
}

/** Rank of a severity; 0 is the most severe. */
export function severityRank(severity: string): number {
  const index = SEVERITIES.indexOf(severity)
  return index === -1 ? SEVERITIES.length : index
}

/** Merges the signatures of all alerts of an incident; of equal ones the highest count is used. */
function mergeSignatures(alerts: readonly IncidentAlert[]): Signature[] {
  const merged = new Map<string, Signature>()
  const found = alerts.flatMap(({ evidence }) => evidence?.signatures ?? [])
  for (const signature of found) {
    const key = JSON.stringify([signature.route, signature.upstream, signature.reason])
    const known = merged.get(key)
    if (known === undefined || signature.count > known.count) merged.set(key, signature)
  }
  const sum = [...merged.values()].reduce((all, { count }) => all + count, 0)
  const total = Math.max(sum, ...found.map(signature => signature.total))
  return [...merged.values()].sort((a, b) => b.count - a.count).map(signature => ({ ...signature, total }))
}

function mergeTraces(alerts: readonly IncidentAlert[]): ProvingTrace[] {
  const traces = new Map<string, ProvingTrace>()
  for (const trace of alerts.flatMap(({ evidence }) => evidence?.traces ?? [])) {
    // The trace may have been found for one alert and not for another.
    if (trace.source !== undefined || !traces.has(trace.traceId)) traces.set(trace.traceId, trace)
  }
  return [...traces.values()].sort((a, b) => a.timeMs - b.timeMs)
}

function logsByTrace(alerts: readonly IncidentAlert[]): Map<string, LogLine[]> {
  const lines = new Map<string, LogLine>()
  for (const line of alerts.flatMap(({ evidence }) => evidence?.logs ?? [])) {
    lines.set(JSON.stringify([line.traceId, line.timeMs, line.text]), line)
  }
  return Map.groupBy(
    [...lines.values()].sort((a, b) => a.timeMs - b.timeMs),
    ({ traceId }) => traceId,
  )
}

const FAILING: ReadonlyMap<string, readonly [string, string]> = new Map([
  ['faults', ['fail', 'failed']],
  ['rate-limit', ['are over their rate limit', 'were over their rate limit']],
  ['load', ['are shed', 'were shed']],
  ['refusals', ['are refused', 'were refused']],
])

function whatBroke(main: IncidentAlert | undefined, signatures: readonly Signature[], isOpen: boolean): string {
  const verbs = FAILING.get(main?.labels['family'] ?? '')
  if (main === undefined || verbs === undefined) return main?.annotations['summary'] ?? nameOf(main)
  const own = main.labels['http_route']
  const routes = [...new Set(signatures.map(({ route }) => route))]
  const places = routes.length > 0 ? routes : own === undefined ? [] : [own]
  return `${requestsTo(places)} ${isOpen ? verbs[0] : verbs[1]}`
}

/** Maximum routes named in the sentence; the table below lists all. */
const MAX_ROUTES = 3

function requestsTo(routes: readonly string[]): string {
  const named = routes.filter(route => route !== '')
  if (named.length === 0) return 'Requests'
  const others = named.length - MAX_ROUTES
  const list = [...named.slice(0, MAX_ROUTES), ...(others > 0 ? [`${others} more`] : [])]
  return `Requests to ${inWords(list)}`
}

type Time = Pick<Story, 'sinceMs' | 'lastBadMs' | 'untilMs'>

function when(time: Time, now: number): string {
  const { sinceMs, untilMs, lastBadMs } = time
  if (untilMs === undefined) return `${timeInWords(time, now)}.`
  const end = `The alert was resolved at ${clockOrDate(untilMs, now)} UTC.`
  return lastBadMs === undefined
    ? `since ${clockOrDate(sinceMs, now)} UTC. ${end}`
    : `${timeInWords(time, now)}. ${end}`
}

/** Time without failures after which they count as ended. */
const QUIET_MS = 60_000

/**
 * The time as "since 15:12:27 UTC, for 6 min now", or "from 15:12:27 to 15:12:29 UTC, for 2 s" once the last failure is
 * known.
 */
export function timeInWords({ sinceMs, lastBadMs, untilMs }: Time, now: number): string {
  const isOver = untilMs !== undefined || (lastBadMs !== undefined && now - lastBadMs > QUIET_MS)
  if (!isOver) return `since ${clockOrDate(sinceMs, now)} UTC, for ${lasted(now - sinceMs)} now`
  if (lastBadMs === undefined) return `from ${clockOrDate(sinceMs, now)} UTC`
  const last = Math.max(lastBadMs, sinceMs)
  return `from ${clockOrDate(sinceMs, now)} to ${clockOrDate(last, now)} UTC, for ${lasted(last - sinceMs)}`
}

/** Maximum causes named in the sentence. */
const MAX_CAUSES = 3

function whyItBroke(main: IncidentAlert | undefined, signatures: readonly Signature[]): string {
  const causes = signatures.slice(0, MAX_CAUSES)
  if (causes.length === 0) return main?.annotations['description'] ?? ''
  const byPlace = [...Map.groupBy(causes, placeOf)].map(([place, said]) => {
    const ways = said.map(signature => `${saidOf(signature)} in ${signature.count} of ${signature.total}`)
    return `${place} ${inWords(ways)}`
  })
  const others = signatures.length - causes.length
  return `${byPlace.join('; ')}${others > 0 ? `; and ${others} more below` : ''}.`
}

function toTimeline(alerts: readonly IncidentAlert[], now: number): Moment[] {
  const moments: Moment[] = []
  const firstBad = alerts
    .map(({ evidence }) => evidence)
    .filter(evidence => evidence?.firstBadMs !== undefined)
    .sort((a, b) => (a?.firstBadMs ?? 0) - (b?.firstBadMs ?? 0))[0]
  const { firstBadMs, lastGoodMs } = firstBad ?? {}
  if (lastGoodMs !== undefined && lastGoodMs <= (firstBadMs ?? 0)) {
    moments.push({ timeMs: lastGoodMs, kind: 'good', what: 'Last scrape without a failure' })
  }
  if (firstBadMs !== undefined) moments.push({ timeMs: firstBadMs, kind: 'bad', what: 'First failure' })
  const lastBadMs = latest(alerts.map(({ evidence }) => evidence?.lastBadMs))
  if (lastBadMs !== undefined) moments.push({ timeMs: lastBadMs, kind: 'bad', what: 'Last failure' })
  for (const alert of alerts) {
    moments.push({ timeMs: alert.startsAtMs, kind: 'fired', what: `${nameOf(alert)} fired` })
    if (alert.endsAtMs === undefined) continue
    moments.push({ timeMs: alert.endsAtMs, kind: 'resolved', what: `${nameOf(alert)} resolved` })
  }
  for (const { timeMs, what } of distinctChanges(alerts))
    moments.push({ timeMs, kind: 'change', what: capitalised(what) })
  return moments.filter(({ timeMs }) => timeMs <= now).sort((a, b) => a.timeMs - b.timeMs)
}

/** Maximum distance of two reports of the same change: each alert queries at other times. */
const SAME_CHANGE_MS = 60_000

export function distinctChanges(alerts: readonly IncidentAlert[]): Change[] {
  const distinct: Change[] = []
  const found = alerts.flatMap(({ evidence }) => evidence?.changes ?? []).sort((a, b) => a.timeMs - b.timeMs)
  for (const change of found) {
    const isKnown = distinct.some(({ what, timeMs }) => what === change.what && change.timeMs - timeMs < SAME_CHANGE_MS)
    if (!isKnown) distinct.push(change)
  }
  return distinct
}

/** The alert and what it concerns: `GatewayHttp500Spike /api/orders`. */
export function nameOf(alert: IncidentAlert | undefined): string {
  const { alertname = 'alert', http_route: route, instance, gateway_rate_limiting_policy: policy } = alert?.labels ?? {}
  return [alertname, route ?? instance, policy && `(policy ${policy})`].filter(Boolean).join(' ')
}

function inWords(items: readonly string[]): string {
  return items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function latest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}
