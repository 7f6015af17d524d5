import { MemoryStore, type Options } from 'express-rate-limit'
import type { LocalCounter } from './local-counter'
import type { Standing } from './rate-limit-store'

/** Clients counted in memory per policy; those above it share one count, so that memory stays bounded. */
export const MAX_LOCAL_CLIENTS = 100_000
export const OVERFLOW_KEY = 'overflow'

interface Client {
  totalHits: number
  resetTime: Date
}

/**
 * A fixed window in the memory of this process, on express-rate-limit's store. That store counts before it returns its
 * promise, so the count can be read at once and no request waits for it.
 */
export class LocalWindow implements LocalCounter {
  readonly #limit: number
  readonly #windowMs: number
  readonly #replicas: number
  readonly #memory = new MemoryStore()

  constructor(policy: { readonly limit: number; readonly windowMs: number }, replicas: number) {
    this.#limit = policy.limit
    this.#windowMs = policy.windowMs
    this.#replicas = replicas
    this.#memory.init({ windowMs: policy.windowMs } as Options)
  }

  take(key: string, cost: number): Standing {
    const client = this.#countOne(key)
    const before = client.totalHits - 1
    // Every replica is taken to have the same: so all of them together keep to the limit. The first one always passes, or
    // with more replicas than requests nobody would get through at all.
    const allowed = before === 0 || (before + cost) * this.#replicas <= this.#limit
    client.totalHits = allowed ? before + cost : before
    const resetMs = client.resetTime.getTime() - Date.now()
    return { allowed, remaining: this.#remaining(client), resetMs, retryMs: allowed ? 0 : resetMs }
  }

  note(key: string, cost: number, resetMs: number): void {
    const client = this.#countOne(key)
    if (client.totalHits === 1) client.resetTime = new Date(Date.now() + Math.min(resetMs, this.#windowMs))
    client.totalHits += cost - 1
  }

  undo(key: string, cost: number): number {
    const client = this.#find(key)
    if (client === undefined) return this.#limit
    client.totalHits = Math.max(0, client.totalHits - cost)
    return this.#remaining(client)
  }

  inUse(key: string): { readonly cost: number; readonly resetMs: number } {
    const client = this.#find(key)
    const resetMs = client === undefined ? 0 : client.resetTime.getTime() - Date.now()
    return client === undefined || resetMs <= 0 ? { cost: 0, resetMs: 0 } : { cost: client.totalHits, resetMs }
  }

  close(): void {
    this.#memory.shutdown()
  }

  #countOne(key: string): Client {
    const { current, previous } = this.#memory
    const isNew = current.size + previous.size >= MAX_LOCAL_CLIENTS && this.#find(key) === undefined
    const counted = isNew ? OVERFLOW_KEY : key
    void this.#memory.increment(counted)
    return current.get(counted) as Client
  }

  #find(key: string): Client | undefined {
    const { current, previous } = this.#memory
    return current.get(key) ?? previous.get(key)
  }

  #remaining({ totalHits }: Client): number {
    const used = totalHits === 1 ? Math.min(this.#replicas, this.#limit) : totalHits * this.#replicas
    return Math.max(0, this.#limit - used)
  }
}
