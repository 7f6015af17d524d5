/**
 * The candidate that differs from `name` by the fewest typing mistakes, when it is few enough to be meant.
 *
 * @returns undefined when nothing is near: suggesting `console` for `jaeger` would only mislead
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

/** Levenshtein distance: letters to insert, delete or replace. */
function typingMistakes(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const replaced = previous[column - 1]! + (from[row - 1] === to[column - 1] ? 0 : 1)
      current.push(Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[to.length]!
}
