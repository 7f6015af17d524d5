import { LocalClients } from './local-clients'
import type { LocalCounter } from './local-counter'
import type { Standing } from './rate-limit-store'

/** Used part of the limit at a time of the monotonic clock; it drains evenly. */
interface Client {
  used: number
  at: number
}

/** Tolerance for rounding: a request that is exactly due must not be refused for a tiny fraction. */
const TOLERANCE = 1e-6

/**
 * GCRA in the memory of this process, as a leaky bucket (ITU-T I.371, annex A.1.1): the used part drains at the rate of
 * limit ÷ window.
 */
export class LocalGcra implements LocalCounter {
  readonly #limit: number
  readonly #windowMs: number
  readonly #replicas: number
  readonly #generationMs: number
  readonly #clients = new LocalClients<Client>()

  constructor(policy: { readonly limit: number; readonly windowMs: number }, replicas: number) {
    this.#limit = policy.limit
    this.#windowMs = policy.windowMs
    this.#replicas = replicas
    // All of a client has drained after one window, unless the replica's share is below one request.
    this.#generationMs = Math.max(1, replicas / policy.limit) * policy.windowMs
  }

  take(key: string, cost: number): Standing {
    const client = this.#drained(key)
    const after = client.used + cost * this.#replicas
    const allowed = client.used === 0 || after <= this.#limit + TOLERANCE
    if (allowed) client.used = after
    return {
      allowed,
      remaining: this.#remaining(client),
      resetMs: Math.ceil(this.#drainMs(client.used)),
      retryMs: allowed ? 0 : Math.ceil(this.#drainMs(after - this.#limit)),
    }
  }

  note(key: string, cost: number): void {
    const client = this.#drained(key)
    client.used = Math.min(this.#limit, client.used + cost * this.#replicas)
  }

  charge(key: string, cost: number): void {
    this.#drained(key).used += cost * this.#replicas
  }

  undo(key: string, cost: number): number {
    const client = this.#drained(key)
    client.used = Math.max(0, client.used - cost * this.#replicas)
    return this.#remaining(client)
  }

  inUse(key: string): { readonly cost: number; readonly resetMs: number } {
    const { used } = this.#drained(key)
    return { cost: Math.ceil(used / this.#replicas), resetMs: Math.ceil(this.#drainMs(used)) }
  }

  close(): void {
    this.#clients.clear()
  }

  #drained(key: string): Client {
    const now = performance.now()
    this.#clients.forgetInactive(now, this.#generationMs)
    const client = this.#find(key, now)
    client.used = Math.max(0, client.used - ((now - client.at) * this.#limit) / this.#windowMs)
    client.at = now
    return client
  }

  #find(key: string, now: number): Client {
    const known = this.#clients.get(key)
    if (known !== undefined) return known
    const client = { used: 0, at: now }
    this.#clients.add(key, client)
    return client
  }

  #remaining({ used }: Client): number {
    return Math.max(0, Math.floor(this.#limit - used + TOLERANCE))
  }

  #drainMs(used: number): number {
    return (used * this.#windowMs) / this.#limit
  }
}
