import type { Alert } from '../../alerts/alert'
import type { Change } from '../evidence'
import { fetchJson, opsHeaders, type Replica, type TraceBackend } from '../trace-sources'
import { compare, isCompared, tracedRequests, type Comparison, type Selection } from './compare'
import { findReleases } from './find-releases'
import type { Shown } from '../shown'
import { redacted } from './redact'
import { sampleAnswer, type ReplicaSamples } from './sampled-requests'
import { TargetReleases } from './target-releases'

/** How long before the window good requests are read, as the normal state. */
const BEFORE_MS = 5 * 60_000

/** Maximum samples compared for one alert: about 40 ms of work, with reading them. */
const MAX_SAMPLES = 3_000
/** The same while many alerts wait: three hundred of a hundred routes would otherwise take all of their five seconds. */
const MAX_SAMPLES_IN_CROWD = 1_500
const LEAST_OF_EACH = 100

export interface FindComparisonOptions {
  readonly shown: Shown
  /** Trace backends that may know the releases of targets. */
  readonly backends: readonly TraceBackend[]
  readonly signal: AbortSignal
  /** Whether many alerts wait for their evidence. */
  readonly isCrowd?: boolean
}

export interface FoundComparison {
  readonly comparison: Comparison | undefined
  /** Targets whose release changed. */
  readonly changes: readonly Change[]
}

/**
 * Finds what distinguishes an alert's requests from good ones; queries every replica. A replica that fails is left out.
 */
export async function findComparison(
  { labels }: Pick<Alert, 'labels'>,
  window: { readonly startMs: number; readonly endMs: number },
  replicas: ReadonlyMap<string, Replica>,
  { shown, backends, signal, isCrowd = false }: FindComparisonOptions,
): Promise<FoundComparison | undefined> {
  if (labels['component'] !== 'gateway' || !isCompared(labels['family'])) return undefined
  const query = new URLSearchParams({
    from: String(Math.floor(window.startMs - BEFORE_MS)),
    to: String(Math.ceil(window.endMs)),
  })
  const only = labels['instance']
  const asked = [...replicas].filter(([instance]) => only === undefined || instance === only)
  const most = isCrowd ? MAX_SAMPLES_IN_CROWD : MAX_SAMPLES
  query.set('limit', String(Math.max(LEAST_OF_EACH, Math.floor(most / Math.max(1, asked.length)))))
  if (labels['http_route'] !== undefined) query.set('route', labels['http_route'])
  const answers = await Promise.allSettled(
    asked.map(async ([instance, { url, token }]): Promise<ReplicaSamples> => {
      const answer = await fetchJson(`${url.replace(/\/$/, '')}/samples?${query.toString()}`, signal, opsHeaders(token))
      // A gateway without this endpoint is an older version.
      return { instance, groups: answer === undefined ? [] : sampleAnswer.parse(answer).groups }
    }),
  )
  const answered = answers.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const failure = answers.find(result => result.status === 'rejected')
  if (answered.length === 0 && failure !== undefined) throw failure.reason
  const selection = { fromMs: window.startMs, upstream: labels['gateway_upstream_name'] }
  const { replicas: known, changes } = await withReleases(labels['family'], answered, selection, { backends, signal })
  const found = compare(labels['family'], known, selection)
  return { comparison: found && redacted(found, shown), changes }
}

/** The samples with the releases of their targets, and what changed among these. */
async function withReleases(
  family: string | undefined,
  replicas: readonly ReplicaSamples[],
  selection: Selection,
  { backends, signal }: Pick<FindComparisonOptions, 'backends' | 'signal'>,
): Promise<{ readonly replicas: readonly ReplicaSamples[]; readonly changes: readonly Change[] }> {
  const traced = backends.length === 0 ? undefined : tracedRequests(family, replicas, selection)
  if (traced === undefined) return { replicas, changes: [] }
  const seen = await findReleases(traced.requests, backends, { onsetMs: traced.onsetMs, signal })
  const releases = new TargetReleases(seen, traced.onsetMs)
  return { replicas: releases.assignedTo(replicas), changes: releases.changes(replicas) }
}
