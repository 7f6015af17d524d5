/** Part of the requests that may come on top as retries: an upstream in trouble must not get twice the load for it. */
const EXTRA = 0.2
/** Retries allowed in each window however few requests there are; else the first of the day could never be tried again. */
const FLOOR = 10
/** Two of these are looked at, so that the bound does not begin anew all at once. */
const HALF_WINDOW_MS = 5_000

/** Bounds what retries add to an upstream's load: `EXTRA` of the requests of the last 5 to 10 s, or `FLOOR`. */
export class RetryBudget {
  #since = 0
  #requests = 0
  #retries = 0
  #earlierRequests = 0
  #earlierRetries = 0

  /** A request came, at `now` (ms, monotonic). */
  countRequest(now: number): void {
    if (now - this.#since >= HALF_WINDOW_MS) this.#turn(now)
    this.#requests++
  }

  /** Takes one retry out of the budget; false when it is spent. */
  take(now: number): boolean {
    if (now - this.#since >= HALF_WINDOW_MS) this.#turn(now)
    const allowed = Math.max(FLOOR, EXTRA * (this.#requests + this.#earlierRequests))
    if (this.#retries + this.#earlierRetries + 1 > allowed) return false
    this.#retries++
    return true
  }

  #turn(now: number): void {
    const isNext = now - this.#since < 2 * HALF_WINDOW_MS
    this.#earlierRequests = isNext ? this.#requests : 0
    this.#earlierRetries = isNext ? this.#retries : 0
    this.#requests = 0
    this.#retries = 0
    this.#since = now
  }
}
