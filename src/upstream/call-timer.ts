import { context, ROOT_CONTEXT } from '@opentelemetry/api'

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
  readonly #watch: SilenceWatch
  #clientSilentMs = 0
  #upstreamMs: number
  /** On the monotonic clock: when it will have been silent for too long. */
  dueAt = 0
  /** Index among those that are watched; -1 while it does not run. */
  place = -1

  constructor(call: TimedCall, limits: SilenceLimits, watch = WATCH) {
    this.#call = call
    this.#limits = limits
    this.#watch = watch
    this.#upstreamMs = limits.upstreamMs
  }

  start(): void {
    this.dueAt = performance.now() + this.#upstreamMs
    this.#watch.add(this)
  }

  /** Bytes went one way or the other. */
  moved(): void {
    this.#clientSilentMs = 0
    this.dueAt = performance.now() + this.#upstreamMs
  }

  /** From here on the upstream may keep silent for as long as this. */
  allow(upstreamMs: number): void {
    if (upstreamMs === this.#upstreamMs) return
    this.#upstreamMs = upstreamMs
    this.dueAt = performance.now() + upstreamMs
    if (this.place !== -1) this.#watch.expect(this.dueAt)
  }

  stop(): void {
    if (this.place !== -1) this.#watch.delete(this)
  }

  /** It has been silent for as long as it may: whose turn was it? */
  judge(now: number): void {
    const { isClientsTurn } = this.#call
    if (isClientsTurn) this.#clientSilentMs += this.#upstreamMs
    if (isClientsTurn && this.#clientSilentMs < this.#limits.clientMs) {
      this.dueAt = now + this.#upstreamMs
      return
    }
    this.dueAt = Infinity // said once
    this.#call.onSilence(isClientsTurn ? 'client' : 'upstream')
  }
}

/** From one look to the next: with thousands of calls that wait, looking at all of them whenever one is due would be work. */
const LEAST_PAUSE_MS = 10
/** Timers of the event loop go by whole milliseconds, and may come that much too early. */
const EARLY_MS = 1

/**
 * Looks at all calls under way when the first of them is due. A timer for each of them would be made, put back with every
 * movement and dropped again a million times, and nearly none would ever fire.
 */
export class SilenceWatch {
  readonly #running: CallTimer[] = []
  /** When it looks next. */
  #looksAt = Infinity
  #lookedAt = 0
  #timer: NodeJS.Timeout | undefined

  add(timer: CallTimer): void {
    timer.place = this.#running.push(timer) - 1
    this.expect(timer.dueAt)
  }

  /** The last one takes the free place. */
  delete(timer: CallTimer): void {
    const last = this.#running.pop()
    if (last !== undefined && last !== timer) {
      this.#running[timer.place] = last
      last.place = timer.place
    }
    timer.place = -1
  }

  /** One of them is due then. */
  expect(dueAt: number): void {
    if (dueAt < this.#looksAt) this.#lookAt(dueAt, performance.now())
  }

  #lookAt(time: number, now: number): void {
    clearTimeout(this.#timer)
    this.#looksAt = time
    // In the trace of none of them: of the request that it happened to begin in, it would hold the context.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(onLook, Math.ceil(time - now), this))
    this.#timer.unref() // what it waits for has connections, which keep the process alive
  }

  /** Timers come first after a pause of this very process, and only then what has arrived meanwhile: that is waited for. */
  look(): void {
    this.#looksAt = -Infinity // after the judgement, not meanwhile
    this.#lookedAt = performance.now()
    setImmediate(onJudge, this)
  }

  judge(): void {
    const now = performance.now()
    // What became due after that look: what has arrived for it may not have been read yet.
    const dueUntil = this.#lookedAt + EARLY_MS
    try {
      // From the end: judging one may take it out, and put the last one, which was looked at, into its place.
      for (let i = this.#running.length - 1; i >= 0; i--) {
        const timer = this.#running[i]
        if (timer !== undefined && timer.dueAt <= dueUntil) timer.judge(now)
      }
    } finally {
      let next = Infinity
      for (const { dueAt } of this.#running) next = Math.min(next, dueAt)
      this.#looksAt = Infinity
      if (next < Infinity) this.#lookAt(Math.max(next, now + LEAST_PAUSE_MS), now)
    }
  }
}

/** Of this process. */
const WATCH = new SilenceWatch()

function onLook(watch: SilenceWatch): void {
  watch.look()
}

function onJudge(watch: SilenceWatch): void {
  watch.judge()
}
