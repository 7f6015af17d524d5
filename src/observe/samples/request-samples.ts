import type { Exchange } from '../../exchange/exchange'
import { toSample, type RequestSample } from './request-sample'
import { Reservoir } from './reservoir'

/**
 * How a request ended, for comparisons. `recovered`: one target failed and another responded. `slow`: ended ok, but
 * late.
 */
export const SAMPLE_KINDS = ['good', 'slow', 'recovered', 'fault', 'limited', 'refusal'] as const
export type SampleKind = (typeof SAMPLE_KINDS)[number]

/** Length of a slot, short enough that compared requests were in flight at about the same time. */
export const SAMPLE_SLOT_MS = 30_000
/** Number of slots: a quarter of an hour. */
const SLOTS = 30
/** Maximum samples of one route and kind in one slot. */
const PER_GROUP = 50
/** The same once a slot has `FULL_SLOT` samples, so that routes that come later still get some. */
const PER_LATE_GROUP = 5
const FULL_SLOT = 4_000
/** Maximum samples of all slots but the newest, about 450 bytes each. Beyond it, the oldest slot is dropped early. */
const MAX_SAMPLES = 40_000

interface Slot {
  readonly startMs: number
  /** Groups by path template of the configuration; the key is empty for requests without a route. */
  readonly routes: Map<string, RouteGroups>
  samples: number
}

type RouteGroups = { [Kind in SampleKind]: Reservoir<RequestSample> | undefined }

/** A group of samples, with the number of requests that each sample represents. */
export interface SampleGroup {
  readonly startMs: number
  readonly route: string
  readonly kind: SampleKind
  /** Number of requests from which the samples were taken. */
  readonly seen: number
  /** Number of requests that each sample represents. */
  readonly weight: number
  readonly samples: readonly RequestSample[]
}

export interface SampleQuery {
  /** Path template; undefined for all routes. */
  readonly route?: string | undefined
  readonly fromMs: number
  readonly toMs: number
  /** Samples wanted; at most `MAX_ANSWERED`. */
  readonly limit?: number | undefined
}

/** Average maximum of samples in one response, about 2 MiB of JSON. */
export const MAX_ANSWERED = 5_000

/**
 * An unbiased sample of the requests of the last quarter of an hour, by time, route and kind, so that failing requests
 * can be compared with good ones. Most requests cost two look-ups and a decrement; only a sampled one costs an object.
 */
export class RequestSamples {
  readonly #slowMs: number
  readonly #now: () => number
  #slot: Slot
  /** Oldest first. */
  #closed: Slot[] = []

  constructor({ slowMs, now = Date.now }: { readonly slowMs: number; readonly now?: () => number }) {
    this.#slowMs = slowMs
    this.#now = now
    this.#slot = newSlot(now())
  }

  /** Records a request. Called once for each, when its response closes. */
  note(exchange: Exchange): void {
    const now = this.#now()
    // Also starts a new slot if the clock was set back, because slots must stay in order.
    if (now >= this.#slot.startMs + SAMPLE_SLOT_MS || now < this.#slot.startMs) this.#rotate(now)
    const slot = this.#slot
    const durationMs = performance.now() - exchange.startedAt
    const kind = this.#kindOf(exchange, durationMs)
    const groups = groupsOf(slot, exchange.route?.template ?? '')
    const reservoir = (groups[kind] ??= new Reservoir(slot.samples < FULL_SLOT ? PER_GROUP : PER_LATE_GROUP))
    const index = reservoir.next()
    if (index === -1) return
    if (index === reservoir.items.length) slot.samples++
    reservoir.put(index, toSample(exchange, now, durationMs))
  }

  /**
   * Returns the samples of a period, oldest first. A result that would be too large is thinned: the good requests first,
   * down to half of the result, as there are few others and they show the cause.
   */
  read({ route, fromMs, toMs, limit = MAX_ANSWERED }: SampleQuery): SampleGroup[] {
    const slots = [...this.#closed, this.#slot].filter(
      ({ startMs }) => startMs < toMs && startMs + SAMPLE_SLOT_MS > fromMs && startMs > this.#now() - reachMs,
    )
    const groups = slots.flatMap(slot => groupsIn(slot, route))
    const good = samplesIn(groups.filter(isGood))
    const others = samplesIn(groups) - good
    const most = Math.min(limit, MAX_ANSWERED)
    if (good + others <= most) return groups
    const mostOthers = Math.min(others, Math.max(most / 2, most - good))
    const shares = { good: (most - mostOthers) / good, others: mostOthers / others }
    return groups.flatMap(group => thinned(group, isGood(group) ? shares.good : shares.others))
  }

  #kindOf({ outcome, reason, attempts, stream }: Exchange, durationMs: number): SampleKind {
    if (outcome === 'fault') return 'fault'
    if (outcome !== 'ok') return reason === 'limited' ? 'limited' : 'refusal'
    if (attempts > 1) return 'recovered'
    return durationMs > this.#slowMs && stream === undefined ? 'slow' : 'good'
  }

  #rotate(now: number): void {
    this.#closed.push(this.#slot)
    this.#slot = newSlot(now)
    let samples = this.#closed.reduce((sum, slot) => sum + slot.samples, 0)
    while (this.#closed.length >= SLOTS || samples > MAX_SAMPLES) samples -= this.#closed.shift()?.samples ?? 0
  }
}

const reachMs = SLOTS * SAMPLE_SLOT_MS

function newSlot(now: number): Slot {
  return { startMs: now - (now % SAMPLE_SLOT_MS), routes: new Map(), samples: 0 }
}

function groupsOf({ routes }: Slot, route: string): RouteGroups {
  let groups = routes.get(route)
  if (groups === undefined) {
    groups = {
      good: undefined,
      slow: undefined,
      recovered: undefined,
      fault: undefined,
      limited: undefined,
      refusal: undefined,
    }
    routes.set(route, groups)
  }
  return groups
}

function groupsIn({ startMs, routes }: Slot, asked: string | undefined): SampleGroup[] {
  return [...routes].flatMap(([route, groups]) => {
    if (asked !== undefined && asked !== route) return []
    return SAMPLE_KINDS.flatMap(kind => {
      const reservoir = groups[kind]
      if (reservoir === undefined) return []
      const { seen, items } = reservoir
      return [{ startMs, route, kind, seen, weight: seen / items.length, samples: items }]
    })
  })
}

function isGood({ kind }: SampleGroup): boolean {
  return kind === 'good'
}

function samplesIn(groups: readonly SampleGroup[]): number {
  return groups.reduce((sum, { samples }) => sum + samples.length, 0)
}

/**
 * Returns a random part of a group, with the weight raised accordingly. A group with no sample left is omitted; on
 * average, the others of its kind compensate for it.
 */
function thinned(group: SampleGroup, share: number): SampleGroup[] {
  if (share >= 1) return [group]
  const count = Math.floor(group.samples.length * share + Math.random())
  if (count === 0) return []
  return [{ ...group, weight: group.weight / share, samples: randomPart(group.samples, count) }]
}

/**
 * Chooses items at random. The first items would be biased, because a sample that was never full is in order of
 * arrival.
 */
function randomPart<Item>(items: readonly Item[], count: number): Item[] {
  const rest = [...items]
  for (let i = 0; i < count; i++) {
    const other = i + Math.floor(Math.random() * (rest.length - i))
    ;[rest[i], rest[other]] = [rest[other] as Item, rest[i] as Item]
  }
  return rest.slice(0, count)
}
