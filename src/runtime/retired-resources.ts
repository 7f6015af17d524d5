import type { Exchange } from '../exchange/exchange'
import type { Resource } from './resources'
import type { StagedRoute } from './snapshot'

/** Longest time that an exchange may keep a retired resource open: an event stream has no end of its own. */
const LONGEST_STAY_MS = 10 * 60_000
/** Period of frequent checks: most requests end within a second, and a check costs with each exchange in flight. */
const FIRST_LOOKS_MS = 1_000
const FIRST_INTERVAL_MS = 200
const INTERVAL_MS = 1_000

/**
 * Retired resources that are still in use. Use is tracked by exchange, not by call: an exchange that waits for a limiter or
 * a retry has no open call but will make one.
 */
export class RetiredResources {
  readonly #inFlight: () => readonly Exchange[]
  /** Resources with their latest closing time on the monotonic clock. */
  readonly #resources = new Map<Resource, number>()
  #timer: NodeJS.Timeout | undefined
  /** Time of the last addition, on the monotonic clock. */
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

/** Returns the resources of a route; the gateway's own pages have none. */
function resourcesOf(route: Exchange['route']): Iterable<Resource> {
  return (route as Partial<StagedRoute> | undefined)?.resources ?? []
}
