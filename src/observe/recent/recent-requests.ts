import type { Outcome } from '../../errors/reasons'
import { LATENCY_BUCKETS, latencyBucket, latencyQuantile } from './latency-buckets'

/** Length of a slot: the usual scrape interval of Prometheus. */
export const SLOT_MS = 15_000
export const SLOTS = 60

/** Columns of a row, one row per slot: slot number, counts by outcome, latency buckets. */
const SLOT_NUMBER = 0
const OUTCOME_COLUMNS = { ok: 1, fault: 2, refusal: 3, client_closed: 4 } as const satisfies Record<Outcome, number>
const FIRST_BUCKET = 5
const COLUMNS = FIRST_BUCKET + LATENCY_BUCKETS

/** The part of an exchange that is recorded. */
export interface EndedRequest {
  readonly route: { readonly name: string } | undefined
  readonly outcome: Outcome
  /** Milliseconds on the monotonic clock. */
  readonly startedAt: number
  /** Kind of stream, whose duration is not a latency; undefined for other responses. */
  readonly stream: 'event_stream' | 'websocket' | undefined
}

/** Outcomes and latencies of the requests in a period. */
export interface Traffic {
  readonly requests: number
  readonly faults: number
  readonly refusals: number
  readonly clientClosed: number
  /** Milliseconds; null if no response was sent. */
  readonly p50Ms: number | null
  readonly p95Ms: number | null
  readonly p99Ms: number | null
}

/** The requests of one route, or of all. */
export interface RecentTraffic extends Traffic {
  /** Rate over the last minute, including the current slot. */
  readonly perSecond: number
  /** Counts of the last five minutes. */
  readonly lately: Pick<Traffic, 'requests' | 'faults'>
}

const LATELY_SLOTS = 20
/** Minimum number of slots in a chart, even for a process that has just started. */
const LEAST_SLOTS = 12
const RATE_SLOTS = 4

/**
 * Records the traffic of the last quarter of an hour by route, for the status page, which needs no Prometheus.
 *
 * Each route with a request has a fixed table of 60 slots with 69 numbers, 16.2 KiB; 1,000 busy routes take 16 MiB.
 * Only the route names in the file create tables, so clients cannot make it grow. Recording a request allocates
 * nothing.
 */
export class RecentRequests {
  readonly #now: () => number
  readonly #startedAt: number
  /** Tables by route name; undefined until the first request. */
  #routes = new Map<string, Uint32Array | undefined>()
  /** Table of requests without a route: unknown paths, malformed requests, and the gateway's own page. */
  readonly #others = newTable()

  /** @param now milliseconds on the monotonic clock, as `performance.now()` */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#startedAt = now()
  }

  /** Sets the routes. Routes that remain keep their table; tables of removed routes are dropped. */
  announce(routes: readonly { readonly name: string }[]): void {
    this.#routes = new Map(routes.map(({ name }) => [name, this.#routes.get(name)]))
  }

  /** Records a request. Called once for each, when its response closes. */
  note(ended: EndedRequest): void {
    const now = this.#now()
    const table = this.#tableOf(ended.route)
    const row = openRow(table, slotNumber(now))
    count(table, row + OUTCOME_COLUMNS[ended.outcome])
    if (ended.outcome === 'client_closed' || ended.stream !== undefined) return
    count(table, row + FIRST_BUCKET + latencyBucket(now - ended.startedAt))
  }

  /** Records a rejected request that never became an exchange. */
  noteRefused(): void {
    count(this.#others, openRow(this.#others, slotNumber(this.#now())) + OUTCOME_COLUMNS.refusal)
  }

  /** Returns the traffic of all requests, of one route by name, or of requests without a route (null). */
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

  /** Returns the traffic slot by slot, oldest first; the last slot is incomplete. */
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

/** Numbers slots from 1, because an unused row has 0. */
function slotNumber(now: number): number {
  return 1 + Math.floor(now / SLOT_MS)
}

/** Returns the offset of the slot's row, and clears the row if it belongs to an older slot. */
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
