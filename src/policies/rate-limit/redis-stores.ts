import type { Options } from 'express-rate-limit'
import { RedisStore } from 'rate-limit-redis'
import type { RateLimitPolicy } from './schema'
import type { RedisConnection, RedisScript } from '../../redis/connection'
import type { RateLimitStore, Standing } from './rate-limit-store'
import { CHARGE, HAND_BACK, TAKE } from './redis-scripts'

/**
 * Returns the Redis key of a policy's count. The part in braces selects the cluster slot: one script needs all counts of a
 * request in the same slot.
 */
export function redisKey(prefix: string, key: string): string {
  return `${prefix}{${key}}`
}

export function redisPrefix(routeName: string, policy: RateLimitPolicy): string {
  return `myesi:${policy.algorithm === 'gcra' ? 'gcra' : 'rl'}:${routeName}:${policy.name}:`
}

/** Store for one fixed window in which every request costs one; uses rate-limit-redis. */
export class RedisWindowStore implements RateLimitStore {
  /** Removes the store's preparation from the connection. */
  readonly close: () => void
  readonly #policy: RateLimitPolicy
  readonly #store: RedisStore

  constructor(routeName: string, policy: RateLimitPolicy, redis: RedisConnection) {
    this.#policy = policy
    this.#store = new RedisStore({
      prefix: redisPrefix(routeName, policy),
      sendCommand: (...args) => redis.command(args) as Promise<string>,
    })
    // Runs at each connect: rate-limit-redis keeps a failed SCRIPT LOAD, so the limiter would stay degraded.
    this.close = redis.prepareWith(() => this.#store.init({ windowMs: policy.windowMs } as Options))
  }

  take(key: string): Promise<Standing[]> {
    return this.#store.increment(redisKey('', key)).then(({ totalHits, resetTime }) => {
      const { limit, windowMs } = this.#policy
      const allowed = totalHits <= limit
      const resetMs = Math.max(0, (resetTime?.getTime() ?? Date.now() + windowMs) - Date.now())
      return [{ allowed, remaining: Math.max(0, limit - totalHits), resetMs, retryMs: allowed ? 0 : resetMs }]
    })
  }
}

/** Store for all other cases: several policies, GCRA, costs above one. One script, one round trip. */
export class RedisScriptStore implements RateLimitStore {
  readonly #policies: readonly RateLimitPolicy[]
  readonly #prefixes: readonly string[]
  readonly #take: RedisScript
  readonly #charge: RedisScript
  readonly #handBack: RedisScript

  constructor(routeName: string, policies: readonly RateLimitPolicy[], redis: RedisConnection) {
    this.#policies = policies
    this.#prefixes = policies.map(policy => redisPrefix(routeName, policy))
    this.#take = redis.script('takeRateLimit', TAKE)
    this.#charge = redis.script('chargeRateLimit', CHARGE)
    this.#handBack = redis.script('handBackRateLimit', HAND_BACK)
  }

  take(key: string, costs: readonly number[]): Promise<Standing[]> {
    const keys = this.#prefixes.map(prefix => redisKey(prefix, key))
    const args: (string | number)[] = []
    for (let i = 0; i < this.#policies.length; i++) {
      const { algorithm, limit, windowMs, dryRun } = this.#policies[i] as RateLimitPolicy
      args.push(algorithm, limit, windowMs, costs[i] as number, dryRun ? 0 : 1)
    }
    return this.#take(keys, args).then(readStandings)
  }

  /** Counts costs that became known after the request. */
  async charge(key: string, costs: readonly number[]): Promise<void> {
    const args = this.#policies.flatMap(({ algorithm, limit, windowMs }, i) => [
      algorithm,
      limit,
      windowMs,
      costs[i] ?? 0,
    ])
    await this.#charge(
      this.#prefixes.map(prefix => redisKey(prefix, key)),
      args,
    )
  }

  /** Counts requests that were allowed while Redis was unavailable: cost and rest of the window for each policy. */
  async handBack(key: string, counts: readonly { readonly cost: number; readonly resetMs: number }[]): Promise<void> {
    await Promise.all(
      this.#policies.map(async ({ algorithm, limit, windowMs }, i) => {
        const { cost = 0, resetMs = 0 } = counts[i] ?? {}
        if (cost <= 0 || resetMs <= 0) return
        const args = [algorithm, limit, windowMs, cost, Math.ceil(resetMs)]
        await this.#handBack([redisKey(this.#prefixes[i] as string, key)], args)
      }),
    )
  }
}

const FIELDS = 4

function readStandings(reply: unknown): Standing[] {
  const numbers = reply as readonly number[]
  const standings: Standing[] = []
  for (let i = 0; i + FIELDS <= numbers.length; i += FIELDS) {
    const [allowed, remaining, resetMs, retryMs] = numbers.slice(i, i + FIELDS) as [number, number, number, number]
    standings.push({ allowed: allowed === 1, remaining, resetMs, retryMs })
  }
  return standings
}
