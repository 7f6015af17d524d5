import { DIMENSIONS, SLOW_DIMENSIONS, toRow } from './dimensions'
import { findDifferences, SAME_TIME, TIME_BEFORE, type Bounds, type Difference, type Row } from './find-differences'
import type { ReplicaSamples, SampledGroup, SampledRequest } from './sampled-requests'
import { effectiveSize } from './statistics'

/** What failing requests have that good ones have not. */
export interface Comparison {
  /** The likeliest cause first. */
  readonly differences: readonly NamedDifference[]
  /** Failing requests in the window, and how many of them were looked at. */
  readonly failing: number
  readonly sampled: number
  /** Good requests that were looked at, and when they ended: at the same time, or before where there were too few. */
  readonly good: number
  readonly goodAre: 'of the same time' | 'of the time before'
}

export interface NamedDifference extends Difference {
  /** Failing requests that have the value; exact where all were looked at. */
  readonly failingCount: number
  /** Share of the good requests of the time before; undefined where too few of them were looked at. */
  readonly shareBefore: number | undefined
  /** When it was first seen, where no request before the failures had it. Milliseconds since the epoch. */
  readonly newSinceMs: number | undefined
}

/** Which requests an alert is about, by its family. Others are not compared. */
const KINDS: ReadonlyMap<string, string> = new Map([
  ['faults', 'fault'],
  ['upstream', 'fault'],
  ['latency', 'slow'],
  ['rate-limit', 'limited'],
  ['refusals', 'refusal'],
])

export function isCompared(family: string | undefined): boolean {
  return KINDS.has(family ?? '')
}

/** With fewer good requests of the same time, those of the time before are asked where these show nothing. */
const ENOUGH_OF_SAME_TIME = 50
/** Good requests of slots that begin so near to a failing one's count as of the same time. */
const NEAR_MS = 60_000
/** A value is new when at least so many earlier requests were looked at, and none had it. */
const LEAST_BEFORE = 100

/** @param fromMs since when failing requests count; good ones before the first of them are of the time before */
export function compare(
  family: string | undefined,
  replicas: readonly ReplicaSamples[],
  { fromMs, upstream }: { readonly fromMs: number; readonly upstream?: string | undefined },
): Comparison | undefined {
  const kind = KINDS.get(family ?? '')
  if (kind === undefined) return undefined
  const all = readSamples(replicas, upstream)
  const failing = all.filter(({ group, request }) => group.kind === kind && request.timeMs >= fromMs)
  if (failing.length === 0) return undefined
  const onsetMs = Math.min(...failing.map(({ request }) => request.timeMs))
  // A call that failed although its request did not is one more proof, and not biased by which requests may be repeated.
  const isRecovered = ({ group, request }: Sampled): boolean => group.kind === 'recovered' && request.timeMs >= onsetMs
  const recovered = kind === 'fault' ? all.filter(isRecovered) : []
  const good = all.filter(({ group }) => group.kind === 'good')
  const before = good.filter(({ request }) => request.timeMs < onsetMs)
  const sameTime = ofSameTime(
    good.filter(({ request }) => request.timeMs >= onsetMs),
    failing,
  )
  const dimensions = kind === 'slow' ? SLOW_DIMENSIONS : DIMENSIONS
  const isEnough = effectiveSize(sameTime.map(({ row }) => row.weight)) >= ENOUGH_OF_SAME_TIME
  const found = differencesOf({ failing, recovered, reference: sameTime }, dimensions, SAME_TIME)
  const isSameTime = isEnough || found.length > 0
  const differences = isSameTime
    ? found
    : differencesOf({ failing, recovered, reference: before }, dimensions, TIME_BEFORE)
  const total = sum(failing.map(({ row }) => row.weight))
  return {
    differences: differences.map(difference => ({
      ...difference,
      failingCount: Math.round(difference.failingShare * total),
      shareBefore: before.length < LEAST_BEFORE ? undefined : shareOf(before, difference),
      newSinceMs: newSince(difference, all),
    })),
    failing: Math.round(total),
    sampled: failing.length,
    good: isSameTime ? sameTime.length : before.length,
    goodAre: isSameTime ? 'of the same time' : 'of the time before',
  }
}

interface Sampled {
  readonly request: SampledRequest
  readonly group: SampledGroup
  readonly row: Row
}

