import type { LocalStore } from './local-store'
import type { RedisScriptStore } from './redis-stores'

type Told = Pick<RedisScriptStore, 'handBack'>
type IsServed = (key: string) => boolean

const always: IsServed = () => true

/** Number of clients per group whose counts are handed back after an outage. Further ones stay local. */
const MAX_OWED = 10_000
/** Clients handed back at once. Bounded to spare a Redis that has just recovered. */
const BATCH = 200
/** Rounds of handing back. Bounded because a busy gateway keeps counting meanwhile and would never finish. */
const ROUNDS = 3

/** Requests allowed while degraded that are not yet counted in Redis. */
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
   * Adds the counts of the outage to Redis. Counts that have expired since are skipped.
   *
   * @param isServed false for clients whose counts Redis cannot take yet
   * @throws Error if Redis fails again; counts not yet handed back are kept
   */
  async handBack(local: LocalStore, redis: Told, isServed: IsServed = always): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      const keys = [...this.#owed.keys()].filter(isServed)
      if (keys.length === 0) return
      for (let at = 0; at < keys.length; at += BATCH) await this.#tell(keys.slice(at, at + BATCH), local, redis)
    }
  }

  /** Adds the counts of the last round to Redis. Sends them before it returns, when no more are added. Never rejects. */
  async handBackRest(local: LocalStore, redis: Told, isServed: IsServed = always): Promise<void> {
    // The connection has already recorded and logged the failure.
    await this.#tell([...this.#owed.keys()].filter(isServed), local, redis).catch(() => {})
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
