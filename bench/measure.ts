import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { Program } from './processes.ts'
import type { Command } from './programs/load.ts'
import type { ProcessSpec, Subject } from './subjects.ts'

/** What one row cost in one round. */
export interface Slice {
  readonly cpuMicrosPerRequest: number
  readonly requestsPerSecond: number
  readonly rssBytes: number
}

export interface Plan {
  readonly connections: number
  /** How often everything is started afresh. */
  readonly launches: number
  /** Of each launch. */
  readonly rounds: number
  /** Answered before the first round, so that hot code is compiled. */
  readonly firstRequests: number
  /** Answered at the beginning of each slice and not counted: connections, caches. */
  readonly warmUpRequests: number
  readonly sliceMs: number
}

export interface Measured {
  readonly subject: Subject
  /** One per round of each launch, in order: slices of the same index were measured within seconds of each other. */
  readonly launches: readonly (readonly Slice[])[]
}

/** A program under load, and the port it listens on. */
export interface Measurable {
  readonly program: Program
  readonly port: number
  /** Every request it ever answered, warm-ups included. */
  answered: number
}

interface Usage {
  readonly cpuMicros: number
  readonly rssBytes: number
}

interface LoadState {
  readonly answered: number
  readonly failure?: string
}

const WARM_UP_CHECK_MS = 20

/** Starts a process to be measured and waits until it listens. */
export async function start(spec: ProcessSpec): Promise<Measurable> {
  const preload = ['--require', join(import.meta.dirname, 'programs/answer-usage.cts')]
  const program = new Program(spec.name, [...preload, ...spec.args], spec.env)
  const { port } = await program.ask<{ port: number }>('listening')
  return { program, port, answered: 0 }
}

/**
 * Drives the rows of one launch one after the other, round by round, each round in another order: what disturbs the machine
 * for a while, or every so often, then hits all rows alike.
 *
 * @returns the slices of each row, one per round
 */
export async function measureLaunch(
  subjects: readonly Subject[],
  running: ReadonlyMap<string, Measurable>,
  load: Program,
  plan: Plan,
  report: (text: string) => void,
): Promise<ReadonlyMap<Subject, readonly Slice[]>> {
  const drive = async (subject: Subject, warmUpRequests: number, sliceMs: number): Promise<Slice> => {
    const target = running.get(subject.process.name) as Measurable
    return driveOne(target, subject.path, load, { ...plan, warmUpRequests, sliceMs })
  }
  report(`warming up ${subjects.length} rows`)
  for (const subject of subjects) await drive(subject, plan.firstRequests, 1)
  const measured = new Map(subjects.map(subject => [subject, [] as Slice[]]))
  for (let round = 0; round < plan.rounds; round++) {
    report(`round ${round + 1} of ${plan.rounds}`)
    for (const [subject, slices] of shuffled([...measured])) {
      slices.push(await drive(subject, plan.warmUpRequests, plan.sliceMs))
    }
  }
  return measured
}

/** In an order of its own each time (Fisher and Yates). */
function shuffled<Item>(items: Item[]): Item[] {
  for (let last = items.length - 1; last > 0; last--) {
    const drawn = Math.floor(Math.random() * (last + 1))
    ;[items[last], items[drawn]] = [items[drawn] as Item, items[last] as Item]
  }
  return items
}

async function driveOne(target: Measurable, path: string, load: Program, plan: Plan): Promise<Slice> {
  const { program, port } = target
  const usage = async (): Promise<Usage> => program.ask('usage', 'usage')
  const tell = async (command: Command): Promise<number> => {
    const { answered, failure } = await load.ask<LoadState>('load', command)
    if (failure !== undefined) throw new Error(`a request to ${program.name} failed: ${failure}`)
    return answered
  }

  await tell({ start: { port, path, connections: plan.connections } })
  while ((await tell('count')) < plan.warmUpRequests) await wait(WARM_UP_CHECK_MS)
  const [before, answeredBefore, startedAt] = [await usage(), await tell('count'), performance.now()]
  await wait(plan.sliceMs)
  const [after, answeredAfter, endedAt] = [await usage(), await tell('count'), performance.now()]
  target.answered += await tell('stop')

  const requests = answeredAfter - answeredBefore
  return {
    cpuMicrosPerRequest: (after.cpuMicros - before.cpuMicros) / requests,
    requestsPerSecond: (requests * 1_000) / (endedAt - startedAt),
    rssBytes: after.rssBytes,
  }
}
