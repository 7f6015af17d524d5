import type { Standing } from './rate-limit-store'

/** Limited clients remembered per group of policies; of more, the longest known is asked for in Redis again. */
const MAX_REFUSALS = 10_000

interface Refusal {
  readonly costs: readonly number[]
  readonly standings: readonly Standing[]
  /** Milliseconds on the monotonic clock. */
  readonly at: number
  readonly until: number
}

/** Remembers who is limited and until when: until then the answer is known, and Redis need not be asked. */
export class Refusals {
  readonly #refusals = new Map<string, Refusal>()

  /** The standing of a client that is limited, as it is now; undefined when Redis must be asked. */
  recall(key: string, costs: readonly number[]): readonly Standing[] | undefined {
    if (this.#refusals.size === 0) return undefined
    const refusal = this.#refusals.get(key)
    if (refusal === undefined) return undefined
    const now = performance.now()
    if (now >= refusal.until) {
      this.#refusals.delete(key)
      return undefined
    }
    // What counts for less may still fit.
    if (costs.some((cost, i) => cost < (refusal.costs[i] as number))) return undefined
    const passed = now - refusal.at
    return refusal.standings.map(standing => ({
      ...standing,
      resetMs: Math.max(0, standing.resetMs - passed),
      retryMs: Math.max(0, standing.retryMs - passed),
    }))
  }

  /** @param retryMs until when it is certain that the request would be refused again */
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

  /** A Redis that comes back may have forgotten everything. */
  clear(): void {
    this.#refusals.clear()
  }
}
