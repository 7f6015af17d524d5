import type { LocalStore } from './local-store'
import type { RedisScriptStore } from './redis-stores'

type Told = Pick<RedisScriptStore, 'handBack'>

/** Clients per group whose counts of an outage are handed back; those above it are known to this process alone. */
const MAX_OWED = 10_000
/** Handed back at once: more would be a load of its own for a Redis that has only just returned. */
const BATCH = 200
/** While Redis is told, a busy gateway counts on: waiting until nothing is left it would never come back to Redis. */
const ROUNDS = 3

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
   * Tells Redis. What has run out since is not worth telling: no more than what still counts here.
   *
   * @throws Error when Redis fails again; what it was not told is kept
   */
  async handBack(local: LocalStore, redis: Told): Promise<void> {
    for (let round = 0; round < ROUNDS && this.#owed.size > 0; round++) {
      const keys = [...this.#owed.keys()]
      for (let at = 0; at < keys.length; at += BATCH) await this.#tell(keys.slice(at, at + BATCH), local, redis)
    }
  }

  /** Tells Redis what was counted in the last round: sent before this returns, as nothing is added any more. Never rejects. */
  async handBackRest(local: LocalStore, redis: Told): Promise<void> {
    // The connection has noted and logged it.
    await this.#tell([...this.#owed.keys()], local, redis).catch(() => {})
  }

  async #tell(keys: readonly string[], local: LocalStore, redis: Told): Promise<void> {
    const batch = keys.map(key => [key, this.#owed.get(key) as number[]] as const)
    for (const key of keys) this.#owed.delete(key)
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
