/** A Redis that becomes too slow again within this time was reinstated too early. */
const STEADY_MS = 60_000
/** Maximum number of fast probes in a row that are required: about 12 s at the probe interval. */
const MAX_PROBES = 32

/**
 * Decides when a Redis that was too slow is fast enough again. Replies must arrive in half the time that a request may
 * wait, and each relapse doubles the number of fast replies required in a row. Without this, a Redis near the limit
 * would alternate between available and unavailable, and each change would cost a request the whole timeout.
 */
export class Calm {
  readonly #boundMs: number
  #needed = 1
  #left = 0
  #backAt = -Infinity

  constructor(timeoutMs: number) {
    this.#boundMs = timeoutMs / 2
  }

  /** Records a command that timed out; `wasUsable` if requests were using Redis. */
  tooSlow(wasUsable: boolean, now = performance.now()): void {
    if (wasUsable) this.#needed = now - this.#backAt < STEADY_MS ? Math.min(MAX_PROBES, this.#needed * 2) : 1
    this.#left = this.#needed
  }

  /**
   * Records the reply to a probe; returns whether Redis is fast enough. Any reply suffices if it was not too slow
   * before.
   */
  isOver(answeredInMs: number): boolean {
    if (this.#left === 0) return true
    this.#left = answeredInMs <= this.#boundMs ? this.#left - 1 : this.#needed
    return this.#left === 0
  }

  /** Records that requests use Redis again. */
  back(now = performance.now()): void {
    this.#backAt = now
  }
}
