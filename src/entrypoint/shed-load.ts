import type { OverloadConfig } from '../config/types'
import type { Logger } from '../telemetry/logger'

/** From one look at the event loop to the next. */
const LOOK_EVERY_MS = 100
/** By how much the share that is turned away grows with each look at a loop that is too late, and shrinks when it is well. */
const RISE = 0.2
const FALL = 0.02
/** Some always pass: nobody would learn otherwise that it is over, and a bound that is set too low is no outage. */
const LARGEST_SHARE = 0.95
/** Looks without a refusal after which it is over. */
const QUIET_LOOKS = 50
/** Seconds after which to come back: spread, or all would come back at once. */
const RETRY_AFTER_S = { least: 1, spread: 4 }

/**
 * Turns requests away before there are more than can be served: all above a number in flight, and of all others a share that
 * grows for as long as the event loop is late, and shrinks slowly when it no longer is. All or nothing would swing: with
 * nothing to do the loop is well at once, and everything comes back.
 */
export class LoadShedder {
  readonly #limits: OverloadConfig
  readonly #log: Logger
  readonly #random: () => number
  readonly #timer: NodeJS.Timeout | undefined
  /** Smoothed: one long garbage collection is no overload. */
  #delayMs = 0
  #share = 0
  #turnedAway = 0
  #turnedAwayAtLastLook = 0
  #quietLooks = 0
  #isShedding = false

  constructor(limits: OverloadConfig, log: Logger, random: () => number = Math.random) {
    this.#limits = limits
    this.#log = log
    this.#random = random
    if (limits.maxRequests > 0 || limits.maxEventLoopDelayMs > 0)
      this.#timer = watchEventLoop(delayMs => this.look(delayMs))
  }

  /** Whether one more is too much. */
  rejects(inFlight: number): boolean {
    const { maxRequests } = this.#limits
    const isTooMuch = (maxRequests > 0 && inFlight >= maxRequests) || (this.#share > 0 && this.#random() < this.#share)
    if (isTooMuch) this.#noteRefusal(inFlight)
    return isTooMuch
  }

  /** When whoever was turned away may try again, in whole seconds. */
  retryAfter(): number {
    return RETRY_AFTER_S.least + Math.floor(this.#random() * (RETRY_AFTER_S.spread + 1))
  }

  /** @param delayMs how much later than it should have the event loop came to look */
  look(delayMs: number): void {
    const { maxEventLoopDelayMs: most } = this.#limits
    // Cut off, so that a process that was stopped for an hour does not remember it: it takes two late looks in a row.
    this.#delayMs = (this.#delayMs + Math.min(delayMs, 1.5 * most)) / 2
    if (most > 0 && this.#delayMs > most) this.#share = Math.min(LARGEST_SHARE, this.#share + RISE)
    // Between half the bound and the bound it stays as it is: whatever happens there is no reason to change anything.
    else if (this.#delayMs < most / 2) this.#share = Math.max(0, this.#share - FALL)
    this.#quietLooks = this.#turnedAway === this.#turnedAwayAtLastLook ? this.#quietLooks + 1 : 0
    this.#turnedAwayAtLastLook = this.#turnedAway
    if (this.#isShedding && this.#quietLooks >= QUIET_LOOKS) this.#end()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** A line for each time it begins and ends, not for each request: writing them would be load as well. */
  #noteRefusal(inFlight: number): void {
    this.#turnedAway++
    if (this.#isShedding) return
    this.#isShedding = true
    const delay = Math.round(this.#delayMs)
    this.#log.warn(
      { event: 'shedding', in_flight: inFlight, event_loop_delay_ms: delay },
      'overloaded: shedding requests',
    )
  }

  #end(): void {
    this.#log.info({ event: 'shedding', turned_away: this.#turnedAway }, 'no longer shedding requests')
    this.#isShedding = false
    this.#turnedAway = 0
    this.#turnedAwayAtLastLook = 0
  }
}

/** Node's histogram of delays would be sampled ten times as often, and has to be read all the same. */
function watchEventLoop(onLook: (delayMs: number) => void): NodeJS.Timeout {
  let lookedAt = performance.now()
  return setInterval(() => {
    const now = performance.now()
    onLook(Math.max(0, now - lookedAt - LOOK_EVERY_MS))
    lookedAt = now
  }, LOOK_EVERY_MS).unref()
}
