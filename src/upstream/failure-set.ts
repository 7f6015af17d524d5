import type { FailureKind } from '../config/values/failure-kind'
import type { Reason } from '../errors/reasons'

/** The reasons under which no connection came about: nothing of the request has reached anybody. */
export const NO_CONNECTION: ReadonlySet<Reason> = new Set([
  'connect_refused',
  'unreachable',
  'connect_timeout',
  'dns',
  'tls',
])

/** Some of the ways in which a call can fail. */
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

  /** Whether a call that ended for this reason is meant; with a status, a response that came whole. */
  has(reason: Reason, statusCode: number | undefined): boolean {
    return reason === 'upstream_5xx' ? this.#statusCodes.has(statusCode ?? 0) : this.#reasons.has(reason)
  }
}
