import { hash } from 'node:crypto'
import type { RateLimitPolicy } from './schema'

/** Clients told apart per policy. */
const CAPACITY = 50
const SHOWN_HASH_DIGITS = 12

/** One of those who ran into a limit most often. */
export interface Offender {
  /** What the policy counts by, as a digest or in clear as the policy says. */
  readonly client: string
  /** Times it was over the limit, at the most `error` too many. */
  readonly count: number
  readonly error: number
}

/** The top offenders of one policy. */
export interface PolicyOffenders {
  readonly route: string
  /** Its template, the value of `http.route` in metrics and alerts. */
  readonly httpRoute: string
  readonly policy: string
  /** All times that a client was over the limit. */
  readonly limited: number
  readonly offenders: readonly Offender[]
}

interface Counted {
  count: number
  error: number
}

/**
 * Who runs into a limit most often, in a fixed number of counters (Space-Saving, Metwally et al. 2005): a client without
 * one takes over the smallest. Whoever has more than 1/50 of all is certainly among them. Metrics have no place for this:
 * a label for each client would never end.
 */
export class TopOffenders {
  readonly #routeName: string
  readonly #policy: RateLimitPolicy
  readonly #counted = new Map<string, Counted>()
  #limited = 0

  constructor(routeName: string, policy: RateLimitPolicy) {
    this.#routeName = routeName
    this.#policy = policy
  }

  note(key: string): void {
    this.#limited++
    const counted = this.#counted.get(key)
    if (counted !== undefined) counted.count++
    else if (this.#counted.size < CAPACITY) this.#counted.set(key, { count: 1, error: 0 })
    else this.#takeOver(key)
  }

  /** Those with most first. */
  list(): Omit<PolicyOffenders, 'httpRoute'> {
    const offenders = [...this.#counted]
      .map(([key, { count, error }]) => ({ client: this.#shown(key), count, error }))
      .sort((a, b) => b.count - b.error - (a.count - a.error) || b.count - a.count)
    return { route: this.#routeName, policy: this.#policy.name, limited: this.#limited, offenders }
  }

  #takeOver(key: string): void {
    let smallest: [string, Counted] | undefined
    for (const entry of this.#counted)
      if (smallest === undefined || entry[1].count < smallest[1].count) smallest = entry
    if (smallest === undefined) return
    const [leaving, { count }] = smallest
    this.#counted.delete(leaving)
    this.#counted.set(key, { count: count + 1, error: count })
  }

  /** The same digest on every replica, so that their lists can be added up. */
  #shown(key: string): string {
    return this.#policy.offenders === 'clear' ? key : hash('sha256', key, 'hex').slice(0, SHOWN_HASH_DIGITS)
  }
}
