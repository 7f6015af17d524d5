/** A call whose silence is watched. */
export interface TimedCall {
  /** The client owes the next bytes: it has not sent the rest of its body, or does not read what is there for it. */
  readonly isClientsTurn: boolean
  onSilence(who: 'client' | 'upstream'): void
}

export interface SilenceLimits {
  /** How long the upstream may keep silent when it is its turn. */
  readonly upstreamMs: number
  /** How long the client may, looked at every `upstreamMs`. */
  readonly clientMs: number
}

/**
 * Ends a call in which nothing moves any more. Not undici's timeouts: those look every half second at the soonest, and take
 * a client that uploads slowly for an upstream that does not answer.
 */
export class CallTimer {
  readonly #call: TimedCall
  readonly #limits: SilenceLimits
  #timer: NodeJS.Timeout | undefined
  #movements = 0
  #clientSilentMs = 0
  #upstreamMs: number

  constructor(call: TimedCall, limits: SilenceLimits) {
    this.#call = call
    this.#limits = limits
    this.#upstreamMs = limits.upstreamMs
  }

  start(): void {
    this.#timer = setTimeout(onTimeout, this.#upstreamMs, this)
  }

  /** Bytes went one way or the other. */
  moved(): void {
    this.#movements++
    this.#clientSilentMs = 0
    this.#timer?.refresh()
  }

  /** From here on the upstream may keep silent for as long as this. */
  allow(upstreamMs: number): void {
    if (upstreamMs === this.#upstreamMs) return
    this.#upstreamMs = upstreamMs
    this.stop()
    this.start()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Timers come first after a pause of this very process, and only then what has arrived meanwhile: that is waited for. */
  onTimeout(): void {
    const movements = this.#movements
    setImmediate(() => {
      if (this.#timer !== undefined && this.#movements === movements) this.#judge()
    })
  }

  #judge(): void {
    if (!this.#call.isClientsTurn) return this.#call.onSilence('upstream')
    this.#clientSilentMs += this.#upstreamMs
    if (this.#clientSilentMs >= this.#limits.clientMs) return this.#call.onSilence('client')
    this.#timer?.refresh()
  }
}

function onTimeout(timer: CallTimer): void {
  timer.onTimeout()
}
