import { REASONS, type Outcome, type Reason } from './reasons'

/**
 * A request failed for a known reason. Thrown where the cause is known; answered, logged and marked on the span only in
 * `error-handler.ts`.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly reason: Reason
  /** HTTP status of the answer. */
  readonly status: number
  readonly outcome: Outcome
  /** Extra fields of the answer, for example `Retry-After`: flat name, value pairs. */
  readonly headers: readonly string[]

  constructor(reason: Reason, options: { cause?: unknown; headers?: readonly string[] } = {}) {
    super(REASONS[reason].title, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
    this.status = REASONS[reason].status
    this.outcome = REASONS[reason].outcome
    this.headers = options.headers ?? []
  }
}
