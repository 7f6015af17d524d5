import type { CircuitBreakerConfig } from '../config/types'
import type { Reason } from '../errors/reasons'
import { FailureSet } from './failure-set'

export type CircuitState = 'closed' | 'open' | 'half_open'

export interface CircuitOptions {
  readonly config: CircuitBreakerConfig
  /**
   * Undefined for `circuitBreaker`, which is strict. Else whether the target may be ejected for the statuses that it
   * answers: statuses that others answer too are a fault of the service, and ejecting a target does not cure it.
   */
  readonly mayEjectForStatus: (() => boolean) | undefined
  /** Called after every change of `state`, `isOpen` or `isDown`. */
  readonly onChange: (previous: CircuitState) => void
}

/** Nothing listens there, or no way leads there: one such failure says as much as many. */
const PROVES_DOWN: ReadonlySet<Reason> = new Set(['connect_refused', 'unreachable', 'dns'])

/**
 * Keeps requests from a target that fails: after some failures in a row it gets none for a while (open), then one request
 * at a time shows whether it is back (half open). With ejection one refused connection is enough, and the first success
 * reinstates the target.
 */
export class Circuit {
  readonly #options: CircuitOptions
  readonly #failureSet: FailureSet
  #state: CircuitState = 'closed'
  #failures = 0
  #isProbing = false
  #isDown = false
  #timer: NodeJS.Timeout | undefined
  /** On the monotonic clock. */
  #openUntil = 0

  constructor(options: CircuitOptions) {
    this.#options = options
    this.#failureSet = new FailureSet(options.config.on)
  }

  get state(): CircuitState {
    return this.#state
  }

  /** No (further) request should go to the target now. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#isProbing
  }

  /** It takes no connections. It stays open until `tookConnection()` or a success, however long that takes. */
  get isDown(): boolean {
    return this.#isDown
  }

  /** The last conclusion was a failure. */
  get isFailing(): boolean {
    return this.#failures > 0
  }

  /** Until the target may be tried again; 0 when that is now. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntil - performance.now()) : 0
  }

  /** A request goes to the target. */
  begin(): void {
    if (this.#state !== 'half_open') return
    this.#isProbing = true
    this.#options.onChange(this.#state)
  }

  /** The target answered, or failed to for a reason. */
  concluded(reason: Reason | undefined, statusCode: number | undefined): void {
    if (reason !== undefined && !this.#isStrict && PROVES_DOWN.has(reason)) this.#wentDown()
    else if (reason !== undefined && this.#failureSet.has(reason, statusCode)) this.#failed(statusCode !== undefined)
    // A failure that is not counted is no proof of health either, such as a client that left.
    else if (statusCode !== undefined) this.#succeeded()
  }

  /** A target that was down takes connections again: the next request shows whether it is back. */
  tookConnection(): void {
    if (this.#isDown) this.#change('half_open')
  }

  /** A health check passed. It ends only what a connection has proved: checks often ask for less than requests do. */
  passedCheck(): void {
    if (this.#isDown) this.#close()
  }

  /** A request is over, with or without a conclusion: the next one may be the one that shows. */
  end(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    this.#options.onChange(this.#state)
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  get #isStrict(): boolean {
    return this.#options.mayEjectForStatus === undefined
  }

  #succeeded(): void {
    this.#failures = 0
    // While a strict one is open, this is an answer to what was asked before.
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
    clearTimeout(this.#timer)
    this.#isDown = true
    this.#change('open')
  }

  #open(forMs: number): void {
    this.#openUntil = performance.now() + forMs
    this.#timer = setTimeout(() => this.#change('half_open'), forMs).unref()
    this.#change('open')
  }

  #close(): void {
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
