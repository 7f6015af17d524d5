import type { Outcome } from '../../errors/reasons'
import { LATENCY_BUCKETS, latencyBucket, latencyQuantile, slowerThan } from './latency-buckets'

/** Length of a slot: the usual scrape interval of Prometheus. */
export const SLOT_MS = 15_000
export const SLOTS = 60

/** Columns of a row, one row per slot: slot number, counts by outcome, latency buckets. */
const SLOT_NUMBER = 0
const OUTCOME_COLUMNS = { ok: 1, fault: 2, refusal: 3, client_closed: 4 } as const satisfies Record<Outcome, number>
const FIRST_BUCKET = 5
const COLUMNS = FIRST_BUCKET + LATENCY_BUCKETS

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

/** Counts without latencies: a tenth of the work of `recentIn`, to choose among many tables. */
export interface RecentCounts extends Pick<Traffic, 'requests' | 'faults'> {
  /** Counts of the last five minutes. */
  readonly lately: Pick<Traffic, 'requests' | 'faults'>
}

/** The requests of one route, variant or target, or of all. */
export interface RecentTraffic extends Traffic, RecentCounts {
  /** Rate over the last minute, including the current slot. */
  readonly perSecond: number
}

const LATELY_SLOTS = 20
const RATE_SLOTS = 4

/** 60 slots of 15 s with 69 numbers each, 16.2 KiB. Recording a request allocates nothing. */
export type TrafficTable = Uint32Array

export function newTable(): TrafficTable {
  return new Uint32Array(SLOTS * COLUMNS)
}

/**
 * Records a request.
 *
 * @param durationMs undefined if the duration is no latency, as that of a stream
 */
export function noteIn(table: TrafficTable, now: number, outcome: Outcome, durationMs: number | undefined): void {
  const row = openRow(table, slotNumber(now))
  count(table, row + OUTCOME_COLUMNS[outcome])
  if (outcome === 'client_closed' || durationMs === undefined) return
  count(table, row + FIRST_BUCKET + latencyBucket(durationMs))
}

/**
 * Adds a table of another process, whose slots have other numbers.
 *
 * @param shift what to add to a slot's number there to get the number here
 */
export function addTable(to: TrafficTable, table: TrafficTable, shift: number): void {
  for (let row = 0; row < table.length; row += COLUMNS) {
    const slot = table[row + SLOT_NUMBER] as number
    if (slot === 0 || slot + shift < 1) continue
    const own = ((slot + shift) % SLOTS) * COLUMNS
    const ownSlot = to[own + SLOT_NUMBER] as number
    if (ownSlot > slot + shift) continue
    if (ownSlot < slot + shift) {
      to.fill(0, own, own + COLUMNS)
      to[own + SLOT_NUMBER] = slot + shift
    }
    for (let column = 1; column < COLUMNS; column++) {
      to[own + column] = (to[own + column] as number) + (table[row + column] as number)
    }
  }
}

/** Returns the traffic of the last quarter of an hour in all of these tables. */
export function recentIn(tables: readonly TrafficTable[], now: number, startedAt: number): RecentTraffic {
  const last = slotNumber(now)
  const seconds = Math.min(now - startedAt, RATE_SLOTS * SLOT_MS + (now % SLOT_MS)) / 1_000
  return {
    ...trafficIn(tables, last, SLOTS),
    perSecond: countIn(tables, last, RATE_SLOTS + 1).requests / Math.max(1, seconds),
    lately: countIn(tables, last, LATELY_SLOTS),
  }
}

/** Returns the counts of the last quarter of an hour in all of these tables. */
export function countsIn(tables: readonly TrafficTable[], now: number): RecentCounts {
  const last = slotNumber(now)
  return { ...countIn(tables, last, SLOTS), lately: countIn(tables, last, LATELY_SLOTS) }
}

function countIn(tables: readonly TrafficTable[], last: number, slots: number): Pick<Traffic, 'requests' | 'faults'> {
  let requests = 0
  let faults = 0
  for (const table of tables) {
    for (let slot = Math.max(1, last - slots + 1); slot <= last; slot++) {
      const row = (slot % SLOTS) * COLUMNS
      if (table[row + SLOT_NUMBER] !== slot) continue
      for (let column = 1; column < FIRST_BUCKET; column++) requests += table[row + column] as number
      faults += table[row + OUTCOME_COLUMNS.fault] as number
    }
  }
  return { requests, faults }
}

/** Returns the traffic of the slots that end with this one. */
export function trafficIn(tables: readonly TrafficTable[], last: number, slots: number): Traffic {
  return toTraffic(sumsOf(tables, last, slots))
}

/** Returns how many latencies of the last quarter of an hour are above a threshold, and how many there are. */
export function slowerIn(tables: readonly TrafficTable[], now: number, ms: number): [slower: number, all: number] {
  const latencies = sumsOf(tables, slotNumber(now), SLOTS).subarray(FIRST_BUCKET)
  return [slowerThan(latencies, ms), latencies.reduce((sum, count) => sum + count, 0)]
}

function sumsOf(tables: readonly TrafficTable[], last: number, slots: number): Float64Array {
  const sums = new Float64Array(COLUMNS)
  for (const table of tables) {
    for (let slot = last - slots + 1; slot <= last; slot++) addRow(sums, table, slot)
  }
  return sums
}

/** Numbers slots from 1, because an unused row has 0. */
export function slotNumber(now: number): number {
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
