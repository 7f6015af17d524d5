import type { Exchange } from './exchange'
import type { Part, StagedRoute } from './serving'

/** How long a request may hold on to what the file no longer names: an event stream has no end of its own. */
const LONGEST_STAY_MS = 10 * 60_000
/** Most requests end soon. What is there after a second stays for long, and to look costs with each request under way. */
const FIRST_LOOKS_MS = 1_000
const FIRST_INTERVAL_MS = 200
const INTERVAL_MS = 1_000

/**
 * What a reload has replaced, until it can be closed. By requests and not by calls, because a request that waits for a
 * limiter, or for its second attempt, has no call under way and will make one.
 */
export class LeavingParts {
  readonly #inFlight: () => readonly Exchange[]
  /** With the time, on the monotonic clock, at which each is closed at the latest. */
  readonly #parts = new Map<Part, number>()
  #timer: NodeJS.Timeout | undefined
  /** When there was something new, on the monotonic clock. */
  #addedAt = -Infinity

  constructor(inFlight: () => readonly Exchange[]) {
    this.#inFlight = inFlight
  }

  add(parts: readonly Part[]): void {
    this.#addedAt = performance.now()
    const closeAt = this.#addedAt + LONGEST_STAY_MS
    for (const part of parts) {
      part.leave?.()
      this.#parts.set(part, closeAt)
    }
    this.#closeUnused()
  }

  async closeAll(): Promise<void> {
    clearTimeout(this.#timer)
    const parts = [...this.#parts.keys()]
    this.#parts.clear()
    await Promise.all(parts.map(async part => part.close()))
  }

  #closeUnused(): void {
    clearTimeout(this.#timer)
    const used = new Set<Part>()
    for (const { route } of this.#inFlight()) for (const part of partsOf(route)) used.add(part)
    const now = performance.now()
    for (const [part, closeAt] of this.#parts) {
      if (used.has(part) && now < closeAt) continue
      this.#parts.delete(part)
      void part.close()
    }
    if (this.#parts.size === 0) return
    const intervalMs = now - this.#addedAt < FIRST_LOOKS_MS ? FIRST_INTERVAL_MS : INTERVAL_MS
    this.#timer = setTimeout(() => this.#closeUnused(), intervalMs).unref()
  }
}

/** The gateway's own pages are routes that use nothing. */
function partsOf(route: Exchange['route']): Iterable<Part> {
  return (route as Partial<StagedRoute> | undefined)?.parts ?? []
}
