import type { Alert } from '../alerts/alert'
import { findBudget } from './budget'
import { findComparison, type FoundComparison } from './comparison/find-comparison'
import { findChanges, nearestChanges } from './changes'
import { fetchCurve } from './curve'
import type { Change, Evidence, LimitedClient, ProvingTrace } from './evidence'
import { findGoodTrace } from './good-trace'
import { increaseOf } from './increase'
import { findLastFailure } from './last-failure'
import type { LogSource } from './log-sources'
import { findLogs } from './logs'
import { findLimitedClients } from './limited-clients'
import { findLoad } from './load'
import { readSpans, type TraceSpan } from './otlp-trace'
import type { FoundExemplar, PrometheusClient, Sample } from './prometheus'
import { findReloads } from './reloads'
import { redactSpan } from './redact-span'
import { failuresAmong, failureSelector, isOfOneReason, requestsByOutcome } from './selection'
import { SharedAnswers } from './shared-answers'
import type { Shown } from './shown'
import { findSignatures } from './signatures'
import { countStatuses } from './statuses'
import { findReplicas, gatewayReplica, type ReplicaOptions, type TraceBackend, type TraceSource } from './trace-sources'

export interface GatherOptions extends ReplicaOptions {
  readonly prometheus: PrometheusClient
  /** Trace backends: queried when no replica has the trace any more, and for the releases of targets. */
  readonly backends: readonly TraceBackend[]
  /** The log store; absent: none. */
  readonly logs?: LogSource | undefined
  readonly shown: Shown
  /** Changes that others report, such as posted deployments and other alerts. Absent: none. */
  readonly otherChanges?: (
    alert: Alert,
    range: { readonly startMs: number; readonly endMs: number },
  ) => Promise<Change[]>
}

/** Maximum time for all queries: a page waits for the evidence, and Alertmanager's group wait is longer than this. */
const BUDGET_MS = 5_000
/** How far before an alert's start its cause is searched: rules evaluate several minutes at once. */
const LOOK_BACK_MS = 5 * 60_000
/** Exemplars have the time of the replica. Without this, a replica whose clock is ahead would have none yet. */
const CLOCKS_AHEAD_MS = 2 * 60_000
const CHANGES_LOOK_BACK_MS = 30 * 60_000
const MOMENT_MS = 1_000
/** Maximum traces opened for one alert; fewer while many alerts wait, so that each still has some in time. */
const MAX_TRACES = 10
const MAX_TRACES_IN_CROWD = 3
/** Number of waiting alerts above which their evidence is limited to the most important. */
const CROWD = 20
/** Maximum replicas asked for a trace if the one that recorded it is unknown. */
const MAX_OTHERS = 3

/** Alerts whose evidence is shared, because they are about the same requests. */
const shared = new WeakMap<GatherOptions, SharedAnswers>()
/** Bytes counted for one shared evidence: those of a large one. It bounds how many are kept for some seconds. */
const SHARED_BYTES = 64 * 1024

/**
 * The evidence of an alert. Alerts that differ only in name and severity, and arrive together, share it: three hundred
 * alerts of one hundred routes cost as much as one hundred.
 */
export async function shareEvidence(
  alert: Alert,
  options: GatherOptions,
  askedAtMs: number,
  waiting = 0,
): Promise<Evidence> {
  let answers = shared.get(options)
  if (answers === undefined) shared.set(options, (answers = new SharedAnswers()))
  return answers.get(subjectOf(alert, askedAtMs), NEVER, async () => ({
    answer: await gatherEvidence(alert, options, askedAtMs, waiting),
    bytes: SHARED_BYTES,
  }))
}

const NEVER = new AbortController().signal

/** What the evidence depends on; two alerts with the same subject have the same evidence. */
function subjectOf({ labels, annotations, startsAt }: Alert, askedAtMs: number): string {
  const { alertname: _name, severity: _severity, ...about } = labels
  const sorted = Object.entries(about).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([sorted, annotations['exemplar_query'], startsAt, Math.ceil(askedAtMs / MOMENT_MS)])
}

/**
 * Queries all sources about an alert. Never rejects: sources that could not be queried are named.
 *
 * @param waiting alerts that wait for their evidence; with many of them fewer traces are opened and fewer samples read
 */
