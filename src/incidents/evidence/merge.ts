import type { Curve } from './curve'
import type { Evidence, ProvingTrace, Signature } from './evidence'

/** Maximum traces kept for one alert over all looks. */
const MAX_TRACES = 10

/** Whether a second look may find more. */
export function isPartial({ missing, traces }: Evidence): boolean {
  return missing.length > 0 || traces.some(({ source }) => source === undefined)
}

/**
 * Merges the evidence of two looks. Traces, counters and Prometheus lose data over time, so an earlier finding is never
 * replaced by a lesser one, and nothing is counted twice.
 */
export function mergeEvidence(before: Evidence, after: Evidence): Evidence {
  const traces = mergeTraces(before.traces, after.traces)
  const counted = totalOf(after.signatures) >= totalOf(before.signatures) ? after : before
  const other = counted === after ? before : after
  return {
    window: counted.window,
    signatures: counted.signatures.map(signature => withDetails(signature, other.signatures)),
    statuses: totalOf(after.statuses) >= totalOf(before.statuses) ? after.statuses : before.statuses,
    load: after.load ?? before.load,
    ...comparisonOf(before, after),
    ...lastBadOf(before, after),
    ...goodTraceOf(before, after),
    ...logsOf(before, after),
    ...((after.budget ?? before.budget) && { budget: after.budget ?? before.budget }),
    traces,
    firstBadMs: earliest(before.firstBadMs, after.firstBadMs),
    lastGoodMs: before.lastGoodMs ?? after.lastGoodMs,
    limitedClients:
      totalOf(after.limitedClients) >= totalOf(before.limitedClients) ? after.limitedClients : before.limitedClients,
    changes: after.changes.length >= before.changes.length ? after.changes : before.changes,
    curve: pointsOf(after.curve) >= pointsOf(before.curve) ? after.curve : before.curve,
    missing: stillMissing(before, after, traces),
  }
}

/** Samples are deleted after 15 minutes, so a difference stays until a later look finds one. */
function comparisonOf(before: Evidence, after: Evidence): Pick<Evidence, 'comparison'> {
  const isLess = after.comparison === undefined || after.comparison.differences.length === 0
  const comparison = isLess ? (before.comparison ?? after.comparison) : after.comparison
  return comparison === undefined ? {} : { comparison }
}

function goodTraceOf({ goodTrace: before }: Evidence, { goodTrace = before }: Evidence): Pick<Evidence, 'goodTrace'> {
  return goodTrace === undefined ? {} : { goodTrace }
}

/** The longer list: a log store deletes lines, and has some only after seconds. */
function logsOf({ logs: before }: Evidence, { logs: after }: Evidence): Pick<Evidence, 'logs'> {
  const logs = (after?.length ?? -1) >= (before?.length ?? -1) ? after : before
  return logs === undefined ? {} : { logs }
}

function lastBadOf({ lastBadMs: one }: Evidence, { lastBadMs: other }: Evidence): Pick<Evidence, 'lastBadMs'> {
  const lastBadMs = one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
  return lastBadMs === undefined ? {} : { lastBadMs }
}

function mergeTraces(before: readonly ProvingTrace[], after: readonly ProvingTrace[]): ProvingTrace[] {
  const known = new Map<string, ProvingTrace>()
  for (const trace of [...before, ...after]) {
    const other = known.get(trace.traceId)
    if (other === undefined || isRicher(trace, other)) known.set(trace.traceId, trace)
  }
  return [...known.values()]
    .sort((a, b) => Number(b.source !== undefined) - Number(a.source !== undefined))
    .slice(0, MAX_TRACES)
    .sort((a, b) => b.timeMs - a.timeMs)
}

function isRicher(trace: ProvingTrace, other: ProvingTrace): boolean {
  if (trace.spans.length !== other.spans.length) return trace.spans.length > other.spans.length
  return trace.source !== undefined
}

/** Target and message come from traces, which may be gone by the time of the larger count. */
function withDetails(signature: Signature, others: readonly Signature[]): Signature {
  const { route, upstream, reason, target, message } = signature
  const same = others.find(other => other.route === route && other.upstream === upstream && other.reason === reason)
  return { ...signature, target: target ?? same?.target, message: message ?? same?.message }
}

/** Sources that neither look could query, in the words of the second. */
function stillMissing(before: Evidence, after: Evidence, traces: readonly ProvingTrace[]): string[] {
  const subjects = new Set(before.missing.map(subjectOf))
  return after.missing.filter(what => {
    if (subjectOf(what) !== 'traces') return subjects.has(subjectOf(what))
    return traces.length === 0 ? subjects.has('traces') : traces.some(({ source }) => source === undefined)
  })
}

/** The subject of a message: "traces" in "traces: no answer in time". */
function subjectOf(what: string): string {
  return what.split(':', 1)[0] ?? what
}

function totalOf(counted: readonly { readonly count: number }[]): number {
  return counted.reduce((sum, { count }) => sum + count, 0)
}

function pointsOf(curve: Curve | undefined): number {
  return curve?.lines[0]?.values.filter(value => value !== null).length ?? 0
}

function earliest(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.min(one, other)
}
