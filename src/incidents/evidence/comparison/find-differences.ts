import { effectiveSize, fisherTail, logLikelihoodRatio, lowestOddsRatio, type Table } from './statistics'

/** One sampled request. */
export interface Row {
  /** By dimension, such as `target`. */
  readonly values: Readonly<Record<string, string>>
  /** Requests that it stands for. */
  readonly weight: number
}

export interface Value {
  readonly dimension: string
  readonly value: string
}

/** What failing requests have in common and good ones do not. */
export interface Difference extends Value {
  /** Other values of the same requests: "release 1.4.2" if only that target runs it. */
  readonly alsoKnownAs: readonly Value[]
  /** Shares of the failing and of the good requests that have the value, 0 to 1. */
  readonly failingShare: number
  readonly goodShare: number
  /** Probability that any value stands out this much if failing depends on none of them. */
  readonly pValue: number
}

/** Minimum strength of a difference: weak ones mislead. */
export interface Bounds {
  /** Minimum share of the failing requests with the value; with fewer it explains too little. */
  readonly leastShare: number
  /** Minimum odds ratio of failing, at 95 % confidence. */
  readonly leastOddsRatio: number
}

/** Bounds for the comparison with good requests of the same time. */
export const SAME_TIME: Bounds = { leastShare: 0.3, leastOddsRatio: 1.5 }
/** Bounds for the comparison with the time before: traffic changes over time by itself. */
export const TIME_BEFORE: Bounds = { leastShare: 0.6, leastOddsRatio: 4 }

/**
 * Significance level. At most 1 false claim in a hundred comparisons without a cause is wanted, and independence is
 * never perfect.
 */
const ALPHA = 0.004
/** Minimum failing requests with a value. */
const LEAST_SUPPORT = 10
/** Minimum good requests; the exact test accounts for small numbers. */
const LEAST_GOOD = 6
/** Maximum effective sample size of each side; bounds the exact test. */
const MAX_EFFECTIVE = 2_000
/** Minimum overlap (Jaccard) of the requests of two values that count as names of one thing. */
const SAME = 0.9
/** Maximum causes named for one alert. */
const MAX_DIFFERENCES = 3

/**
 * Ranks what separates failing from good requests, the most likely cause first. Each further difference is searched
 * among the requests that the earlier ones do not explain. Empty if there is too little data.
 *
 * @param dimensions the nearest to a cause first: if several values select the same requests, the first one is the name
 */
export function findDifferences(
  failing: readonly Row[],
  good: readonly Row[],
  dimensions: readonly string[],
  bounds: Bounds,
): Difference[] {
  const differences: Difference[] = []
  let [restFailing, restGood] = [failing, good]
  while (differences.length < MAX_DIFFERENCES) {
    const found = findDifference(restFailing, restGood, dimensions, bounds)
    if (found === undefined) break
    const [failingShare, goodShare] = [shareOf(failing, found), shareOf(good, found)]
    differences.push({ ...found, failingShare, goodShare })
    restFailing = restFailing.filter(({ values }) => values[found.dimension] !== found.value)
    restGood = restGood.filter(({ values }) => values[found.dimension] !== found.value)
  }
  return differences
}

interface Candidate extends Value {
  readonly table: Table
  readonly support: number
  readonly tail: number
  /** Probability that it has enough support without being the cause. */
  readonly chanceOfSupport: number
}

/**
 * Dimensions that are known of some requests only: requests without a value may have any. With a smaller share of known
 * ones on either side, the dimension is left out.
 */
const PARTLY_KNOWN: ReadonlySet<string> = new Set(['release'])
const LEAST_KNOWN = 0.9