export async function gatherEvidence(
  alert: Alert,
  options: GatherOptions,
  askedAtMs: number,
  waiting = 0,
): Promise<Evidence> {
  const isCrowd = waiting > CROWD
  const maxTraces = isCrowd ? MAX_TRACES_IN_CROWD : MAX_TRACES
  const signal = AbortSignal.timeout(BUDGET_MS)
  // Rounded, so that alerts that arrive together send the same queries and share the answers.
  const endMs = Math.ceil(askedAtMs / MOMENT_MS) * MOMENT_MS
  const window = { startMs: Date.parse(alert.startsAt) - LOOK_BACK_MS, endMs }
  const missing: string[] = []
  const attempt = async <Value>(what: string, found: Promise<Value>, otherwise: Value): Promise<Value> => {
    try {
      return await found
    } catch (error) {
      missing.push(`${what}: ${signal.aborted ? 'no answer in time' : briefly(error)}`)
      return otherwise
    }
  }
  const foundTraces = attempt('traces', findTraces(alert, window, { ...options, maxTraces }, signal), [])
  const [traces, counts, all, statuses, load, budget, turn, changes, curve, limitedClients, compared, goodTrace, logs] =
    await Promise.all([
      foundTraces,
      attempt('counts', countFailures(alert, window, options.prometheus, signal), []),
      attempt('counts', countAll(alert, window, options.prometheus, signal), undefined),
      attempt('statuses', countStatuses(alert, window, options.prometheus, signal), []),
      attempt('load', findLoad(alert, window, options.prometheus, signal), undefined),
      attempt('error budget', findBudget(alert, window, options.prometheus, signal), undefined),
      attempt('first failure', findTurn(alert, window, options.prometheus, signal), NO_TURN),
      Promise.all([
        attempt('changes', findChanges(options.prometheus, changesRange(window), signal), []),
        attempt('reloads', findReloadsOfAll(window, options, signal), []),
        attempt('posted changes', options.otherChanges?.(alert, changesRange(window)) ?? NO_CHANGES, []),
      ]),
      attempt('curve', fetchCurve(alert, curveRange(window), options.prometheus, signal), undefined),
      attempt('limited clients', findLimited(alert, window, options, signal), []),
      attempt(
        'comparison',
        // While many alerts wait, no traces are fetched for the releases of targets.
        findDifferences(alert, window, { ...options, isCrowd, backends: isCrowd ? [] : options.backends }, signal),
        undefined,
      ),
      foundTraces.then(async failing => findGood(alert, failing, window, options, signal)).catch(() => undefined),
      attempt(
        'logs',
        foundTraces.then(async failing => logsOf(failing, options, signal)),
        undefined,
      ),
    ])
  const firstBadMs = earliest([
    turn.firstBadMs,
    ...traces.map(({ timeMs }) => timeMs).filter(ms => ms >= (turn.firstBadMs ?? 0) - 60_000),
  ])
  if (traces.some(({ source }) => source === undefined)) missing.push('traces: some could not be opened')
  return {
    window,
    traces,
    changes: nearestChanges(
      [...changes.flat(), ...(compared?.changes ?? [])],
      firstBadMs ?? Date.parse(alert.startsAt),
    ),
    missing: [...new Set(missing)],
    signatures: findSignatures(counts, traces, all),
    statuses,
    load,
    comparison: compared?.comparison,
    goodTrace,
    ...(logs !== undefined && { logs }),
    budget,
    firstBadMs,
    lastGoodMs: turn.lastGoodMs,
    curve,
    limitedClients,
  }
}

async function logsOf(
  traces: readonly ProvingTrace[],
  { logs, shown }: GatherOptions,
  signal: AbortSignal,
): Promise<Evidence['logs']> {
  return logs && findLogs(traces, logs, { shown, signal })
}

const NO_CHANGES: Promise<Change[]> = Promise.resolve([])

async function findReloadsOfAll(
  window: Evidence['window'],
  options: GatherOptions,
  signal: AbortSignal,
): Promise<Change[]> {
  const replicas = await findReplicas(options, { timeMs: window.endMs, signal })
  return findReloads(replicas, changesRange(window), signal)
}

/** When the last request of an ended alert failed; undefined if unknown. Never rejects. */
export async function lastFailureOf(alert: Alert, prometheus: PrometheusClient): Promise<number | undefined> {
  const endMs = Date.parse(alert.endsAt ?? '') || Date.now()
  const range = { startMs: Date.parse(alert.startsAt) - LOOK_BACK_MS, endMs }
  const signal = AbortSignal.timeout(BUDGET_MS)
  return findLastFailure(alert, range, prometheus, signal).catch(() => undefined)
}

