/** Several measurements of the same thing: the middle one, and how far they lie apart. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  const median = (at(sorted, Math.floor(middle)) + at(sorted, Math.ceil(middle))) / 2
  return { median, min: at(sorted, 0), max: at(sorted, sorted.length - 1) }
}

/**
 * The middle of all rounds, and how far the launches lie apart: the same program costs up to a third more or less from one
 * process to the next, as V8 happens to compile it, and no number of rounds in one process shows that. With one launch,
 * how far its rounds lie apart.
 */
export function spreadOfLaunches(launches: readonly (readonly number[])[]): Spread {
  const all = spread(launches.flat())
  if (launches.length === 1) return all
  const { min, max } = spread(launches.map(rounds => spread(rounds).median))
  return { median: all.median, min, max }
}

/** Each value by the one of the same round: the machine is as busy for the one as for the other. */
export function ratios(
  values: readonly (readonly number[])[],
  references: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  return values.map((rounds, launch) => rounds.map((value, round) => value / at(references[launch] ?? [], round)))
}

function at(values: readonly number[], index: number): number {
  const value = values[index]
  if (value === undefined) throw new RangeError(`no measurement ${index} of ${values.length}`)
  return value
}
