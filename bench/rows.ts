import type { ProcessSpec } from './processes.ts'
import type { Target } from './programs/load.ts'

/** One row of a table: a process and the request sent to it. */
export interface Row {
  readonly name: string
  readonly label: string
  /** Rows of a batch may share a process, but each is measured separately. */
  readonly process: ProcessSpec
  /** Differences from the batch's request. */
  readonly request?: Partial<Request>
  /** Runs a tree of this project, so `--against` measures it from another tree too. */
  readonly isGateway: boolean
  /** With `--against`: the name of the row whose older version this is. */
  readonly oldOf?: string
  /** The project's goal for this row. */
  readonly goal?: string
}

export type Request = Omit<Target, 'port'>

/** Rows that are measured together, with the same reference. */
export interface Batch {
  readonly title: string
  readonly request?: Partial<Request>
  /** Cost of a request relative to a small one: the warm-up has fewer requests by this factor. */
  readonly effort?: number
  /**
   * The row that all others are divided by. It runs as a process but has no table row: `bare-again` shows the error.
   */
  readonly reference: Row
  /** The gateway row that a second column divides by. */
  readonly base?: string
  readonly rows: readonly Row[]
  /** Programs that the rows need, such as Redis; they run on the upstream's cores. */
  readonly beside?: readonly ProcessSpec[]
}

/** Maximum processes at work: with more of them, competition for the caches dominates the results. */
export const MAX_PROCESSES = 8

/** A small answer over keep-alive connections. */
export const USUAL: Request = {
  path: '/plain',
  protocol: 'http1',
  connections: 32,
  isTls: false,
  headers: {},
  bodyBytes: 0,
}

export function requestOf(batch: Batch, row: Row): Request {
  return { ...USUAL, ...batch.request, ...row.request }
}

/** Processes of the batch, each once, the reference first. */
export function processesOf({ reference, rows }: Batch): ProcessSpec[] {
  return [...new Map([reference, ...rows].map(({ process }) => [process.name, process])).values()]
}
