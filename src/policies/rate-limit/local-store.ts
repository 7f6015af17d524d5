import type { RateLimitPolicy } from './schema'
import type { LocalCounter } from './local-counter'
import { LocalGcra } from './local-gcra'
import { LocalWindow } from './local-window'
import type { RateLimitStore, Standing } from './rate-limit-store'

/** Counts in the memory of this process, with its share of the limits: without Redis, and while degraded. */
export class LocalStore implements RateLimitStore {
  readonly #policies: readonly RateLimitPolicy[]
  readonly #counters: readonly LocalCounter[]

  constructor(policies: readonly RateLimitPolicy[], replicas: number) {
    this.#policies = policies
    this.#counters = policies.map(policy =>
      policy.algorithm === 'gcra' ? new LocalGcra(policy, replicas) : new LocalWindow(policy, replicas),
    )
  }

  take(key: string, costs: readonly number[]): Standing[] {
    const standings = this.#counters.map((counter, i) => counter.take(key, costs[i] as number))
    if (!standings.some(({ allowed }, i) => !allowed && !this.#policies[i]?.dryRun)) return standings
    return standings.map((standing, i) => {
      if (!standing.allowed) return standing
      return { ...standing, remaining: this.#counters[i]?.undo(key, costs[i] as number) ?? 0 }
    })
  }

  /** Counts what Redis decided, so that one outage within a window never allows more than twice the limit. */
  note(key: string, costs: readonly number[], standings: readonly Standing[]): void {
    for (let i = 0; i < standings.length; i++) {
      const { allowed, resetMs } = standings[i] as Standing
      if (allowed) this.#counters[i]?.note(key, costs[i] as number, resetMs)
    }
  }

  /** Counts costs that became known after the request. */
  charge(key: string, costs: readonly number[]): void {
    for (const [i, cost] of costs.entries()) if (cost > 0) this.#counters[i]?.charge(key, cost)
  }

  inUse(key: string): readonly { readonly cost: number; readonly resetMs: number }[] {
    return this.#counters.map(counter => counter.inUse(key))
  }

  close(): void {
    for (const counter of this.#counters) counter.close()
  }
}
