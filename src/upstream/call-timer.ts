import { context, ROOT_CONTEXT } from '@opentelemetry/api'

/** A call that is watched for inactivity. */
export interface TimedCall {
  /** Whether the call waits for the client: its body is incomplete, or it does not read its response. */
  readonly isClientsTurn: boolean
  onSilence(who: 'client' | 'upstream'): void
}

export interface SilenceLimits {
  /** How long the upstream may stay silent while the call waits for it. */
  readonly upstreamMs: number
  /** How long the client may stay silent; checked every `upstreamMs`. */
  readonly clientMs: number
}

/**
 * Ends an idle call. It replaces undici's timeouts, which have a resolution of half a second and mistake a client that
 * uploads slowly for an upstream that does not answer.
 */
export class CallTimer {
  readonly #call: TimedCall
  readonly #limits: SilenceLimits
  readonly #watch: SilenceWatch
  #clientSilentMs = 0
  #upstreamMs: number
  /** When the idle time ends; monotonic clock. */
  dueAt = 0
  /** Index in the list of running timers; -1 while it does not run. */
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

  /** Restarts the idle time: bytes were sent or received. */
  moved(): void {
    this.#clientSilentMs = 0
    this.dueAt = performance.now() + this.#upstreamMs
  }

  /** Changes how long the upstream may stay silent. */
  allow(upstreamMs: number): void {
    if (upstreamMs === this.#upstreamMs) return
    this.#upstreamMs = upstreamMs
    this.dueAt = performance.now() + upstreamMs
    if (this.place !== -1) this.#watch.expect(this.dueAt)
  }

  stop(): void {
    if (this.place !== -1) this.#watch.delete(this)
  }

  /** Handles the end of the idle time, according to which side the call waits for. */
  onIdle(now: number): void {
    const { isClientsTurn } = this.#call
    if (isClientsTurn) this.#clientSilentMs += this.#upstreamMs
    if (isClientsTurn && this.#clientSilentMs < this.#limits.clientMs) {
      this.dueAt = now + this.#upstreamMs
      return
    }
    this.dueAt = Infinity // report once
    this.#call.onSilence(isClientsTurn ? 'client' : 'upstream')
  }
}

/** Minimum time between two checks, so that thousands of waiting calls are not all checked whenever one is due. */
const LEAST_PAUSE_MS = 10
/** Timers of the event loop have whole milliseconds and may fire this much too early. */
const EARLY_MS = 1

/**
 * Checks all calls in flight when the first of them is due. This replaces one timer per call, which would be restarted
 * with every chunk and nearly never fire.
 */
export class SilenceWatch {
  readonly #running: CallTimer[] = []
  /** Time of the next check. */
  #looksAt = Infinity
  #lookedAt = 0
  #timer: NodeJS.Timeout | undefined

  add(timer: CallTimer): void {
    timer.place = this.#running.push(timer) - 1
    this.expect(timer.dueAt)
  }

  /** Removes the timer and moves the last one into its place. */
  delete(timer: CallTimer): void {
    const last = this.#running.pop()
    if (last !== undefined && last !== timer) {
      this.#running[timer.place] = last
      last.place = timer.place
    }
    timer.place = -1
  }

  /** Schedules the next check no later than `dueAt`. */
  expect(dueAt: number): void {
    if (dueAt < this.#looksAt) this.#lookAt(dueAt, performance.now())
  }

  #lookAt(time: number, now: number): void {
    clearTimeout(this.#timer)
    this.#looksAt = time
    // Outside any trace: the timer would otherwise keep the context of one exchange alive.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(onLook, Math.ceil(time - now), this))
    this.#timer.unref() // the connections of the watched calls keep the process alive
  }

  /**
   * Notes the time and defers the check: after a pause of the process, timers fire before data that has arrived
   * meanwhile is read.
   */
  look(): void {
    this.#looksAt = -Infinity // no check is scheduled until check() has run
    this.#lookedAt = performance.now()
    setImmediate(onCheck, this)
  }

  check(): void {
    const now = performance.now()
    // Timers that became due after look() are left for the next check; their data may not have been read yet.
    const dueUntil = this.#lookedAt + EARLY_MS
    try {
      // Backwards, because a timer may remove itself a timer and move the last one, already checked, into its place.
      for (let i = this.#running.length - 1; i >= 0; i--) {
        const timer = this.#running[i]
        if (timer !== undefined && timer.dueAt <= dueUntil) timer.onIdle(now)
      }
    } finally {
      let next = Infinity
      for (const { dueAt } of this.#running) next = Math.min(next, dueAt)
      this.#looksAt = Infinity
      if (next < Infinity) this.#lookAt(Math.max(next, now + LEAST_PAUSE_MS), now)
    }
  }
}

/** Shared by all calls of the process. */
const WATCH = new SilenceWatch()

function onLook(watch: SilenceWatch): void {
  watch.look()
}

function onCheck(watch: SilenceWatch): void {
  watch.check()
}