async function findLimited(
  alert: Alert,
  { endMs }: Evidence['window'],
  options: GatherOptions,
  signal: AbortSignal,
): Promise<LimitedClient[]> {
  if (alert.labels['family'] !== 'rate-limit') return []
  const replicas = await findReplicas(options, { timeMs: endMs, signal })
  return findLimitedClients(alert, [...replicas.values()], signal)
}

async function findGood(
  alert: Alert,
  failing: readonly ProvingTrace[],
  window: Evidence['window'],
  options: GatherOptions,
  signal: AbortSignal,
): Promise<Evidence['goodTrace']> {
  const replicas = await findReplicas(options, { timeMs: window.endMs, signal })
  return findGoodTrace(alert, failing, [...replicas.values()], { shown: options.shown, signal })
}

async function findDifferences(
  alert: Alert,
  window: Evidence['window'],
  options: GatherOptions & { readonly isCrowd: boolean },
  signal: AbortSignal,
): Promise<FoundComparison | undefined> {
  const replicas = await findReplicas(options, { timeMs: window.endMs, signal })
  const { shown, backends, isCrowd } = options
  return findComparison(alert, window, replicas, { shown, backends, signal, isCrowd })
}

/** The example requests of the alert, found by its own `exemplar_query`; newest first. */
async function findTraces(
  alert: Alert,
  { startMs, endMs }: Evidence['window'],
  options: GatherOptions & { readonly maxTraces: number },
  signal: AbortSignal,
): Promise<ProvingTrace[]> {
  const { prometheus, backends, shown, maxTraces } = options
  const selector = alert.annotations['exemplar_query']
  if (selector === undefined || selector === '') return []
  const [exemplars, replicas] = await Promise.all([
    prometheus.queryExemplars(selector, startMs, endMs + CLOCKS_AHEAD_MS, signal),
    findReplicas(options, { timeMs: endMs, signal }),
  ])
  return Promise.all(
    choose(exemplars, maxTraces).map(exemplar => {
      const own = replicas.get(exemplar.series['instance'] ?? '')
      // Only the replica that recorded the exemplar can have kept its trace: ten replicas would cost ten times as much.
      const sources = (own === undefined ? [...replicas.values()].slice(0, MAX_OTHERS) : [own]).map(gatewayReplica)
      return openTrace(exemplar, [...sources, ...backends], { signal, shown })
    }),
  )
}

/**
 * Selects exemplars: the newest of each series, so that every kind of failure is included; then the very first, which
 * shows the onset; then the newest others.
 */
function choose(exemplars: readonly FoundExemplar[], max: number): FoundExemplar[] {
  const newest = [
    ...new Map([...exemplars].sort((a, b) => a.timeMs - b.timeMs).map(e => [e.traceId, e])).values(),
  ].toReversed()
  const firstOfSeries = new Map<string, FoundExemplar>()
  for (const exemplar of newest) {
    const { le: _le, ...series } = exemplar.series
    const key = JSON.stringify(series)
    if (!firstOfSeries.has(key)) firstOfSeries.set(key, exemplar)
  }
  const kinds = [...firstOfSeries.values()].slice(0, max - 1)
  return [...new Set([...kinds, ...newest.slice(-1), ...newest])].slice(0, max)
}

async function openTrace(
  exemplar: FoundExemplar,
  sources: readonly TraceSource[],
  { signal, shown }: { readonly signal: AbortSignal; readonly shown: Shown },
): Promise<ProvingTrace> {
  for (const source of sources) {
    const found = await source.fetch(exemplar.traceId, signal).catch(() => undefined)
    if (found === undefined) continue
    const spans = readSpans(found).map(span => redactSpan(span, shown))
    if (spans.length > 0) return toProvingTrace(exemplar, source.name, spans)
  }
  return toProvingTrace(exemplar, undefined, [])
}

