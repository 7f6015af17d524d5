/** Maximum buckets. Routes × reasons are bounded by the configuration; this limit holds if they are not. */
const MAX_BUCKETS = 4_096

interface Bucket {
  tokens: number
  refilledAt: number
}

/**
 * Limits the traces kept per second for each route and reason, so that an outage does not double its own load. A full
 * bucket holds the traces of two seconds and at least one: the first of each kind is always kept.
 */
export class KeepBudget {
  readonly #perSecond: number
  readonly #capacity: number
  readonly #buckets = new Map<string, Bucket>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
    this.#capacity = Math.max(1, perSecond * 2)
  }

  /** @param now milliseconds on any monotonic clock */
  take(route: string, reason: string, now: number): boolean {
    const bucket = this.#bucket(`${route}\0${reason}`, now)
    bucket.tokens = Math.min(this.#capacity, bucket.tokens + ((now - bucket.refilledAt) / 1_000) * this.#perSecond)
    bucket.refilledAt = now
    if (bucket.tokens < 1) return false
    bucket.tokens--
    return true
  }

  #bucket(key: string, now: number): Bucket {
    let bucket = this.#buckets.get(key)
    if (!bucket) {
      if (this.#buckets.size >= MAX_BUCKETS) this.#buckets.clear()
      this.#buckets.set(key, (bucket = { tokens: this.#capacity, refilledAt: now }))
    }
    return bucket
  }
}
