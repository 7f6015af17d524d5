import { hash } from 'node:crypto'
import type { RateLimitPolicy } from './schema'

/** Number of counters per policy. */
const CAPACITY = 50
const SHOWN_HASH_DIGITS = 12

/** A client that exceeded a limit most often. */
export interface Offender {
  /** Key of the client, as a digest or in clear as the policy configures. */
  readonly client: string
  /** Times it was over the limit; too high by at most `error`. */
  readonly count: number
  readonly error: number
}

/** The top offenders of one policy. */
export interface PolicyOffenders {
  readonly route: string
  /** Path template, the value of `http.route` in metrics and alerts. */
  readonly httpRoute: string
  readonly policy: string
  /** Total of requests over the limit. */
  readonly limited: number
  readonly offenders: readonly Offender[]
}

interface Counted {
  count: number
  error: number
}

/**
 * Finds the clients that exceed a limit most often, with a fixed number of counters (Space-Saving, Metwally et al. 2005): a
 * new client takes over the smallest counter. Clients with more than 1/50 of the total are always included. Metrics cannot
 * hold this: a label per client would be unbounded.
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

  /** Returns the clients, highest count first. */
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

  /** Returns the displayed key. Digests are equal on all replicas, so that their lists can be added up. */
  #shown(key: string): string {
    return this.#policy.offenders === 'clear' ? key : hash('sha256', key, 'hex').slice(0, SHOWN_HASH_DIGITS)
  }
}
