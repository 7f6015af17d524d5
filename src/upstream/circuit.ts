import type { CircuitBreakerConfig } from '../config/types'
import type { Reason } from '../errors/reasons'
import { FailureSet } from './failure-set'

export type CircuitState = 'closed' | 'open' | 'half_open'

/**
 * Keeps requests from a target that fails again and again: after some failures in a row it is left out for a while
 * (open), then one request at a time shows whether it is back (half open).
 */
export class Circuit {
  readonly #config: CircuitBreakerConfig
  readonly #failureSet: FailureSet
  readonly #onChange: (previous: CircuitState) => void
  #state: CircuitState = 'closed'
  #failures = 0
  #isProbing = false
  #timer: NodeJS.Timeout | undefined
  /** On the monotonic clock. */
  #openUntil = 0

  /** @param onChange called after every change of `state` or `isOpen` */
  constructor(config: CircuitBreakerConfig, onChange: (previous: CircuitState) => void) {
    this.#config = config
    this.#failureSet = new FailureSet(config.on)
    this.#onChange = onChange
  }

  get state(): CircuitState {
    return this.#state
  }

  /** No (further) request should go to the target now. */
  get isOpen(): boolean {
    return this.#state === 'open' || this.#isProbing
  }

  /** Until the target may be tried again; 0 when that is now. */
  get waitMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntil - performance.now()) : 0
  }

  /** A request goes to the target. */
  begin(): void {
    if (this.#state !== 'half_open') return
    this.#isProbing = true
    this.#onChange(this.#state)
  }

  /** The target answered, or failed to for a reason. */
  concluded(reason: Reason | undefined, statusCode: number | undefined): void {
    if (reason !== undefined && this.#failureSet.has(reason, statusCode)) this.#failed()
    // A failure that is not counted is no proof of health either, such as a client that left.
    else if (statusCode !== undefined) this.#succeeded()
  }

  /** A request is over, with or without a conclusion: the next one may be the one that shows. */
  end(): void {
    if (!this.#isProbing) return
    this.#isProbing = false
    this.#onChange(this.#state)
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #succeeded(): void {
    this.#failures = 0
    // While it is open, this is an answer to what was asked before.
    if (this.#state === 'half_open') this.#change('closed')
  }

  #failed(): void {
    this.#failures++
    if (this.#state === 'half_open' || (this.#state === 'closed' && this.#failures >= this.#config.failures)) {
      this.#openUntil = performance.now() + this.#config.openForMs
      this.#timer = setTimeout(() => this.#change('half_open'), this.#config.openForMs).unref()
      this.#change('open')
    }
  }

  #change(state: CircuitState): void {
    const previous = this.#state
    this.#state = state
    this.#isProbing = false
    this.#onChange(previous)
  }
}
