/** Maximum ratio of retries to requests, so that retries do not double the load of a failing upstream. */
const EXTRA = 0.2
/** Retries that are always allowed in a window, because the ratio would allow none for few requests. */
const FLOOR = 10
/** Half of the window. Two halves are counted, so that the budget is not reset all at once. */
const HALF_WINDOW_MS = 5_000

/**
 * Limits the retries of an upstream to `EXTRA` of the requests of the last 5 to 10 s, or to `FLOOR` if that is more.
 */
export class RetryBudget {
  #since = 0
  #requests = 0
  #retries = 0
  #earlierRequests = 0
  #earlierRetries = 0

  /** Counts a request at `now` (ms, monotonic). */
  countRequest(now: number): void {
    if (now - this.#since >= HALF_WINDOW_MS) this.#rotate(now)
    this.#requests++
  }

  /** Takes one retry from the budget; returns false if it is exhausted. */
  take(now: number): boolean {
    if (now - this.#since >= HALF_WINDOW_MS) this.#rotate(now)
    const allowed = Math.max(FLOOR, EXTRA * (this.#requests + this.#earlierRequests))
    if (this.#retries + this.#earlierRetries + 1 > allowed) return false
    this.#retries++
    return true
  }

  #rotate(now: number): void {
    const isNext = now - this.#since < 2 * HALF_WINDOW_MS
    this.#earlierRequests = isNext ? this.#requests : 0
    this.#earlierRetries = isNext ? this.#retries : 0
    this.#requests = 0
    this.#retries = 0
    this.#since = now
  }
}
