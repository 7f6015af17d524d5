/** Who counted a request: Redis for all replicas, this process alone, or nobody. */
export type AnsweringStore = 'redis' | 'local' | 'none'

/** How a client stands with one policy, after the request was counted or refused. */
export interface Standing {
  readonly allowed: boolean
  /** What is left of the limit now. */
  readonly remaining: number
  /** Milliseconds until the whole limit is there again. */
  readonly resetMs: number
  /** Milliseconds until this very request would pass; 0 when it did. */
  readonly retryMs: number
}

/**
 * Counts the requests of clients against the policies of one group. A request counts against all of them or against none:
 * whoever is over the limit per second does not use up the one per day as well.
 */
export interface RateLimitStore {
  /**
   * @param costs what the request counts for, one for each policy
   * @returns one standing for each policy, in the same order
   */
  take(key: string, costs: readonly number[]): readonly Standing[] | Promise<readonly Standing[]>
  /** Nothing is counted in it any more. */
  close?(): void
}
