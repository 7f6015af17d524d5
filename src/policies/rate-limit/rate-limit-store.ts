/** Store that counted a request: Redis for all replicas, this process alone, or none. */
export type AnsweringStore = 'redis' | 'local' | 'none'

/** State of a client under one policy, after the request was counted or refused. */
export interface Standing {
  readonly allowed: boolean
  /** Rest of the limit. */
  readonly remaining: number
  /** Milliseconds until the whole limit is available again. */
  readonly resetMs: number
  /** Milliseconds until this request would be allowed; 0 if it was. */
  readonly retryMs: number
}

/**
 * Counts the requests of clients against the policies of one group. A request counts against all of them or none: a client
 * over its limit per second must not use up its limit per day.
 */
export interface RateLimitStore {
  /**
   * @param costs cost of the request under each policy
   * @returns one standing for each policy, in the same order
   */
  take(key: string, costs: readonly number[]): readonly Standing[] | Promise<readonly Standing[]>
  /** Called when the store is no longer used. */
  close?(): void
}
