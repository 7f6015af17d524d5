/** Runs of what failed that shrinking may cost. */
const MAX_RUNS = 400
const MAX_MS = 45_000

/**
 * The shortest input found that still fails: pieces are left out, half of the input first, single characters last (delta
 * debugging).
 */
export async function shrink(input: string, fails: (shorter: string) => Promise<boolean>): Promise<string> {
  const endsAt = performance.now() + MAX_MS
  let smallest = input
  let runs = 0
  for (let size = Math.ceil(smallest.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length;) {
      if (runs++ >= MAX_RUNS || performance.now() > endsAt) return smallest
      const shorter = smallest.slice(0, at) + smallest.slice(at + size)
      if (await fails(shorter)) smallest = shorter
      else at += size
    }
  }
  return smallest
}
