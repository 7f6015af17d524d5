/** Several measurements of the same thing: their median and range. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return (valueAt(sorted, Math.floor(middle)) + valueAt(sorted, Math.ceil(middle))) / 2
}

/** The smallest value that at least this share of all values does not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return valueAt(sorted, Math.max(Math.ceil(sorted.length * share), 1) - 1)
}

/**
 * The spread between launches, each one represented by the median of its rounds. Two processes of one program differ more than the rounds of
 * one process, so more rounds alone cannot show the error. With a single launch: the spread of its rounds.
 */
export function spreadOfLaunches(launches: readonly (readonly number[])[]): Spread {
  const [only, second] = launches
  return spread(only !== undefined && second === undefined ? only : launches.map(median))
}

/** A measurement of the reference, at the middle of its slice. */
export interface Sample {
  readonly at: number
  readonly value: number
}

/**
 * Estimates the cost of the reference at a time, by linear interpolation between the measurements before and after it.
 * Outside of all measurements: the nearest.
 *
 * @param samples in order of time
 */
export function interpolate(samples: readonly Sample[], at: number): number {
  const next = samples.findIndex(sample => sample.at >= at)
  const after = samples.at(next)
  const before = next > 0 ? samples[next - 1] : after
  if (before === undefined || after === undefined) throw new RangeError('the reference was never measured')
  if (before.at === after.at) return after.value
  return before.value + ((after.value - before.value) * (at - before.at)) / (after.at - before.at)
}

/** A mean of ratios with its 95 % confidence interval. */
export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
}

/** Student's t, 97.5 % quantile, by degrees of freedom from 1. Beyond the last: 2. */
const STUDENT = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13]

/** Geometric mean of independent ratios, one per launch, with its 95 % confidence interval; undefined for fewer than two. */
export function meanRatio(ratios: readonly number[]): Interval | undefined {
  if (ratios.length < 2) return undefined
  const logs = ratios.map(Math.log)
  const mean = sum(logs) / logs.length
  const variance = sum(logs.map(log => (log - mean) ** 2)) / (logs.length - 1)
  const margin = (STUDENT[logs.length - 2] ?? 2) * Math.sqrt(variance / logs.length)
  return { mean: Math.exp(mean), low: Math.exp(mean - margin), high: Math.exp(mean + margin) }
}

/** Divides each value by the one of the same launch and round. */
export function ratios(
  values: readonly (readonly number[])[],
  references: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  return values.map((rounds, launch) => rounds.map((value, round) => value / valueAt(references[launch] ?? [], round)))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function valueAt(values: readonly number[], index: number): number {
  const value = values[index]
  if (value === undefined) throw new RangeError(`no measurement ${index} of ${values.length}`)
  return value
}