function readSamples(replicas: readonly ReplicaSamples[], upstream: string | undefined): Sampled[] {
  return replicas.flatMap(({ instance, groups }) =>
    groups.flatMap(group =>
      group.samples
        .filter(request => upstream === undefined || request.upstream === upstream)
        .map(request => ({
          request,
          group,
          row: toRow(request, { instance, route: group.route, weight: group.weight }),
        })),
    ),
  )
}

interface Sides {
  readonly failing: readonly Sampled[]
  readonly recovered: readonly Sampled[]
  readonly reference: readonly Sampled[]
}

/**
 * Failed calls show the cause best. Where they show none, or another than that of the requests, the requests speak alone:
 * then beside good ones of the same mix of methods, as only some requests may be sent to another target, and all others fail.
 */
function differencesOf(
  { failing, recovered, reference }: Sides,
  dimensions: readonly string[],
  bounds: Bounds,
): Difference[] {
  const rows = failing.map(rowOf)
  if (recovered.length === 0) return findDifferences(rows, reference.map(rowOf), dimensions, bounds)
  const found = findDifferences([...rows, ...recovered.map(rowOf)], reference.map(rowOf), dimensions, bounds)
    .map(difference => ({ ...difference, failingShare: shareOf(failing, difference) }))
    .filter(({ failingShare, goodShare }) => failingShare > Math.max(bounds.leastShare, goodShare))
  if (found.length > 0) return found
  return findDifferences(rows, standardised(reference, failing, repeatability).map(rowOf), dimensions, bounds)
}

/** What decides whether a request may be sent to a second target: its method, and whether it has a body. */
function repeatability({ request: { method, requestSize } }: Sampled): string {
  return `${method} ${requestSize === 'none'}`
}

/** The rows weighted so that each key has the share that it has among the others. */
function standardised(
  sampled: readonly Sampled[],
  others: readonly Sampled[],
  keyOf: (one: Sampled) => unknown,
): Sampled[] {
  const [own, wanted] = [weightBy(sampled, keyOf), weightBy(others, keyOf)]
  return sampled.flatMap(one => {
    const key = keyOf(one)
    return weighted(one, (wanted.get(key) ?? 0) / (own.get(key) ?? 1))
  })
}

/** Nothing where nothing of it is left. */
function weighted(sampled: Sampled, factor: number): Sampled[] {
  const { row } = sampled
  return factor === 0 ? [] : [{ ...sampled, row: { values: row.values, weight: row.weight * factor } }]
}

function weightBy<Key>(sampled: readonly Sampled[], keyOf: (one: Sampled) => Key): Map<Key, number> {
  const weights = new Map<Key, number>()
  for (const one of sampled) weights.set(keyOf(one), (weights.get(keyOf(one)) ?? 0) + one.row.weight)
  return weights
}

function rowOf({ row }: Sampled): Row {
  return row
}

function shareOf(sampled: readonly Sampled[], { dimension, value }: Difference): number {
  const having = sampled.filter(({ row }) => row.values[dimension] === value)
  return sum(having.map(({ row }) => row.weight)) / sum(sampled.map(({ row }) => row.weight))
}

/** The good ones weighted by how many failed around them: a mix that changes with time is then no difference. */
function ofSameTime(good: readonly Sampled[], failing: readonly Sampled[]): Sampled[] {
  const [failedIn, goodIn] = [weightBy(failing, slotOf), weightBy(good, slotOf)]
  return good.flatMap(one => {
    const near = [...failedIn].filter(([start]) => Math.abs(start - slotOf(one)) <= NEAR_MS)
    return weighted(one, sum(near.map(([, failed]) => failed)) / (goodIn.get(slotOf(one)) ?? 1))
  })
}

function slotOf({ group }: Sampled): number {
  return group.startMs
}

/** Only a value that nothing had for minutes is new: with errors now and then, the first of them is long before the cause. */
function newSince({ dimension, value }: Difference, all: readonly Sampled[]): number | undefined {
  const firstMs = Math.min(
    ...all.filter(({ row }) => row.values[dimension] === value).map(({ request }) => request.timeMs),
  )
  const before = all.filter(({ request }) => request.timeMs < firstMs)
  const startMs = Math.min(...before.map(({ request }) => request.timeMs))
  return before.length >= LEAST_BEFORE && firstMs - startMs >= NEAR_MS ? firstMs : undefined
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}
