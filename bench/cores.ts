import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The cores of the measured process and of everything else: clients, upstream, OTLP sink and the bench itself. */
export interface Cores {
  readonly measured: number
  readonly others: number
}

/** @returns undefined with a single core or without `taskset`: then nothing is pinned, and the report says so */
export function findCores(): Cores | undefined {
  const allowed = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  const [measured, others] = listed(allowed)
  if (measured === undefined || others === undefined) return undefined
  try {
    // Pins the bench itself, with all its threads.
    execFileSync('taskset', ['-a', '-p', '-c', String(others), String(process.pid)], { stdio: 'ignore' })
  } catch {
    return undefined
  }
  return { measured, others }
}

/** Parses a list of cores: `0-2,5` is 0, 1, 2 and 5. */
function listed(ranges: string): number[] {
  return ranges.split(',').flatMap(range => {
    const [first = NaN, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}
