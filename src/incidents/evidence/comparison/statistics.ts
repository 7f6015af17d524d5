/** Logarithms of factorials, computed on demand; counts are at most `MAX_EFFECTIVE` per side. */
const logFactorials = [0]

function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push((logFactorials[i - 1] ?? 0) + Math.log(i))
  return logFactorials[n] ?? 0
}

function logChoose(n: number, k: number): number {
  return logFactorial(n) - logFactorial(k) - logFactorial(n - k)
}

/** Two groups, each split by whether a request has the value. */
export interface Table {
  readonly failingWith: number
  readonly failing: number
  readonly goodWith: number
  readonly good: number
}

/**
 * Fisher's exact test, one-sided: the probability that `atLeast` or more of the failing have the value if failing does
 * not depend on it. All counts are whole.
 */
export function fisherTail({ failing, goodWith, good, failingWith }: Table, atLeast = failingWith): number {
  const all = failing + good
  const having = failingWith + goodWith
  const most = Math.min(failing, having)
  const denominator = logChoose(all, failing)
  let sum = 0
  for (let k = Math.max(atLeast, failing - (all - having)); k <= most; k++) {
    sum += Math.exp(logChoose(having, k) + logChoose(all - having, failing - k) - denominator)
  }
  return Math.min(1, sum)
}

/** Log-likelihood ratio (G): how much better the failures are explained with the value than without it. */
export function logLikelihoodRatio({ failingWith, failing, goodWith, good }: Table): number {
  const all = failing + good
  const having = failingWith + goodWith
  const cells = [
    [failingWith, failing, having],
    [failing - failingWith, failing, all - having],
    [goodWith, good, having],
    [good - goodWith, good, all - having],
  ] as const
  return (
    2 *
    cells.reduce((sum, [seen, row, column]) => sum + (seen > 0 ? seen * Math.log((seen * all) / (row * column)) : 0), 0)
  )
}

/** z of a 95 % interval. */
const Z = 1.96

/** Lower bound of the odds ratio (95 %); a half is added to each cell, because a zero count may be chance. */
export function lowestOddsRatio({ failingWith, failing, goodWith, good }: Table): number {
  const [a, b, c, d] = [failingWith + 0.5, failing - failingWith + 0.5, goodWith + 0.5, good - goodWith + 0.5]
  return Math.exp(Math.log((a * d) / (b * c)) - Z * Math.sqrt(1 / a + 1 / b + 1 / c + 1 / d))
}

/** Kish's effective sample size: the number of independent requests that a weighted sample is worth. */
export function effectiveSize(weights: readonly number[]): number {
  let [sum, squares] = [0, 0]
  for (const weight of weights) {
    sum += weight
    squares += weight * weight
  }
  return squares === 0 ? 0 : (sum * sum) / squares
}
