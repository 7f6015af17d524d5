import type { RateLimitPolicy } from './schema'
import type { IsServed, RedisConnection } from '../../redis/connection'
import { LocalStore } from './local-store'
import { OutageCounts } from './outage-counts'
import type { AnsweringStore, RateLimitStore, Standing } from './rate-limit-store'
import { redisKey, RedisScriptStore, RedisWindowStore } from './redis-stores'
import { Refusals } from './refusals'

/** Result of counting one request in one group. */
export interface Verdict {
  readonly store: AnsweringStore
  /** Undefined if the request was not counted. */
  readonly standings: readonly Standing[] | undefined
  /** Degraded mode that replaces counting in Redis; undefined if not degraded. */
  readonly degraded: RateLimitPolicy['onStoreFailure'] | undefined
}

export interface PolicyGroupOptions {
  /** Name of the route, or of what several routes share. */
  readonly routeName: string
  /** Policies that count by the same key and do the same when Redis fails. */
  readonly policies: readonly [RateLimitPolicy, ...RateLimitPolicy[]]
  readonly replicas: number
  readonly redis: RedisConnection | undefined
}

/**
 * Counts in Redis and in this process, so that the local count is ready when Redis fails. While degraded, it applies the
 * policies' `onStoreFailure`. When Redis is back, it hands over the counts of the outage.
 */
export class PolicyGroup {
  readonly #policies: readonly RateLimitPolicy[]
  readonly #onStoreFailure: RateLimitPolicy['onStoreFailure']
  readonly #local: LocalStore
  readonly #redis: RedisConnection | undefined
  readonly #shared: RateLimitStore | undefined
  readonly #scripts: RedisScriptStore | undefined
  readonly #refusals = new Refusals()
  readonly #owed = new OutageCounts()
  #unprepare: (() => void) | undefined

  constructor({ routeName, policies, replicas, redis }: PolicyGroupOptions) {
    this.#policies = policies
    this.#onStoreFailure = policies[0].onStoreFailure
    this.#local = new LocalStore(policies, replicas)
    this.#redis = redis
    if (redis === undefined) return
    const scripts = new RedisScriptStore(routeName, policies, redis)
    this.#scripts = scripts
    this.#shared = isPlainWindow(policies) ? new RedisWindowStore(routeName, policies[0], redis) : scripts
    const prepare = async (isServed: IsServed): Promise<void> => {
      this.#refusals.clear()
      await this.#owed.handBack(this.#local, scripts, key => isServed(redisKey('', key)))
    }
    const resume = (isServed: IsServed): void =>
      void this.#owed.handBackRest(this.#local, scripts, key => isServed(redisKey('', key)))
    this.#unprepare = redis.prepareWith(prepare, resume)
  }

  /** Never throws, and its promise never rejects. */
  take(key: string, costs: readonly number[]): Verdict | Promise<Verdict> {
    if (this.#shared === undefined)
      return { store: 'local', standings: this.#local.take(key, costs), degraded: undefined }
    if (!this.#isServed(key)) return this.#withoutRedis(key, costs)
    const refused = this.#refusals.recall(key, costs)
    if (refused !== undefined) return { store: 'redis', standings: refused, degraded: undefined }
    return (this.#shared.take(key, costs) as Promise<readonly Standing[]>).then(
      standings => this.#fromRedis(key, costs, standings),
      // The connection has already recorded and logged the failure.
      () => this.#withoutRedis(key, costs),
    )
  }

  /** Counts costs that became known after a request was counted, one for each policy. Never throws. */
  charge(key: string, costs: readonly number[]): void {
    const isLocal = this.#onStoreFailure === 'local'
    if (this.#scripts === undefined || isLocal) this.#local.charge(key, costs)
    if (this.#scripts === undefined) return
    const owe = (): void => {
      if (isLocal) this.#owed.add(key, costs)
    }
    if (!this.#isServed(key)) return owe()
    // The connection has already recorded and logged the failure.
    this.#scripts.charge(key, costs).catch(owe)
  }

  close(): void {
    this.#unprepare?.()
    this.#shared?.close?.()
    this.#local.close()
  }

  /** Whether Redis can be asked about a client. The key is made only while a part of Redis is lost. */
  #isServed(key: string): boolean {
    const redis = this.#redis
    return redis !== undefined && (redis.isWhole || redis.serves(redisKey('', key)))
  }

  #fromRedis(key: string, costs: readonly number[], standings: readonly Standing[]): Verdict {
    const retryMs = retryAfterMs(this.#policies, standings)
    if (retryMs > 0) this.#refusals.remember(key, costs, standings, retryMs)
    else if (this.#onStoreFailure === 'local') this.#local.note(key, costs, standings)
    return { store: 'redis', standings, degraded: undefined }
  }

  #withoutRedis(key: string, costs: readonly number[]): Verdict {
    const degraded = this.#onStoreFailure
    if (degraded !== 'local') return { store: 'none', standings: undefined, degraded }
    const standings = this.#local.take(key, costs)
    if (retryAfterMs(this.#policies, standings) === 0) this.#owed.add(key, costs)
    return { store: 'local', standings, degraded }
  }
}

/** Returns the milliseconds until no policy would refuse the request; 0 if none does. A dry run never refuses. */
export function retryAfterMs(policies: readonly RateLimitPolicy[], standings: readonly Standing[]): number {
  let longest = 0
  for (let i = 0; i < standings.length; i++) {
    const { allowed, retryMs } = standings[i] as Standing
    if (!allowed && policies[i]?.dryRun !== true) longest = Math.max(longest, retryMs, 1)
  }
  return longest
}

function isPlainWindow(policies: readonly RateLimitPolicy[]): boolean {
  const [policy, ...others] = policies
  return others.length === 0 && policy?.algorithm === 'fixed-window' && costsOne(policy)
}

function costsOne({ cost }: RateLimitPolicy): boolean {
  return cost.standard === 1 && Object.keys(cost.methods).length === 0
}
