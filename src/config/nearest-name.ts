/**
 * The candidate that a mistyped name probably means, or undefined if none is near: at most one edit per four characters
 * (and always one), so that `limt` finds `limit` and `cat` does not find `key`.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  const typed = name.toLowerCase()
  const farthest = Math.max(1, Math.floor(typed.length / 4))
  let nearest: string | undefined
  let best = farthest + 1
  for (const candidate of candidates) {
    const distance = editDistance(typed, candidate.toLowerCase(), best)
    if (distance < best) {
      best = distance
      nearest = candidate
    }
  }
  return nearest
}

/**
 * Optimal string alignment distance: insertions, deletions, substitutions and swapped neighbours count one each.
 * Returns `limit` as soon as the distance cannot be lower.
 */
export function editDistance(a: string, b: string, limit = Number.POSITIVE_INFINITY): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1]
      let cost = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
      )
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (swapped) cost = Math.min(cost, (beforeLast[column - 2] ?? 0) + 1)
      current.push(cost)
    }
    if (Math.min(...current) >= limit) return limit
    beforeLast = last
    last = current
  }
  return last[b.length] ?? 0
}