function toProvingTrace(
  exemplar: FoundExemplar,
  source: string | undefined,
  spans: readonly TraceSpan[],
): ProvingTrace {
  const { series } = exemplar
  const root = spans.find(({ kind, attributes }) => kind === 'server' && attributes['gateway.outcome'] !== undefined)
  const said = root?.attributes ?? {}
  return {
    traceId: exemplar.traceId,
    timeMs: root?.startMs ?? exemplar.timeMs,
    durationMs: root?.durationMs ?? exemplar.value * 1_000,
    method: said['http.request.method'] ?? series['http_request_method'],
    path: said['url.path'],
    route: said['http.route'] ?? series['http_route'],
    upstream: said['gateway.upstream.name'] ?? series['gateway_upstream_name'],
    status: said['http.response.status_code'] ?? series['http_response_status_code'],
    reason: said['gateway.reason'] ?? series['error_type'],
    source,
    spans,
  }
}

/**
 * Failed requests of the alert's selection by route, upstream and reason, over the window: value at the end minus value
 * at the start.
 */
async function countFailures(
  alert: Alert,
  window: Evidence['window'],
  prometheus: PrometheusClient,
  signal: AbortSignal,
): Promise<Sample[]> {
  if (failureSelector(alert) === undefined) return []
  return failuresAmong(alert, await increaseOf(requestsByOutcome(alert), window, prometheus, signal))
}

/** All requests of the selection for alerts about a limit or load, refused or not; undefined for other alerts. */
async function countAll(
  alert: Alert,
  window: Evidence['window'],
  prometheus: PrometheusClient,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (!isOfOneReason(alert) || failureSelector(alert) === undefined) return undefined
  const counted = await increaseOf(requestsByOutcome(alert), window, prometheus, signal)
  return counted.length === 0 ? undefined : counted.reduce((sum, { value }) => sum + value, 0)
}

/**
 * Number of requests that failed, or were refused for the alert's reason, from shortly before it fired until its end.
 */
export async function countAffected(alert: Alert, prometheus: PrometheusClient): Promise<number | undefined> {
  const endMs = Date.parse(alert.endsAt ?? '') || Date.now()
  const window = { startMs: Date.parse(alert.startsAt) - LOOK_BACK_MS, endMs }
  if (failureSelector(alert) === undefined) return undefined
  const counts = await countFailures(alert, window, prometheus, AbortSignal.timeout(BUDGET_MS)).catch(() => [])
  return Math.round(counts.reduce((sum, { value }) => sum + value, 0))
}

interface Turn {
  readonly firstBadMs: number | undefined
  readonly lastGoodMs: number | undefined
}

const NO_TURN: Turn = { firstBadMs: undefined, lastGoodMs: undefined }
const TURN_STEP_MS = 1_000

/** The onset: the last time without a failure and the first time with one. */
async function findTurn(
  alert: Alert,
  { startMs, endMs }: Evidence['window'],
  prometheus: PrometheusClient,
  signal: AbortSignal,
): Promise<Turn> {
  const selector = failureSelector(alert)
  if (selector === undefined) return NO_TURN
  const range = { startMs, endMs, stepMs: Math.max(TURN_STEP_MS, (endMs - startMs) / 1_000) }
  const [series] = await prometheus.queryRange(`sum(gateway_requests_total{${selector}})`, range, signal)
  const points = series?.points ?? []
  const turn = points.findIndex(([, value], index) => index > 0 && value > (points[index - 1]?.[1] ?? value))
  if (turn === -1) return NO_TURN
  // Between two scrapes a range query repeats the older value: after that scrape itself nothing is known to be good.
  const lastGoodMs = (points[turn - 1]?.[0] ?? 0) * 1_000
  const scrapes = `min(timestamp(gateway_requests_total{${selector}})) * 1000`
  const [scrape] = await prometheus.query(scrapes, lastGoodMs, signal)
  return { firstBadMs: (points[turn]?.[0] ?? 0) * 1_000, lastGoodMs: scrape?.value ?? lastGoodMs }
}

function changesRange({ startMs, endMs }: Evidence['window']): {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
} {
  const from = startMs - CHANGES_LOOK_BACK_MS
  return { startMs: from, endMs, stepMs: Math.max(5_000, (endMs - from) / 1_000) }
}

/** Includes time before the window, so that the curve shows the normal state. */
function curveRange({ startMs, endMs }: Evidence['window']): { readonly startMs: number; readonly endMs: number } {
  return { startMs: startMs - LOOK_BACK_MS, endMs }
}

function earliest(times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter(time => time !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

function briefly(error: unknown): string {
  const message = error instanceof Error ? error.message : 'unknown'
  const cause = error instanceof Error && error.cause instanceof Error ? ` (${error.cause.message})` : ''
  return `${message}${cause}`.slice(0, 200)
}
