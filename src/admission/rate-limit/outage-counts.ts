import type { LocalStore } from './local-store'
import type { RedisScriptStore } from './redis-stores'

/** Clients per group whose counts of an outage are handed back; those above it are known to this process alone. */
const MAX_OWED = 10_000
/** Handed back at once: more would be a load of its own for a Redis that has only just returned. */
const BATCH = 200

/** What was let through without Redis, and is not in Redis yet. */
export class OutageCounts {
  readonly #owed = new Map<string, number[]>()

  add(key: string, costs: readonly number[]): void {
    const owed = this.#owed.get(key)
    if (owed === undefined) {
      if (this.#owed.size < MAX_OWED) this.#owed.set(key, [...costs])
      return
    }
    for (let i = 0; i < owed.length; i++) (owed[i] as number) += costs[i] as number
  }

  /**
   * Tells Redis, also about those that are counted meanwhile. What has run out since is not worth telling: no more than
   * what still counts here.
   *
   * @throws Error when Redis fails again; what it was not told is kept
   */
  async handBack(local: LocalStore, redis: RedisScriptStore): Promise<void> {
    while (this.#owed.size > 0) {
      const batch = [...this.#owed].slice(0, BATCH)
      for (const [key] of batch) this.#owed.delete(key)
      const told = await Promise.allSettled(
        batch.map(([key, owed]) => {
          const counts = local.inUse(key).map(({ cost, resetMs }, i) => ({
            cost: Math.min(cost, owed[i] as number),
            resetMs,
          }))
          return redis.handBack(key, counts)
        }),
      )
      for (const [i, { status }] of told.entries()) {
        if (status === 'rejected') this.add(...(batch[i] as [string, number[]]))
      }
      const failure = told.find(({ status }) => status === 'rejected')
      if (failure?.status === 'rejected') throw failure.reason
    }
  }
}
