import type { Alert } from '../../alerts/alert'
import { fetchJson, opsHeaders, type Replica } from '../trace-sources'
import { compare, isCompared, type Comparison } from './compare'
import type { Shown } from '../shown'
import { redacted } from './redact'
import { sampleAnswer, type ReplicaSamples } from './sampled-requests'

/** How long before the window good requests are read, as the normal state. */
const BEFORE_MS = 5 * 60_000

/** Maximum samples compared for one alert: about 40 ms of work, with reading them. */
const MAX_SAMPLES = 3_000
/** The same while many alerts wait: three hundred of a hundred routes would otherwise take all of their five seconds. */
const MAX_SAMPLES_IN_CROWD = 1_500
const LEAST_OF_EACH = 100

export interface FindComparisonOptions {
  readonly shown: Shown
  readonly signal: AbortSignal
  /** Whether many alerts wait for their evidence. */
  readonly isCrowd?: boolean
}

/**
 * Finds what distinguishes an alert's requests from good ones; queries every replica. A replica that fails is left out.
 */
export async function findComparison(
  { labels }: Pick<Alert, 'labels'>,
  window: { readonly startMs: number; readonly endMs: number },
  replicas: ReadonlyMap<string, Replica>,
  { shown, signal, isCrowd = false }: FindComparisonOptions,
): Promise<Comparison | undefined> {
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
  const found = compare(labels['family'], answered, {
    fromMs: window.startMs,
    upstream: labels['gateway_upstream_name'],
  })
  return found && redacted(found, shown)
}
