/** A Redis that becomes too slow again within this time was taken back too early. */
const STEADY_MS = 60_000
/** Quick probes in a row, at most: some 12 s at the pace of the probes. */
const MAX_PROBES = 32

/**
 * Decides when a Redis that was too slow is quick again. Answers must come in half of the time that a request may wait, and
 * after each relapse twice as many of them in a row: a Redis around the bound would otherwise be away and back all the time,
 * and cost a request the whole bound each time.
 */
export class Calm {
  readonly #boundMs: number
  #needed = 1
  #left = 0
  #backAt = -Infinity

  constructor(timeoutMs: number) {
    this.#boundMs = timeoutMs / 2
  }

  /** A command was not answered in time; `wasUsable` where requests asked. */
  tooSlow(wasUsable: boolean, now = performance.now()): void {
    if (wasUsable) this.#needed = now - this.#backAt < STEADY_MS ? Math.min(MAX_PROBES, this.#needed * 2) : 1
    this.#left = this.#needed
  }

  /** A probe was answered; returns whether Redis is quick again. Where it was not too slow, any answer will do. */
  isOver(answeredInMs: number): boolean {
    if (this.#left === 0) return true
    this.#left = answeredInMs <= this.#boundMs ? this.#left - 1 : this.#needed
    return this.#left === 0
  }

  /** Requests ask again. */
  back(now = performance.now()): void {
    this.#backAt = now
  }
}
