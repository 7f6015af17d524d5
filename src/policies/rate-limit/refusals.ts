import type { Standing } from './rate-limit-store'

/** Number of limited clients remembered per group. Beyond it the oldest is dropped and checked in Redis again. */
const MAX_REFUSALS = 10_000

interface Refusal {
  readonly costs: readonly number[]
  readonly standings: readonly Standing[]
  /** Milliseconds on the monotonic clock. */
  readonly at: number
  readonly until: number
}

/** Remembers limited clients until their limit allows a request again, which saves calls to Redis. */
export class Refusals {
  readonly #refusals = new Map<string, Refusal>()

  /** Returns the current standing of a limited client; undefined if Redis must be asked. */
  recall(key: string, costs: readonly number[]): readonly Standing[] | undefined {
    if (this.#refusals.size === 0) return undefined
    const refusal = this.#refusals.get(key)
    if (refusal === undefined) return undefined
    const now = performance.now()
    if (now >= refusal.until) {
      this.#refusals.delete(key)
      return undefined
    }
    // A cheaper request may still be allowed.
    if (costs.some((cost, i) => cost < (refusal.costs[i] as number))) return undefined
    const passed = now - refusal.at
    return refusal.standings.map(standing => ({
      ...standing,
      resetMs: Math.max(0, standing.resetMs - passed),
      retryMs: Math.max(0, standing.retryMs - passed),
    }))
  }

  /** Remembers a refusal. @param retryMs time in which the request would certainly be refused again */
  remember(key: string, costs: readonly number[], standings: readonly Standing[], retryMs: number): void {
    if (this.#refusals.size >= MAX_REFUSALS) {
      for (const oldest of this.#refusals.keys()) {
        this.#refusals.delete(oldest)
        break
      }
    }
    const at = performance.now()
    this.#refusals.set(key, { costs, standings, at, until: at + retryMs })
  }

  /** Forgets all refusals: a Redis that comes back may have lost its counts. */
  clear(): void {
    this.#refusals.clear()
  }
}
