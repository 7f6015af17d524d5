import type { Outcome } from '../../errors/reasons'
import { LATENCY_BUCKETS, latencyBucket, latencyQuantile } from './latency-buckets'

/** The last quarter of an hour, in steps that are as long as the usual time between two scrapes. */
export const SLOT_MS = 15_000
export const SLOTS = 60

/** One row for each slot: which slot it is of, how many requests ended how, and the latency buckets. */
const SLOT_NUMBER = 0
const OUTCOME_COLUMNS = { ok: 1, fault: 2, refusal: 3, client_closed: 4 } as const satisfies Record<Outcome, number>
const FIRST_BUCKET = 5
const COLUMNS = FIRST_BUCKET + LATENCY_BUCKETS

/** As much of an exchange as is remembered. */
export interface EndedRequest {
  readonly route: { readonly name: string } | undefined
  readonly outcome: Outcome
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number
  /** Where it is one, it was meant to stay open: how long it did is no latency. */
  readonly stream: 'event_stream' | 'websocket' | undefined
}

/** What came of the requests of some time. */
export interface Traffic {
  readonly requests: number
  readonly faults: number
  readonly refusals: number
  readonly clientClosed: number
  /** Milliseconds; null where no answer was sent. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
}

/** The requests of one route, or of all. */
export interface RecentTraffic extends Traffic {
  /** Over the last minute, the running slot included. */
  readonly perSecond: number
  /** Those of the last five minutes alone. */
  readonly lately: Pick<Traffic, 'requests' | 'faults'>
}

const LATELY_SLOTS = 20
/** Shown of a process that has just begun: nothing but the time before it would press its first requests into a corner. */
const LEAST_SLOTS = 12
const RATE_SLOTS = 4

/**
 * What the last quarter of an hour was like, route by route, for whoever has no Prometheus.
 *
 * A fixed table for each route that had a request: 60 slots of 69 numbers, 16.2 KiB; 1,000 busy routes take 16 MiB. Requests are
 * told apart by the names of routes in the file alone, so clients cannot make it grow. Noting one allocates nothing.
 */
export class RecentRequests {
  readonly #now: () => number
  readonly #startedAt: number
  /** By the name of the route; undefined until it has its first request. */
  #routes = new Map<string, Uint32Array | undefined>()
  /** Of no route: unknown paths, malformed requests, and the gateway's own page. */
  readonly #others = newTable()

  /** @param now milliseconds on the monotonic clock, as `performance.now()` */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#startedAt = now()
  }

  /** Which routes there are from now on: those that stay keep what they have, those that are gone are forgotten. */
  announce(routes: readonly { readonly name: string }[]): void {
    this.#routes = new Map(routes.map(({ name }) => [name, this.#routes.get(name)]))
  }

  /** To be called once for each request, when its response closes. */
  note(ended: EndedRequest): void {
    const now = this.#now()
    const table = this.#tableOf(ended.route)
    const row = openRow(table, slotNumber(now))
    count(table, row + OUTCOME_COLUMNS[ended.outcome])
    if (ended.outcome === 'client_closed' || ended.stream !== undefined) return
    count(table, row + FIRST_BUCKET + latencyBucket(now - ended.startedAt))
  }

  /** What never became a request. */
  noteRefused(): void {
    count(this.#others, openRow(this.#others, slotNumber(this.#now())) + OUTCOME_COLUMNS.refusal)
  }

  /** Of all requests, or of one route's: its name, or null for those of none. */
  recent(route?: string | null): RecentTraffic {
    const tables = this.#tables(route)
    const all = this.#sum(tables, SLOTS)
    const lately = toTraffic(this.#sum(tables, LATELY_SLOTS))
    const lastMinute = toTraffic(this.#sum(tables, RATE_SLOTS + 1))
    const now = this.#now()
    const seconds = Math.min(now - this.#startedAt, RATE_SLOTS * SLOT_MS + (now % SLOT_MS)) / 1_000
    return {
      ...toTraffic(all),
      perSecond: lastMinute.requests / Math.max(1, seconds),
      lately: { requests: lately.requests, faults: lately.faults },
    }
  }

  /** The same slot by slot, oldest first; the last one still runs. */
  slots(route?: string | null): Traffic[] {
    const tables = this.#tables(route)
    const last = slotNumber(this.#now())
    const length = this.#shownSlots()
    return Array.from({ length }, (_, index) => {
      const sums = new Float64Array(COLUMNS)
      for (const table of tables) addRow(sums, table, last - (length - 1) + index)
      return toTraffic(sums)
    })
  }

  /** Milliseconds between the begin of the first of the slots and now. */
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
    // Of a table that is gone, or of none: a request that outlived its route.
    if (!this.#routes.has(route.name)) return this.#others
    const made = newTable()
    this.#routes.set(route.name, made)
    return made
  }

  #tables(route: string | null | undefined): readonly Uint32Array[] {
    if (route === null) return [this.#others]
    const tables = route === undefined ? [this.#others, ...this.#routes.values()] : [this.#routes.get(route)]
    return tables.filter(table => table !== undefined)
  }

  #sum(tables: readonly Uint32Array[], slots: number): Float64Array {
    const last = slotNumber(this.#now())
    const sums = new Float64Array(COLUMNS)
    for (const table of tables) {
      for (let slot = last - slots + 1; slot <= last; slot++) addRow(sums, table, slot)
    }
    return sums
  }
}

function newTable(): Uint32Array {
  return new Uint32Array(SLOTS * COLUMNS)
}

/** From 1: a row that was never used has 0. */
function slotNumber(now: number): number {
  return 1 + Math.floor(now / SLOT_MS)
}

/** Where the slot's row begins; what stood there a quarter of an hour ago is gone. */
function openRow(table: Uint32Array, slot: number): number {
  const row = (slot % SLOTS) * COLUMNS
  if (table[row + SLOT_NUMBER] !== slot) {
    table.fill(0, row, row + COLUMNS)
    table[row + SLOT_NUMBER] = slot
  }
  return row
}

function count(table: Uint32Array, place: number): void {
  table[place] = (table[place] as number) + 1
}

function addRow(sums: Float64Array, table: Uint32Array, slot: number): void {
  if (slot < 1) return
  const row = (slot % SLOTS) * COLUMNS
  if (table[row + SLOT_NUMBER] !== slot) return
  for (let column = 1; column < COLUMNS; column++) {
    sums[column] = (sums[column] as number) + (table[row + column] as number)
  }
}

function toTraffic(sums: Float64Array): Traffic {
  const [, ok = 0, faults = 0, refusals = 0, clientClosed = 0] = sums
  const latencies = sums.subarray(FIRST_BUCKET)
  return {
    requests: ok + faults + refusals + clientClosed,
    faults,
    refusals,
    clientClosed,
    p50Ms: latencyQuantile(latencies, 0.5) ?? null,
    p95Ms: latencyQuantile(latencies, 0.95) ?? null,
    p99Ms: latencyQuantile(latencies, 0.99) ?? null,
  }
}
