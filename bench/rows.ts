import type { ProcessSpec } from './processes.ts'
import type { Target } from './programs/load.ts'

/** One row of a table: a process, and what it is asked. */
export interface Row {
  readonly name: string
  readonly label: string
  /** Rows of a batch may share a process; each is driven by itself all the same. */
  readonly process: ProcessSpec
  /** What is different from the batch's request. */
  readonly request?: Partial<Request>
  /** Run by a tree of this project, so `--against` measures it from another tree as well. */
  readonly isGateway: boolean
  /** With `--against`: the name of the row that this one is the older version of. */
  readonly oldOf?: string
  /** What the project has set itself. */
  readonly goal?: string
}

export type Request = Omit<Target, 'port'>

/** Rows that are measured together, against the same reference. */
export interface Batch {
  readonly title: string
  readonly request?: Partial<Request>
  /** How many times as heavy as a small request one of these is: the warm-up is shorter by it. */
  readonly effort?: number
  /** Every row is divided by it. It is one of the processes at work, not a row: `bare-again` shows the error. */
  readonly reference: Row
  /** The gateway row that a second column divides by. */
  readonly base?: string
  readonly rows: readonly Row[]
  /** Programs that the rows need, such as Redis; they run where the upstream does. */
  readonly beside?: readonly ProcessSpec[]
}

/** Each process at work needs its share of the caches: with more of them, what is measured is the crowd. */
export const MAX_PROCESSES = 8

/** A small answer over keep-alive connections. */
export const USUAL: Request = { path: '/plain', connections: 32, isTls: false, headers: {}, bodyBytes: 0 }

export function requestOf(batch: Batch, row: Row): Request {
  return { ...USUAL, ...batch.request, ...row.request }
}

/** Processes of the batch, each once, the reference first. */
export function processesOf({ reference, rows }: Batch): ProcessSpec[] {
  return [...new Map([reference, ...rows].map(({ process }) => [process.name, process])).values()]
}
