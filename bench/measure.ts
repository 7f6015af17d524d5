import { setTimeout as wait } from 'node:timers/promises'
import { treeUsage } from './process-tree.ts'
import type { Listening, Program } from './processes.ts'
import type { Command, LoadState } from './programs/load.ts'
import { shuffled } from './shuffled.ts'
import { interpolate, type Sample } from './statistics.ts'
import { requestOf, type Batch, type Row } from './rows.ts'

export interface Plan {
  /** How often every process is restarted. */
  readonly launches: number
  /** Rounds per launch. */
  readonly rounds: number
  /** Requests before the first round, so that hot code is compiled. */
  readonly firstRequests: number
  /** Requests at the start of each slice that are not counted: connections, caches. */
  readonly warmUpRequests: number
  readonly sliceMs: number
}

/** The cost of one row in one round. */
export interface Slice {
  /** Relative to the reference at the same time. */
  readonly timesReference: number
  readonly cpuMicros: number
  readonly requestsPerSecond: number
  /** The fraction of the runnable time in which another program used the core. */
  readonly waitedShare: number
  readonly rssBytes: number
}

/** The result of one slice before it is compared with the reference. */
interface Reading extends Omit<Slice, 'timesReference'> {
  /** Time of the slice's middle. */
  readonly at: number
}

/** The reference is measured again after this many slices. */
const SLICES_BETWEEN_REFERENCES = 4
const CHECK_MS = 10
/** Time limit of a warm-up; a load that takes longer is stuck. */
const WARM_UP_TIMEOUT_MS = 120_000

/**
 * Measures the rows of one launch one after the other, round by round, each round in another order, so that
 * disturbances of the machine affect all rows alike. The reference is measured repeatedly in between.
 *
 * @param running the batch's processes by name
 * @returns the slices of each row, one per round
 */
export async function measureLaunch(
  batch: Batch,
  running: ReadonlyMap<string, Listening>,
  load: Program,
  plan: Plan,
): Promise<ReadonlyMap<Row, readonly Slice[]>> {
  const drive = async (row: Row, warmUpRequests: number, sliceMs: number): Promise<Reading> => {
    const target = running.get(row.process.name) as Listening
    return driveOne(target, { ...requestOf(batch, row), port: target.port }, load, warmUpRequests, sliceMs)
  }
  const first = Math.ceil(plan.firstRequests / (batch.effort ?? 1))
  const again = Math.ceil(plan.warmUpRequests / (batch.effort ?? 1))
  // How long a process idles between its warm-up and its first slice affects V8's memory, so this order varies too.
  for (const row of shuffled([batch.reference, ...batch.rows])) await drive(row, first, 1)

  const references: Sample[] = []
  const readings: { readonly row: Row; readonly reading: Reading }[] = []
  const driveReference = async (): Promise<void> => {
    const { at, cpuMicros } = await drive(batch.reference, again, plan.sliceMs)
    references.push({ at, value: cpuMicros })
  }
  for (let round = 0; round < plan.rounds; round++) {
    for (const row of shuffledPairs(batch.rows)) {
      if (readings.length % SLICES_BETWEEN_REFERENCES === 0) await driveReference()
      readings.push({ row, reading: await drive(row, again, plan.sliceMs) })
    }
  }
  await driveReference()

  const slices = new Map(batch.rows.map(row => [row, [] as Slice[]]))
  for (const { row, reading } of readings) {
    slices.get(row)?.push({ ...reading, timesReference: reading.cpuMicros / interpolate(references, reading.at) })
  }
  return slices
}

/** Shuffles the rows, but keeps the old row of a pair next to the new one: just before or just after it. */
function shuffledPairs(rows: readonly Row[]): Row[] {
  const newRows = rows.filter(row => row.oldOf === undefined)
  return shuffled(newRows).flatMap(row => shuffled([row, ...rows.filter(({ oldOf }) => oldOf === row.name)]))
}

/** Warms up, then measures one slice. */
export async function driveOne(
  measured: Listening,
  target: Exclude<Command, string>['start'],
  load: Program,
  warmUpRequests: number,
  sliceMs: number,
): Promise<Reading> {
  const { program } = measured
  const tell = async (command: Command): Promise<number> => {
    const { answered, failure } = await load.ask<LoadState>('load', command)
    if (failure !== undefined) throw new Error(`a request to ${program.name} failed: ${failure}`)
    return answered
  }
  await tell({ start: target })
  const deadline = performance.now() + WARM_UP_TIMEOUT_MS
  while ((await tell('count')) < warmUpRequests) {
    if (performance.now() > deadline) throw new Error(`${program.name} is not warm after ${WARM_UP_TIMEOUT_MS} ms`)
    await wait(CHECK_MS)
  }
  const [before, answeredBefore, startedAt] = [treeUsage(program.pid), await tell('count'), performance.now()]
  await wait(sliceMs)
  const [after, answeredAfter, endedAt] = [treeUsage(program.pid), await tell('count'), performance.now()]
  measured.answered += await tell('stop')
  const requests = answeredAfter - answeredBefore
  const [cpuMicros, waitedMicros] = [after.cpuMicros - before.cpuMicros, after.waitedMicros - before.waitedMicros]
  return {
    at: (startedAt + endedAt) / 2,
    cpuMicros: cpuMicros / requests,
    waitedShare: waitedMicros / (cpuMicros + waitedMicros),
    requestsPerSecond: (requests * 1_000) / (endedAt - startedAt),
    rssBytes: after.rssBytes,
  }
}
