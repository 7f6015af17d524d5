import type { TraceSummary } from './sources'

/** Requests that ended alike. */
export interface TraceGroup {
  readonly count: number
  readonly newest: TraceSummary
  readonly oldest: TraceSummary
}

/** Groups requests that ended alike, the largest group first. @param found newest first */
export function groupEqual(found: readonly TraceSummary[]): TraceGroup[] {
  const groups = new Map<string, TraceGroup & { count: number; oldest: TraceSummary }>()
  for (const trace of found) {
    const { route, upstream, method, status, outcome, reason } = trace
    const key = JSON.stringify([route, upstream, method, status, outcome, reason])
    const group = groups.get(key)
    if (group === undefined) groups.set(key, { newest: trace, oldest: trace, count: 1 })
    else {
      group.count++
      group.oldest = trace
    }
  }
  return [...groups.values()].sort((a, b) => b.count - a.count)
}
