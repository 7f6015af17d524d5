import type { Outcome } from '../../errors/reasons'
import {
  addTable,
  countsIn,
  newTable,
  noteIn,
  recentIn,
  slowerIn,
  SLOT_MS,
  slotNumber,
  SLOTS,
  trafficIn,
  type RecentCounts,
  type RecentTraffic,
  type Traffic,
  type TrafficTable,
} from '../../exchange/traffic/traffic-table'

export { SLOT_MS, SLOTS, type RecentCounts, type RecentTraffic, type Traffic }

/** The part of an exchange that is recorded. */
export interface EndedRequest {
  readonly route: RecordedRoute | undefined
  readonly outcome: Outcome
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number
  /** Kind of stream, whose duration is not a latency; undefined for other responses. */
  readonly stream: 'event_stream' | 'websocket' | undefined
}

/** What one process has recorded, for another process. */
export interface RecordedTraffic {
  /** The number of its current slot. */
  readonly slot: number
  readonly routes: ReadonlyMap<string, TrafficTable | undefined>
  readonly variants: ReadonlyMap<string, ReadonlyMap<string, TrafficTable>>
  readonly others: TrafficTable
  readonly all: TrafficTable
}

interface RecordedRoute {
  readonly name: string
  /** Variant of a split. */
  readonly variant?: string | undefined
}

/** Minimum number of slots in a chart, even for a process that has just started. */
const LEAST_SLOTS = 12

/**
 * Records the traffic of the last quarter of an hour by route, and by variant of a split, for the status page, which needs no
 * Prometheus.
 *
 * Each route or variant with a request has a fixed table of 16.2 KiB; 1,000 busy routes take 16 MiB. Only the names in the
 * file create tables, so clients cannot make it grow. Recording a request allocates nothing.
 */
export class RecentRequests {
  readonly #now: () => number
  readonly #startedAt: number
  /** Tables by route name; undefined until the first request. */
  #routes = new Map<string, TrafficTable | undefined>()
  /** Tables of the variants of splits, by route name and variant. They count again what the route's table counts. */
  #variants = new Map<string, Map<string, TrafficTable>>()
  /** Table of requests without a route: unknown paths, malformed requests, and the gateway's own page. */
  readonly #others = newTable()
  /** Counts every request again: adding up 1,000 tables for each look at the status page would hold the event loop for 60 ms. */
  readonly #all = newTable()

  /**
   * @param now milliseconds on the monotonic clock, as `performance.now()`
   * @param startedAt since when requests are recorded
   */
  constructor(now: () => number = () => performance.now(), startedAt = now()) {
    this.#now = now
    this.#startedAt = startedAt
  }

  /** Sets the routes and variants. Those that remain keep their table; tables of removed ones are dropped. */
  announce(routes: readonly RecordedRoute[]): void {
    this.#routes = new Map(routes.map(({ name }) => [name, this.#routes.get(name)]))
    const variants = new Map<string, Map<string, TrafficTable>>()
    for (const { name, variant } of routes) {
      if (variant === undefined) continue
      const tables = variants.get(name) ?? new Map<string, TrafficTable>()
      variants.set(name, tables.set(variant, this.#variants.get(name)?.get(variant) ?? newTable()))
    }
    this.#variants = variants
  }

  /** Records a request. Called once for each, when its response closes. */
  note({ route, outcome, startedAt, stream }: EndedRequest): void {
    const now = this.#now()
    const durationMs = stream === undefined ? now - startedAt : undefined
    noteIn(this.#all, now, outcome, durationMs)
    noteIn(this.#tableOf(route), now, outcome, durationMs)
    if (route?.variant === undefined) return
    const table = this.#variants.get(route.name)?.get(route.variant)
    if (table !== undefined) noteIn(table, now, outcome, durationMs)
  }

  /** Records a rejected request that never became an exchange. */
  noteRefused(): void {
    const now = this.#now()
    noteIn(this.#all, now, 'refusal', undefined)
    noteIn(this.#others, now, 'refusal', undefined)
  }

  /** Returns the traffic of all requests, of one route by name, or of requests without a route (null). */
  recent(route?: string | null): RecentTraffic {
    return recentIn(this.#tables(route), this.#now(), this.#startedAt)
  }

  /** Returns the counts of one route by name, or of requests without a route (null). */
  counts(route: string | null): RecentCounts {
    return countsIn(this.#tables(route), this.#now())
  }

  /** Returns the traffic of one variant of a route. */
  ofVariant(route: string, variant: string): RecentTraffic {
    return recentIn(this.#tablesOfVariant(route, variant), this.#now(), this.#startedAt)
  }

  countsOfVariant(route: string, variant: string): RecentCounts {
    return countsIn(this.#tablesOfVariant(route, variant), this.#now())
  }

  #tablesOfVariant(route: string, variant: string): readonly TrafficTable[] {
    const table = this.#variants.get(route)?.get(variant)
    return table === undefined ? [] : [table]
  }

  /** Returns how many responses of a route took longer than this, to about 25 %, and how many were sent. */
  slower(route: string, ms: number): [slower: number, all: number] {
    return slowerIn(this.#tables(route), this.#now(), ms)
  }

  /** Returns the traffic slot by slot, oldest first; the last slot is incomplete. */
  slots(route?: string | null): Traffic[] {
    const tables = this.#tables(route)
    const last = slotNumber(this.#now())
    const length = this.#shownSlots()
    return Array.from({ length }, (_, index) => trafficIn(tables, last - (length - 1) + index, 1))
  }

  /** What was recorded here: 16.2 KiB for each route with traffic. */
  export(): RecordedTraffic {
    return {
      slot: slotNumber(this.#now()),
      routes: this.#routes,
      variants: this.#variants,
      others: this.#others,
      all: this.#all,
    }
  }

  /** Adds what another process has recorded. Slots begin at another moment in each process: they differ by less than one. */
  add({ slot, routes, variants, others, all }: RecordedTraffic): void {
    const shift = slotNumber(this.#now()) - slot
    addTable(this.#others, others, shift)
    addTable(this.#all, all, shift)
    for (const [name, table] of routes) {
      const own = this.#routes.get(name) ?? newTable()
      if (table !== undefined) addTable(own, table, shift)
      this.#routes.set(name, own)
    }
    for (const [name, tables] of variants) {
      const own = this.#variants.get(name) ?? new Map<string, TrafficTable>()
      this.#variants.set(name, own)
      for (const [variant, table] of tables) {
        const ofVariant = own.get(variant) ?? newTable()
        addTable(ofVariant, table, shift)
        own.set(variant, ofVariant)
      }
    }
  }

  /** Milliseconds from the start of the first slot until now. */
  get reachMs(): number {
    return (this.#shownSlots() - 1) * SLOT_MS + (this.#now() % SLOT_MS)
  }

  #shownSlots(): number {
    const lived = slotNumber(this.#now()) - slotNumber(this.#startedAt) + 1
    return Math.min(SLOTS, Math.max(LEAST_SLOTS, lived))
  }

  #tableOf(route: EndedRequest['route']): Uint32Array {
    if (route === undefined) return this.#others
    const table = this.#routes.get(route.name)
    if (table !== undefined) return table
    // The request outlived its route.
    if (!this.#routes.has(route.name)) return this.#others
    const made = newTable()
    this.#routes.set(route.name, made)
    return made
  }

  #tables(route: string | null | undefined): readonly TrafficTable[] {
    if (route === undefined) return [this.#all]
    const table = route === null ? this.#others : this.#routes.get(route)
    return table === undefined ? [] : [table]
  }
}