/** The value that separates the two groups best, with all its names. */
function findDifference(
  failing: readonly Row[],
  good: readonly Row[],
  dimensions: readonly string[],
  bounds: Bounds,
): Difference | undefined {
  if (failing.length < LEAST_SUPPORT || good.length < LEAST_GOOD) return undefined
  const candidates = candidatesOf(failing, good, dimensions, bounds)
  // Corrects for all values that could have stood out; each counts only by its chance of enough support.
  const familyWise = ({ tail }: Candidate): number =>
    candidates.reduce((sum, { chanceOfSupport }) => sum + Math.min(tail, chanceOfSupport), 0)
  const significant = candidates
    .filter(candidate => isStrong(candidate, bounds) && familyWise(candidate) <= ALPHA)
    .sort((a, b) => logLikelihoodRatio(b.table) - logLikelihoodRatio(a.table))
  const [best] = significant
  if (best === undefined) return undefined
  const rows = [...failing, ...good]
  const names = significant.filter(other => other === best || overlap(rows, best, other) >= SAME)
  const place = ({ dimension }: Value): number => dimensions.indexOf(dimension)
  const [name = best, ...others] = names.sort((a, b) => place(a) - place(b))
  return {
    dimension: name.dimension,
    value: name.value,
    alsoKnownAs: others.map(({ dimension, value }) => ({ dimension, value })),
    failingShare: shareOf(failing, name),
    goodShare: shareOf(good, name),
    pValue: familyWise(best),
  }
}

function isStrong({ support, table }: Candidate, { leastShare, leastOddsRatio }: Bounds): boolean {
  const { failingWith, failing } = table
  return support >= LEAST_SUPPORT && failingWith >= leastShare * failing && lowestOddsRatio(table) >= leastOddsRatio
}

function candidatesOf(
  failing: readonly Row[],
  good: readonly Row[],
  dimensions: readonly string[],
  { leastShare }: Bounds,
): Candidate[] {
  const [failingSize, goodSize] = [wholeSize(failing), wholeSize(good)]
  const leastFailing = Math.max(LEAST_SUPPORT, Math.ceil(leastShare * failingSize))
  return dimensions.flatMap(dimension => {
    if (!isKnownOf(failing, dimension) || !isKnownOf(good, dimension)) return []
    const [inFailing, inGood] = [tally(failing, dimension), tally(good, dimension)]
    return [...inFailing.byValue].map(([value, { weight, count }]): Candidate => {
      const table = {
        failing: failingSize,
        good: goodSize,
        failingWith: Math.round((failingSize * weight) / inFailing.total),
        goodWith: Math.round((goodSize * (inGood.byValue.get(value)?.weight ?? 0)) / inGood.total),
      }
      return {
        dimension,
        value,
        table,
        support: count,
        tail: fisherTail(table),
        chanceOfSupport: fisherTail(table, leastFailing),
      }
    })
  })
}

function wholeSize(rows: readonly Row[]): number {
  return Math.min(MAX_EFFECTIVE, Math.floor(effectiveSize(rows.map(({ weight }) => weight))))
}

interface Tally {
  /** Weight of all rows; of a dimension that is partly known, that of the rows with a value. */
  readonly total: number
  readonly byValue: ReadonlyMap<string, { readonly weight: number; readonly count: number }>
}

function tally(rows: readonly Row[], dimension: string): Tally {
  const byValue = new Map<string, { weight: number; count: number }>()
  let [total, known] = [0, 0]
  for (const { values, weight } of rows) {
    total += weight
    const value = values[dimension]
    if (value === undefined) continue
    known += weight
    const same = byValue.get(value)
    if (same === undefined) byValue.set(value, { weight, count: 1 })
    else {
      same.weight += weight
      same.count++
    }
  }
  return { total: PARTLY_KNOWN.has(dimension) ? known : total, byValue }
}

/** Whether enough rows have a value of a dimension that is partly known; of others, a missing value is a value too. */
export function isKnownOf(rows: readonly Row[], dimension: string): boolean {
  if (!PARTLY_KNOWN.has(dimension)) return true
  const { total } = tally(rows, dimension)
  return total >= LEAST_KNOWN * rows.reduce((sum, { weight }) => sum + weight, 0)
}

function shareOf(rows: readonly Row[], { dimension, value }: Value): number {
  let [having, total] = [0, 0]
  for (const { values, weight } of rows) {
    total += weight
    if (values[dimension] === value) having += weight
  }
  return total === 0 ? 0 : having / total
}

/** Jaccard index of the requests with one value and those with the other. */
function overlap(rows: readonly Row[], one: Value, other: Value): number {
  let [both, either] = [0, 0]
  for (const { values, weight } of rows) {
    const hasOne = values[one.dimension] === one.value
    const hasOther = values[other.dimension] === other.value
    if (hasOne && hasOther) both += weight
    if (hasOne || hasOther) either += weight
  }
  return either === 0 ? 0 : both / either
}
