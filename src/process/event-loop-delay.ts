/**
 * How late the event loop was, second by second: while it stands still (a blocked call, a machine that gives the process no
 * time), connections wait in the kernel and nothing here sees them, so that the duration of their requests begins too late.
 */
export class EventLoopDelay {
  readonly #now: () => number
  /** The largest delay that was noticed in each second, and which second that is; the oldest is written over. */
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

  /** To be called every `PERIOD_MS`. */
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
   * The largest delay that a request can have waited for, in milliseconds: noticed from a second before it was seen until now;
   * of one that took longer than a minute, in the last minute. 0 where none was worth a word.
   *
   * @param startedAt when it was seen, on the same clock
   */
  during(startedAt: number): number {
    const now = this.#now()
    // What is not noticed yet: the loop does not get to its timers before this.
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
/** Shorter ones are on every busy machine, and say nothing about a request. */
export const WORTH_A_WORD_MS = 250
const SECONDS = 64

/** That of this process: there is one event loop. */
export const eventLoopDelay = new EventLoopDelay()
