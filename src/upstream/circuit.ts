import type { CircuitBreakerConfig } from '../config/types'
import type { Reason } from '../errors/reasons'
import { FailureSet } from './failure-set'
import type { CircuitNews } from './target-news'

export type CircuitState = 'closed' | 'open' | 'half_open'

export interface CircuitOptions {
  readonly config: CircuitBreakerConfig
  /**
   * Returns whether the target may be ejected for its statuses. If other targets answer alike, the service is at fault
   * and ejecting one target does not help. Undefined for `circuitBreaker`, which is strict.
   */
  readonly mayEjectForStatus: (() => boolean) | undefined
  /** Called after every change of `state`, `isOpen` or `isDown`. */
  readonly onChange: (previous: CircuitState) => void
  /** Called when this circuit has opened or closed by itself. Undefined without other processes. */
  readonly tell?: ((news: CircuitNews) => void) | undefined
}

/** Reasons that prove by a single failure that the target is down. */
const PROVES_DOWN: ReadonlySet<Reason> = new Set(['connect_refused', 'unreachable', 'dns'])

/**
 * Ejects a target that fails: after some failures in a row it gets no requests for a while (open), then one request at
 * a time tests it (half open). With ejection, one refused connection is enough and the first success reinstates it.
 */
export class Circuit {
  readonly #options: CircuitOptions
  readonly #failureSet: FailureSet
  #state: CircuitState = 'closed'
  #failures = 0
  #isProbing = false
  #isDown = false
  #isHeard = false
  #timer: NodeJS.Timeout | undefined
  /** Monotonic clock. */
  #openUntil = 0

  constructor(options: CircuitOptions) {
    this.#options = options
    this.#failureSet = new FailureSet(options.config.on)
  }

  get state(): CircuitState {
    return this.#state
  }

  /** Whether the target must get no further request now. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#isProbing
  }

  /** The target refuses connections. The circuit stays open until `tookConnection()` or a success. */
  get isDown(): boolean {
    return this.#isDown
  }

  /** The state was taken from another process, which logs and counts it. */
  get isHeard(): boolean {
    return this.#isHeard
  }

  /** The last call failed. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Milliseconds until the target may be tried again; 0 if it may be tried now. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntil - performance.now()) : 0
  }

  /** Counts the start of a call. In the half-open state this is the test request. */
  begin(): void {
    if (this.#state !== 'half_open') return
    this.#isProbing = true
    this.#options.onChange(this.#state)
  }

  /** Records the result of a call: a status, or the reason why there is none. */
  concluded(reason: Reason | undefined, statusCode: number | undefined): void {
    if (reason !== undefined && !this.#isStrict && PROVES_DOWN.has(reason)) this.#wentDown()
    else if (reason !== undefined && this.#failureSet.has(reason, statusCode)) this.#failed(statusCode !== undefined)
    // A failure that does not count, such as a client that left, does not prove health either.
    else if (statusCode !== undefined) this.#succeeded()
  }

  /** Moves a target that was down to half open after it accepted a connection; the next request tests it. */
  tookConnection(): void {
    if (!this.#isDown) return
    this.#isHeard = false
    this.#change('half_open')
    this.#options.tell?.({ state: 'half_open' })
  }

  /**
   * Reinstates a target that was down after a health check passed. Other ejections stay: checks often test less than
   * requests.
   */
  passedCheck(): void {
    if (this.#isDown) this.#close()
  }

  /** Ends a call, with or without a result. In the half-open state, the next call may be the test request. */
  end(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    this.#options.onChange(this.#state)
  }

  /** Takes over what the same circuit of another process did. */
  hear(news: CircuitNews): void {
    const forMs = news.state === 'open' ? news.untilMs - Date.now() : 0
    if (!this.#changesBy(news.state, forMs)) return
    this.#isHeard = true
    if (news.state === 'open') this.#openFor(forMs)
    else if (news.state === 'down') this.#goDown()
    else if (news.state === 'half_open') this.#change('half_open')
    else this.#closeNow()
  }

  #changesBy(state: CircuitNews['state'], forMs: number): boolean {
    if (state === 'open') return forMs > 0 && this.#state !== 'open'
    if (state === 'down') return !this.#isDown
    return state === 'half_open' ? this.#isDown : this.#state !== 'closed'
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  get #isStrict(): boolean {
    return this.#options.mayEjectForStatus === undefined
  }

  #succeeded(): void {
    this.#failures = 0
    // A success while a strict circuit is open belongs to an earlier request and does not close it.
    if (this.#state === 'half_open' || (this.#state === 'open' && !this.#isStrict)) this.#close()
  }

  #failed(withStatus: boolean): void {
    const { config, mayEjectForStatus } = this.#options
    this.#failures++
    if (this.#state === 'open' || (this.#state === 'closed' && this.#failures < config.failures)) return
    if (!withStatus || mayEjectForStatus === undefined || mayEjectForStatus()) this.#open(config.openForMs)
    else if (this.#state === 'half_open') this.#change('closed')
  }

  #wentDown(): void {
    this.#failures++
    if (this.#isDown) return
    this.#isHeard = false
    this.#goDown()
    this.#options.tell?.({ state: 'down' })
  }

  #goDown(): void {
    clearTimeout(this.#timer)
    this.#isDown = true
    this.#change('open')
  }

  #open(forMs: number): void {
    this.#isHeard = false
    this.#openFor(forMs)
    this.#options.tell?.({ state: 'open', untilMs: Date.now() + forMs })
  }

  #openFor(forMs: number): void {
    this.#openUntil = performance.now() + forMs
    this.#timer = setTimeout(() => this.#change('half_open'), forMs).unref()
    this.#change('open')
  }

  #close(): void {
    this.#isHeard = false
    this.#closeNow()
    this.#options.tell?.({ state: 'closed' })
  }

  #closeNow(): void {
    clearTimeout(this.#timer)
    this.#failures = 0
    this.#change('closed')
  }

  #change(state: CircuitState): void {
    const previous = this.#state
    this.#state = state
    this.#isProbing = false
    if (state !== 'open') this.#isDown = false
    this.#options.onChange(previous)
  }
}
