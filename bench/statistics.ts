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

/** Each value by the one of the same round: the machine is as busy for the one as for the other. */
export function ratios(values: readonly number[], references: readonly number[]): Spread {
  return spread(values.map((value, round) => value / at(references, round)))
}

function at(values: readonly number[], index: number): number {
  const value = values[index]
  if (value === undefined) throw new RangeError(`no measurement ${index} of ${values.length}`)
  return value
}
