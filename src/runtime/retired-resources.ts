import type { Exchange } from '../exchange/exchange'
import type { Resource } from './resources'
import type { StagedRoute } from './snapshot'

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
export class RetiredResources {
  readonly #inFlight: () => readonly Exchange[]
  /** With the time, on the monotonic clock, at which each is closed at the latest. */
  readonly #resources = new Map<Resource, number>()
  #timer: NodeJS.Timeout | undefined
  /** When there was something new, on the monotonic clock. */
  #addedAt = -Infinity

  constructor(inFlight: () => readonly Exchange[]) {
    this.#inFlight = inFlight
  }

  add(resources: readonly Resource[]): void {
    this.#addedAt = performance.now()
    const closeAt = this.#addedAt + LONGEST_STAY_MS
    for (const resource of resources) {
      resource.leave?.()
      this.#resources.set(resource, closeAt)
    }
    this.#closeUnused()
  }

  async closeAll(): Promise<void> {
    clearTimeout(this.#timer)
    const resources = [...this.#resources.keys()]
    this.#resources.clear()
    await Promise.all(resources.map(async resource => resource.close()))
  }

  #closeUnused(): void {
    clearTimeout(this.#timer)
    const used = new Set<Resource>()
    for (const { route } of this.#inFlight()) for (const resource of resourcesOf(route)) used.add(resource)
    const now = performance.now()
    for (const [resource, closeAt] of this.#resources) {
      if (used.has(resource) && now < closeAt) continue
      this.#resources.delete(resource)
      void resource.close()
    }
    if (this.#resources.size === 0) return
    const intervalMs = now - this.#addedAt < FIRST_LOOKS_MS ? FIRST_INTERVAL_MS : INTERVAL_MS
    this.#timer = setTimeout(() => this.#closeUnused(), intervalMs).unref()
  }
}

/** The gateway's own pages are routes that use nothing. */
function resourcesOf(route: Exchange['route']): Iterable<Resource> {
  return (route as Partial<StagedRoute> | undefined)?.resources ?? []
}
