/**
 * The candidate that differs from `name` by the fewest typing mistakes, if they are few enough.
 *
 * @returns undefined when no candidate is near: suggesting `console` for `jaeger` would only mislead
 */
export function nearest(
  name: string,
  candidates: readonly string[],
  mostMistakes = Math.max(1, Math.floor(name.length / 3)),
): string | undefined {
  const wanted = name.toLowerCase()
  let best: string | undefined
  let bestDistance = mostMistakes + 1
  for (const candidate of candidates) {
    const distance = typingMistakes(wanted, candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Number of letters to insert, delete, replace or swap with their neighbour (optimal string alignment distance). */
function typingMistakes(from: string, to: string): number {
  const firstRow = Array.from({ length: to.length + 1 }, (_, index) => index)
  const rows = [firstRow]
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1)
      const swaps = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      const swapped = swaps ? rows[i - 2]![j - 2]! + 1 : Infinity
      row.push(Math.min(replaced, rows[i - 1]![j]! + 1, row[j - 1]! + 1, swapped))
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}
