/**
 * Number of latency buckets. Each is a quarter (2^⅓) wider than the previous: from below 0.1 ms in the first to above
 * two and a half minutes in the last. The error of a quantile is at most a quarter, usually a few per cent.
 */
export const LATENCY_BUCKETS = 64

const LOWEST_MS = 0.1
const PER_DOUBLING = 3

/** Returns the bucket index of a latency, from 0. */
export function latencyBucket(ms: number): number {
  if (!(ms >= LOWEST_MS)) return 0
  const bucket = 1 + Math.floor(Math.log2(ms / LOWEST_MS) * PER_DOUBLING)
  return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1
}

/**
 * Returns the latency quantile for the given share in milliseconds; undefined without requests.
 *
 * @param counts one for each bucket
 */
export function latencyQuantile(counts: ArrayLike<number>, share: number): number | undefined {
  let total = 0
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) total += counts[bucket] ?? 0
  if (total === 0) return undefined
  const rank = share * total
  let below = 0
  for (let bucket = 0; bucket < LATENCY_BUCKETS; bucket++) {
    const count = counts[bucket] ?? 0
    if (count > 0 && below + count >= rank) return withinBucket(bucket, (rank - below) / count)
    below += count
  }
  return undefined
}

/**
 * Returns how many latencies are above a threshold. The bucket that contains it is divided on its logarithmic scale.
 *
 * @param counts one for each bucket
 */
export function slowerThan(counts: ArrayLike<number>, ms: number): number {
  const split = latencyBucket(ms)
  let slower = 0
  for (let bucket = split + 1; bucket < LATENCY_BUCKETS; bucket++) slower += counts[bucket] ?? 0
  const position = split === 0 ? ms / LOWEST_MS : 1 + Math.log2(ms / LOWEST_MS) * PER_DOUBLING - split
  return slower + (counts[split] ?? 0) * (1 - Math.min(1, Math.max(0, position)))
}

/** Interpolates within a bucket, on its logarithmic scale. */
function withinBucket(bucket: number, part: number): number {
  if (bucket === 0) return LOWEST_MS * part
  return LOWEST_MS * 2 ** ((bucket - 1 + part) / PER_DOUBLING)
}
