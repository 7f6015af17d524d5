/**
 * Records the event loop's delay for each second. While the loop is blocked (a blocking call, a starved CPU), connections
 * wait in the kernel unseen, so the measured duration of their requests starts too late.
 */
export class EventLoopDelay {
  readonly #now: () => number
  /** Largest delay of each second, with that second's number; a ring buffer. */
  readonly #delays = new Float64Array(SECONDS)
  readonly #seconds = new Float64Array(SECONDS).fill(-1)
  #due: number
  #timer: NodeJS.Timeout | undefined

  /** @param now milliseconds on a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
    this.#due = now() + PERIOD_MS
  }

  start(): void {
    this.#due = this.#now() + PERIOD_MS
    this.#timer ??= setInterval(() => this.tick(), PERIOD_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Measures the delay. Call it every `PERIOD_MS`. */
  tick(): void {
    const now = this.#now()
    const second = Math.floor(now / 1_000)
    const index = second % SECONDS
    if (this.#seconds[index] !== second) {
      this.#seconds[index] = second
      this.#delays[index] = 0
    }
    this.#delays[index] = Math.max(this.#delays[index]!, now - this.#due)
    this.#due = now + PERIOD_MS
  }

  /**
   * Returns the largest delay that can have affected a request, in milliseconds: from a second before its start until now, or
   * of the last minute if it took longer. 0 if no delay reached `WORTH_A_WORD_MS`.
   *
   * @param startedAt start of the request on the same clock
   * @param now reading of the same clock
   */
  during(startedAt: number, now = this.#now()): number {
    // Includes a delay whose tick is still due: this code may run before the loop's timers.
    let largest = this.#timer === undefined ? 0 : now - this.#due
    const last = Math.floor(now / 1_000)
    const first = Math.max(Math.floor(startedAt / 1_000) - 1, last - SECONDS + 1, 0)
    for (let second = first; second <= last; second++) {
      const index = second % SECONDS
      if (this.#seconds[index] === second && this.#delays[index]! > largest) largest = this.#delays[index]!
    }
    return largest < WORTH_A_WORD_MS ? 0 : Math.round(largest)
  }
}

export const PERIOD_MS = 50
/** Smallest delay that is reported: shorter ones occur on every busy machine. */
export const WORTH_A_WORD_MS = 250
const SECONDS = 64

/** Event loop delay of this process. */
export const eventLoopDelay = new EventLoopDelay()
