import { readFileSync, readdirSync } from 'node:fs'

/** From /proc: tests that ask for it run on Linux. */
function statusOf(pid: number | string): { state: string; parent: number } | undefined {
  try {
    // "PID (NAME) STATE PARENT …"; the name may hold anything, so what counts starts after its bracket.
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    return { state, parent: Number(parent) }
  } catch {
    return undefined
  }
}

/** The processes that `pid` started and that have not ended. */
export function childrenOf(pid: number): number[] {
  const pids = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  return pids.filter(entry => statusOf(entry)?.parent === pid).map(Number)
}

/** A zombie has ended; that nobody has asked for its exit code yet is not its doing. */
export function isAlive(pid: number): boolean {
  const status = statusOf(pid)
  return status !== undefined && status.state !== 'Z'
}
