import { DIMENSIONS, SLOW_DIMENSIONS, toRow } from './dimensions'
import {
  findDifferences,
  isKnownOf,
  SAME_TIME,
  TIME_BEFORE,
  type Bounds,
  type Difference,
  type Row,
} from './find-differences'
import type { ReplicaSamples, SampledGroup, SampledRequest, TracedRequest } from './sampled-requests'
import { effectiveSize } from './statistics'

/** What distinguishes failing requests from good ones. */
export interface Comparison {
  /** The most likely cause first. */
  readonly differences: readonly NamedDifference[]
  /** Failing requests in the window, and how many of them were sampled. */
  readonly failing: number
  readonly sampled: number
  /** Sampled good requests, and their time: the same time, or before if there were too few. */
  readonly good: number
  readonly goodAre: 'of the same time' | 'of the time before'
}

export interface NamedDifference extends Difference {
  /** Failing requests with the value; exact if all were sampled. */
  readonly failingCount: number
  /** Share among the good requests of the time before; undefined if too few were sampled. */
  readonly shareBefore: number | undefined
  /** When the value was first seen, if no request before the failures had it. Milliseconds since the epoch. */
  readonly newSinceMs: number | undefined
  /** Of a release: how many targets ran it since the first failure, and how many there were. Absent for others. */
  readonly targets?: { readonly having: number; readonly of: number } | undefined
}

/** The kind of requests an alert is about, by its family. Other families are not compared. */
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

/** Minimum good requests of the same time; with fewer, those of the time before are used if these show nothing. */
const ENOUGH_OF_SAME_TIME = 50
/** Good requests in slots that begin this near to a failing one's count as of the same time. */
const NEAR_MS = 60_000
/** Minimum earlier requests without a value for it to count as new. */
const LEAST_BEFORE = 100

export interface Selection {
  /** Start of the failing requests; good ones before the first of them belong to the time before. */
  readonly fromMs: number
  readonly upstream?: string | undefined
}

export function compare(
  family: string | undefined,
  replicas: readonly ReplicaSamples[],
  selection: Selection,
): Comparison | undefined {
  const compared = selectCompared(family, replicas, selection)
  if (compared === undefined) return undefined
  const { kind, all, failing, recovered, good, onsetMs } = compared
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
      shareBefore: shareBefore(difference, before),
      newSinceMs: newSince(difference, all),
      ...(difference.dimension === 'release' && { targets: targetsOf(difference, all, onsetMs) }),
    })),
    failing: Math.round(total),
    sampled: failing.length,
    good: isSameTime ? sameTime.length : before.length,
    goodAre: isSameTime ? 'of the same time' : 'of the time before',
  }
}

interface Compared {
  readonly kind: string
  readonly all: readonly Sampled[]
  readonly failing: readonly Sampled[]
  /** Requests with a failed call that succeeded on another target. */
  readonly recovered: readonly Sampled[]
  readonly good: readonly Sampled[]
  /** The first failure. */
  readonly onsetMs: number
}

/** Selects the samples that are compared; undefined if the alert is not about requests, or none of them failed. */
function selectCompared(
  family: string | undefined,
  replicas: readonly ReplicaSamples[],
  { fromMs, upstream }: Selection,
): Compared | undefined {
  const kind = KINDS.get(family ?? '')
  if (kind === undefined) return undefined
  const all = readSamples(replicas, upstream)
  const failing = all.filter(({ group, request }) => group.kind === kind && request.timeMs >= fromMs)
  if (failing.length === 0) return undefined
  const onsetMs = Math.min(...failing.map(({ request }) => request.timeMs))
  // A failed call of a request that succeeded is further evidence, unbiased by which requests may be retried.
  const isRecovered = ({ group, request }: Sampled): boolean => group.kind === 'recovered' && request.timeMs >= onsetMs
  const recovered = kind === 'fault' ? all.filter(isRecovered) : []
  const good = all.filter(({ group }) => group.kind === 'good')
  return { kind, all, failing, recovered, good, onsetMs }
}

/** The compared requests whose traces may name the release of their target; none if no failing one has a target. */
export function tracedRequests(
  family: string | undefined,
  replicas: readonly ReplicaSamples[],
  selection: Selection,
): { readonly requests: readonly TracedRequest[]; readonly onsetMs: number } | undefined {
  const compared = selectCompared(family, replicas, selection)
  if (compared === undefined || compared.failing.every(({ request }) => request.target === undefined)) return undefined
  const { failing, recovered, good, onsetMs } = compared
  const ofSide = (side: TracedRequest['side'], sampled: readonly Sampled[]): TracedRequest[] =>
    sampled.flatMap(({ request: { traceId, target, upstream, timeMs } }) =>
      traceId === undefined || target === undefined || upstream === undefined
        ? []
        : [{ traceId, target, upstream, timeMs, side }],
    )
  return {
    onsetMs,
    requests: [
      ...ofSide('failing', [...failing, ...recovered]),
      ...good.flatMap(one => ofSide(one.request.timeMs < onsetMs ? 'before' : 'good', [one])),
    ],
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
 * Finds the differences. Failed calls show the cause best. If they show none, or another one than the requests, only
 * the requests are used, compared with good ones of the same mix of methods: only some requests may be retried on
 * another target, so all others fail.
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

/** What determines whether a request may be retried on a second target: its method, and whether it has a body. */
function repeatability({ request: { method, requestSize } }: Sampled): string {
  return `${method} ${requestSize === 'none'}`
}

/** Weights the rows so that each key has the same share as in the other group. */
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

/** Empty if the weight is zero. */
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

/** Weights good requests by how many failed around them, so that a mix that changes over time is no difference. */
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

function targetsOf(
  { dimension, value }: Difference,
  all: readonly Sampled[],
  onsetMs: number,
): NamedDifference['targets'] {
  const since = all.filter(({ request }) => request.timeMs >= onsetMs && request.target !== undefined)
  const having = since.filter(({ row }) => row.values[dimension] === value)
  const count = (sampled: readonly Sampled[]): number => new Set(sampled.map(({ request }) => request.target)).size
  return { having: count(having), of: count(since) }
}

/** Only a value that was absent for minutes is new: with occasional errors, the first one is long before the cause. */
function newSince({ dimension, value }: Difference, all: readonly Sampled[]): number | undefined {
  const firstMs = Math.min(
    ...all.filter(({ row }) => row.values[dimension] === value).map(({ request }) => request.timeMs),
  )
  const before = all.filter(({ request }) => request.timeMs < firstMs)
  const startMs = Math.min(...before.map(({ request }) => request.timeMs))
  const isNew = isEnoughBefore(before, dimension) && firstMs - startMs >= NEAR_MS
  return isNew ? firstMs : undefined
}

function shareBefore(difference: Difference, before: readonly Sampled[]): number | undefined {
  return isEnoughBefore(before, difference.dimension) ? shareOf(before, difference) : undefined
}

function isEnoughBefore(before: readonly Sampled[], dimension: string): boolean {
  return before.length >= LEAST_BEFORE && isKnownOf(before.map(rowOf), dimension)
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0)
}
