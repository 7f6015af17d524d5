import { MemoryStore, type ClientRateLimitInfo, type Options, type Store } from 'express-rate-limit'
import { RedisStore } from 'rate-limit-redis'
import { GatewayError } from '../../errors/gateway-error'
import type { RateLimitPolicy } from '../../config/types'
import type { RedisConnection } from '../../redis/connection'

/** Who counted a request: Redis for all replicas, this process alone, or nobody. */
export type AnsweringStore = 'redis' | 'local' | 'none'

/** Clients counted in memory per policy; those above it share one count, so that memory stays bounded. */
const MAX_LOCAL_CLIENTS = 100_000
const OVERFLOW_KEY = 'overflow'

/**
 * Counts in Redis, and in this process along with it, so that the local count is ready when Redis fails. What then
 * happens is the policy's `onStoreFailure`. Takes Redis back by itself.
 */
export class RateLimitStore implements Store {
  readonly #policy: RateLimitPolicy
  readonly #replicas: number
  readonly #redis: RedisConnection | undefined
  readonly #shared: RedisStore | undefined
  readonly #local = new MemoryStore()
  /** express-rate-limit hands on nothing of a store's answer but the reset time, so the answer is known by that. */
  readonly #answeredBy = new WeakMap<Date, AnsweringStore>()

  constructor(
    policy: RateLimitPolicy,
    options: { prefix: string; replicas: number; redis: RedisConnection | undefined },
  ) {
    this.#policy = policy
    this.#replicas = options.replicas
    this.#redis = options.redis
    const { redis } = options
    this.#shared =
      redis &&
      new RedisStore({ prefix: options.prefix, sendCommand: (...args) => redis.command(args) as Promise<string> })
  }

  init(options: Options): void {
    this.#local.init(options)
    // Not init() at once: it keeps a failed SCRIPT LOAD for ever, and the limiter would never come back.
    this.#redis?.prepareWith(async () => this.#shared?.init(options))
  }

  async increment(key: string): Promise<ClientRateLimitInfo> {
    const local = await this.#countLocally(key)
    if (!this.#shared) return this.#answer('local', local)
    if (this.#redis?.isUsable) {
      try {
        return this.#answer('redis', await this.#shared.increment(key))
      } catch {
        // The connection has noted and logged it; the policy decides below.
      }
    }
    switch (this.#policy.onStoreFailure) {
      case 'local':
        return this.#answer('local', local)
      case 'open':
        return this.#answer('none', { totalHits: 1, resetTime: new Date(Date.now() + this.#policy.windowMs) })
      case 'closed':
        throw new GatewayError('limiter_unavailable', { headers: ['Retry-After', '1'] })
    }
  }

  /** Which store gave the answer that carries this reset time. */
  answeredBy(resetTime: Date | undefined): AnsweringStore {
    return (resetTime && this.#answeredBy.get(resetTime)) ?? 'none'
  }

  async decrement(key: string): Promise<void> {
    await this.#local.decrement(key)
    if (this.#redis?.isUsable) await this.#shared?.decrement(key)
  }

  async resetKey(key: string): Promise<void> {
    await this.#local.resetKey(key)
    if (this.#redis?.isUsable) await this.#shared?.resetKey(key)
  }

  shutdown(): void {
    this.#local.shutdown()
  }

  /**
   * Hits of this process, as if every replica had the same: so the whole fleet keeps to the limit (limit ÷ replicas). One
   * request per window always passes, or with more replicas than requests nobody would get through at all.
   */
  async #countLocally(key: string): Promise<ClientRateLimitInfo> {
    const clients = this.#local.current.size + this.#local.previous.size
    const isNew = clients >= MAX_LOCAL_CLIENTS && (await this.#local.get(key)) === undefined
    const { totalHits, resetTime } = await this.#local.increment(isNew ? OVERFLOW_KEY : key)
    const { limit } = this.#policy
    return { totalHits: totalHits === 1 ? Math.min(this.#replicas, limit) : totalHits * this.#replicas, resetTime }
  }

  #answer(store: AnsweringStore, info: ClientRateLimitInfo): ClientRateLimitInfo {
    if (info.resetTime) this.#answeredBy.set(info.resetTime, store)
    return info
  }
}
