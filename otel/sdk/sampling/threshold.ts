/**
 * Consistent probability sampling: a trace is sampled if its randomness, a number of 56 bits that all its services
 * know, is not below the threshold of the wanted probability. Both are written as hexadecimal digits of one length, so
 * that comparing the texts compares the numbers: https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/
 */

/** Digits of a threshold and of randomness: 56 bits. */
const DIGITS = 14
/** Digits after the leading `f`s that are kept, as the specification recommends: an error below 0.01 %. */
const PRECISION = 4
const RANGE = 2n ** 56n

/** The rejection threshold of 14 hexadecimal digits. */
export type Threshold = string

/** The threshold that samples every trace. */
export const SAMPLES_ALL: Threshold = '0'.repeat(DIGITS)

/** @returns undefined if no trace is sampled: the ratio is 0, or too small for 56 bits */
export function thresholdOf(ratio: number): Threshold | undefined {
  if (ratio >= 1) return SAMPLES_ALL
  const accepted = BigInt(Math.round(ratio * 2 ** 56))
  if (accepted <= 0n) return undefined
  const exact = (RANGE - accepted).toString(16).padStart(DIGITS, '0')
  const kept = (/^f*/.exec(exact)?.[0].length ?? 0) + PRECISION
  if (kept >= DIGITS) return exact
  const unit = 16n ** BigInt(DIGITS - kept)
  const rounded = ((RANGE - accepted + unit / 2n) / unit) * unit
  return rounded >= RANGE ? exact : rounded.toString(16).padStart(DIGITS, '0')
}

/** The randomness of a trace: what its origin chose (`rv`), else the last 56 bits of its id. */
export function randomnessOf(traceId: string, chosen: string | undefined): string {
  return chosen ?? traceId.slice(-DIGITS)
}

export function isSampledBy(threshold: Threshold | undefined, randomness: string): boolean {
  return threshold !== undefined && randomness >= threshold
}

/** How `tracestate` writes it: without trailing zeros. */
export function writtenThreshold(threshold: Threshold): string {
  return threshold.replace(/0+$/, '') || '0'
}

/** @returns undefined if the text is no threshold */
export function readThreshold(text: string): Threshold | undefined {
  return /^[0-9a-f]{1,14}$/.test(text) ? text.padEnd(DIGITS, '0') : undefined
}
