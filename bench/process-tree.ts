import { readFileSync, readdirSync } from 'node:fs'

/** Resource usage of a process and all its descendants. */
export interface Usage {
  /** User and system time of all live threads. */
  readonly cpuMicros: number
  /** How long they were runnable but waited, because another program used the core. */
  readonly waitedMicros: number
  /** Resident memory; shared pages count once per process. */
  readonly rssBytes: number
}

const PAGE_BYTES = 4096

/**
 * Reads Linux's `/proc`: `schedstat` has nanoseconds, while `stat` has hundredths of a second, too coarse for one
 * slice.
 */
export function treeUsage(pid: number): Usage {
  let [nanoseconds, waited, pages] = [0, 0, 0]
  for (const process of treeOf(pid)) {
    for (const task of tasksOf(process)) {
      const [ran = 0, queued = 0] = read(`/proc/${process}/task/${task}/schedstat`).split(' ').map(Number)
      nanoseconds += ran
      waited += queued
    }
    pages += Number(read(`/proc/${process}/statm`).split(' ')[1] ?? 0)
  }
  return { cpuMicros: nanoseconds / 1_000, waitedMicros: waited / 1_000, rssBytes: pages * PAGE_BYTES }
}

function treeOf(pid: number): number[] {
  const children = tasksOf(pid).flatMap(task => read(`/proc/${pid}/task/${task}/children`).split(' '))
  return [pid, ...children.filter(child => child !== '').flatMap(child => treeOf(Number(child)))]
}

function tasksOf(pid: number): string[] {
  return ended(() => readdirSync(`/proc/${pid}/task`), [])
}

function read(path: string): string {
  return ended(() => readFileSync(path, 'latin1').trim(), '')
}

/** Handles a thread or process that ends between two reads. */
function ended<Value>(look: () => Value, otherwise: Value): Value {
  try {
    return look()
  } catch {
    return otherwise
  }
}
