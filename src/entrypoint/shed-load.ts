import type { OverloadConfig } from '../config/types'
import type { Logger } from '../telemetry/logger'

/** Interval of measuring the event loop. */
const LOOK_EVERY_MS = 100
/** Steps by which the rejected share grows while the event loop is late, and shrinks when it is on time. */
const RISE = 0.2
const FALL = 0.02
/** Some requests always pass, to detect the end of the overload and so that a bound set too low is not an outage. */
const LARGEST_SHARE = 0.95
/** Measurements without a refusal after which the overload is over. */
const QUIET_LOOKS = 50
/** Range of `Retry-After` in seconds, spread so that clients do not all return at once. */
const RETRY_AFTER_S = { least: 1, spread: 4 }

/**
 * Rejects requests under overload: all above a number in flight, and of the others a share that grows while the event loop
 * is late and shrinks slowly afterwards. Rejecting all would oscillate: an idle loop recovers at once, and the whole load
 * returns.
 */
export class LoadShedder {
  readonly #limits: OverloadConfig
  readonly #log: Logger
  readonly #random: () => number
  readonly #timer: NodeJS.Timeout | undefined
  /** Smoothed delay: one long garbage collection is not overload. */
  #delayMs = 0
  #share = 0
  #rejected = 0
  #rejectedAtLastLook = 0
  #quietLooks = 0
  #isShedding = false

  constructor(limits: OverloadConfig, log: Logger, random: () => number = Math.random) {
    this.#limits = limits
    this.#log = log
    this.#random = random
    if (limits.maxRequests > 0 || limits.maxEventLoopDelayMs > 0)
      this.#timer = watchEventLoop(delayMs => this.look(delayMs))
  }

  /** Returns whether to reject the next request. */
  rejects(inFlight: number): boolean {
    const { maxRequests } = this.#limits
    const isTooMuch = (maxRequests > 0 && inFlight >= maxRequests) || (this.#share > 0 && this.#random() < this.#share)
    if (isTooMuch) this.#noteRefusal(inFlight)
    return isTooMuch
  }

  /** Returns `Retry-After` for a rejected request, in whole seconds. */
  retryAfter(): number {
    return RETRY_AFTER_S.least + Math.floor(this.#random() * (RETRY_AFTER_S.spread + 1))
  }

  /** Records a measurement. @param delayMs delay of the event loop */
  look(delayMs: number): void {
    const { maxEventLoopDelayMs: most } = this.#limits
    // Capped, so that one long stop of the process does not count for long: shedding takes two late measurements in a row.
    this.#delayMs = (this.#delayMs + Math.min(delayMs, 1.5 * most)) / 2
    if (most > 0 && this.#delayMs > most) this.#share = Math.min(LARGEST_SHARE, this.#share + RISE)
    // Between half the bound and the bound the share does not change.
    else if (this.#delayMs < most / 2) this.#share = Math.max(0, this.#share - FALL)
    this.#quietLooks = this.#rejected === this.#rejectedAtLastLook ? this.#quietLooks + 1 : 0
    this.#rejectedAtLastLook = this.#rejected
    if (this.#isShedding && this.#quietLooks >= QUIET_LOOKS) this.#end()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Logs the start and end of shedding, not each request: logging would add load. */
  #noteRefusal(inFlight: number): void {
    this.#rejected++
    if (this.#isShedding) return
    this.#isShedding = true
    const delay = Math.round(this.#delayMs)
    this.#log.warn(
      { event: 'shedding', in_flight: inFlight, event_loop_delay_ms: delay },
      'overloaded: shedding requests',
    )
  }

  #end(): void {
    this.#log.info({ event: 'shedding', turned_away: this.#rejected }, 'no longer shedding requests')
    this.#isShedding = false
    this.#rejected = 0
    this.#rejectedAtLastLook = 0
  }
}

/** Measures the event loop by a timer. Node's delay histogram would sample ten times as often and still need polling. */
function watchEventLoop(onLook: (delayMs: number) => void): NodeJS.Timeout {
  let lookedAt = performance.now()
  return setInterval(() => {
    const now = performance.now()
    onLook(Math.max(0, now - lookedAt - LOOK_EVERY_MS))
    lookedAt = now
  }, LOOK_EVERY_MS).unref()
}
