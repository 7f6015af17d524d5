import { LocalClients } from './local-clients'
import type { LocalCounter } from './local-counter'
import type { Standing } from './rate-limit-store'

interface Client {
  used: number
  /** End of the window on the monotonic clock. */
  endsAt: number
}

/**
 * A fixed window in the memory of this process, by the monotonic clock: a change of the wall clock could lock clients out
 * for hours, or give them a second full limit.
 */
export class LocalWindow implements LocalCounter {
  readonly #limit: number
  readonly #windowMs: number
  readonly #replicas: number
  readonly #clients = new LocalClients<Client>()

  constructor(policy: { readonly limit: number; readonly windowMs: number }, replicas: number) {
    this.#limit = policy.limit
    this.#windowMs = policy.windowMs
    this.#replicas = replicas
  }

  take(key: string, cost: number): Standing {
    const now = performance.now()
    const client = this.#inWindow(key, now)
    // Assumes that every replica has counted the same, so that all together stay within the limit. The first request is
    // always allowed: with more replicas than the limit allows requests, all would be refused.
    const allowed = client.used === 0 || (client.used + cost) * this.#replicas <= this.#limit
    if (allowed) client.used += cost
    const resetMs = Math.ceil(client.endsAt - now)
    return { allowed, remaining: this.#remaining(client), resetMs, retryMs: allowed ? 0 : resetMs }
  }

  note(key: string, cost: number, resetMs: number): void {
    const now = performance.now()
    const client = this.#inWindow(key, now)
    if (client.used === 0) client.endsAt = now + Math.min(resetMs, this.#windowMs)
    client.used += cost
  }

  charge(key: string, cost: number): void {
    this.#inWindow(key, performance.now()).used += cost
  }

  undo(key: string, cost: number): number {
    const client = this.#inWindow(key, performance.now())
    client.used = Math.max(0, client.used - cost)
    return this.#remaining(client)
  }

  inUse(key: string): { readonly cost: number; readonly resetMs: number } {
    const now = performance.now()
    const client = this.#clients.get(key)
    if (client === undefined || client.endsAt <= now) return { cost: 0, resetMs: 0 }
    return { cost: client.used, resetMs: Math.ceil(client.endsAt - now) }
  }

  close(): void {
    this.#clients.clear()
  }

  /** Returns the client in its current window, which starts with its first request. */
  #inWindow(key: string, now: number): Client {
    this.#clients.forgetInactive(now, this.#windowMs)
    const known = this.#clients.get(key)
    if (known === undefined) {
      const client = { used: 0, endsAt: now + this.#windowMs }
      this.#clients.add(key, client)
      return client
    }
    if (known.endsAt <= now) {
      known.used = 0
      known.endsAt = now + this.#windowMs
    }
    return known
  }

  #remaining({ used }: Client): number {
    const shared = used === 1 ? Math.min(this.#replicas, this.#limit) : used * this.#replicas
    return Math.max(0, this.#limit - shared)
  }
}
