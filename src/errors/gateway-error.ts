import { REASONS, type Outcome, type Reason } from './reasons'

export interface GatewayErrorOptions {
  readonly cause?: unknown
  readonly headers?: readonly string[]
  readonly members?: GatewayError['members']
}

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
  /** More members of the problem details (RFC 9457 §3.2). */
  readonly members: Readonly<Record<string, unknown>> | undefined

  constructor(reason: Reason, options: GatewayErrorOptions = {}) {
    super(REASONS[reason].title, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
    this.status = REASONS[reason].status
    this.outcome = REASONS[reason].outcome
    this.headers = options.headers ?? []
    this.members = options.members
  }
}
