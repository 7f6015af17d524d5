import type { Exchange } from '../../exchange/exchange'
import { toSample, type RequestSample } from './request-sample'
import { Reservoir } from './reservoir'

/**
 * How a request ended, as far as a comparison goes. `recovered`: a target failed it and another one answered. `slow`: answered
 * well, and late.
 */
export const SAMPLE_KINDS = ['good', 'slow', 'recovered', 'fault', 'limited', 'refusal'] as const
export type SampleKind = (typeof SAMPLE_KINDS)[number]

/** Short enough that what is compared was under way at the same time. */
export const SAMPLE_SLOT_MS = 30_000
/** The last quarter of an hour. */
const SLOTS = 30
/** Samples of one route and kind in one slot. */
const PER_GROUP = 50
/** The same once a slot has `FULL_SLOT` of them: the routes that come late still have some. */
const PER_LATE_GROUP = 5
const FULL_SLOT = 4_000
/** Samples of all slots but the newest, some 400 bytes each: beyond that the oldest slot goes early. */
const MAX_SAMPLES = 40_000

interface Slot {
  readonly startMs: number
  /** By path template; empty for requests of no route. Templates are those of the configuration. */
  readonly routes: Map<string, RouteGroups>
  samples: number
}

type RouteGroups = { [Kind in SampleKind]: Reservoir<RequestSample> | undefined }

/** A sample with the number of requests that each of its members stands for. */
export interface SampleGroup {
  readonly startMs: number
  readonly route: string
  readonly kind: SampleKind
  /** Requests that the samples were taken from. */
  readonly seen: number
  /** Requests that each sample stands for. */
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

/** Samples in one answer, on the average: some 2 MiB of JSON. */
export const MAX_ANSWERED = 5_000

/**
 * An unbiased sample of the requests of the last quarter of an hour, by time, route and how they ended, so that failing
 * requests can be compared with good ones. Most requests cost two look-ups and a decrement; only a sampled one costs an object.
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

  /** To be called once for each request, when its response closes. */
  note(exchange: Exchange): void {
    const now = this.#now()
    // Also when the clock was set back: slots must stay in order.
    if (now >= this.#slot.startMs + SAMPLE_SLOT_MS || now < this.#slot.startMs) this.#turn(now)
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

  /** What was seen in some time, oldest first. An answer that would be too large is thinned evenly. */
  read({ route, fromMs, toMs, limit = MAX_ANSWERED }: SampleQuery): SampleGroup[] {
    const slots = [...this.#closed, this.#slot].filter(
      ({ startMs }) => startMs < toMs && startMs + SAMPLE_SLOT_MS > fromMs && startMs > this.#now() - reachMs,
    )
    const groups = slots.flatMap(slot => groupsIn(slot, route))
    const total = groups.reduce((sum, { samples }) => sum + samples.length, 0)
    const most = Math.min(limit, MAX_ANSWERED)
    return total <= most ? groups : thinned(groups, most / total)
  }

  #kindOf({ outcome, reason, attempts, stream }: Exchange, durationMs: number): SampleKind {
    if (outcome === 'fault') return 'fault'
    if (outcome !== 'ok') return reason === 'limited' ? 'limited' : 'refusal'
    if (attempts > 1) return 'recovered'
    return durationMs > this.#slowMs && stream === undefined ? 'slow' : 'good'
  }

  #turn(now: number): void {
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

/**
 * A random part of each group, with its weight raised to match. Groups of which nothing is left are left out: over all of
 * them the others make up for it.
 */
function thinned(groups: readonly SampleGroup[], share: number): SampleGroup[] {
  return groups.flatMap(group => {
    const count = Math.floor(group.samples.length * share + Math.random())
    if (count === 0) return []
    return [{ ...group, weight: group.weight / share, samples: randomPart(group.samples, count) }]
  })
}

/** Not the first ones: those of a sample that was never full are the ones that came first. */
function randomPart<Item>(items: readonly Item[], count: number): Item[] {
  const rest = [...items]
  for (let i = 0; i < count; i++) {
    const other = i + Math.floor(Math.random() * (rest.length - i))
    ;[rest[i], rest[other]] = [rest[other] as Item, rest[i] as Item]
  }
  return rest.slice(0, count)
}
