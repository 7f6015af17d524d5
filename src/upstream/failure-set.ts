import type { FailureKind } from '../config/values/failure-kind'
import type { Reason } from '../errors/reasons'

/** Reasons for which no connection was established, so nothing of the request was sent. */
export const NO_CONNECTION: ReadonlySet<Reason> = new Set([
  'connect_refused',
  'unreachable',
  'connect_timeout',
  'dns',
  'tls',
])

/** A configured set of failures: reasons and 5xx statuses. */
export class FailureSet {
  readonly #reasons = new Set<Reason>()
  readonly #statusCodes = new Set<number>()

  constructor(kinds: readonly FailureKind[]) {
    for (const kind of kinds) {
      if (typeof kind === 'number') this.#statusCodes.add(kind)
      else if (kind === 'connect') for (const reason of NO_CONNECTION) this.#reasons.add(reason)
      else this.#reasons.add(kind)
    }
  }

  /** Whether the set contains this failure. The status decides only for `upstream_5xx`. */
  has(reason: Reason, statusCode: number | undefined): boolean {
    return reason === 'upstream_5xx' ? this.#statusCodes.has(statusCode ?? 0) : this.#reasons.has(reason)
  }
}
