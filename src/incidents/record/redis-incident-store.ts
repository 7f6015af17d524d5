import { once } from 'node:events'
import type { Cluster, Redis } from 'ioredis'
import { createRedisClient, neverGivesUp, selectDatabase, type RedisCredentials } from '../../redis/client'
import { MAX_CHANGE_AGE_MS, MAX_CHANGES, readChange, type ChangeStore, type PostedChange } from './change-log'
import type { Incident } from './incident'
import { isIncidentId, parseIncident, MAX_AGE_MS, MAX_INCIDENTS, type IncidentStore } from './incident-store'

/** The common hash tag puts all keys into one cluster slot, as a transaction requires. */
const INDEX = 'myesi:{incidents}'
const KEY_PREFIX = 'myesi:{incidents}:'
const CHANGES = 'myesi:{changes}'
const COMMAND_TIMEOUT_MS = 1_000

/** Stores one JSON string per incident; a sorted set holds the ids in order of creation. */
export class RedisIncidentStore implements IncidentStore, ChangeStore {
  readonly #redis: Redis | Cluster
  #closed = false
  /** The shared connection attempt. */
  #connecting: Promise<unknown> | undefined
  /** The database selection of the current connection. */
  #selected: Promise<void> | undefined

  constructor(url: string, onError: (error: unknown) => void, credentials: RedisCredentials = {}) {
    const options = { url, connectionName: 'myesi-incidents', commandTimeoutMs: COMMAND_TIMEOUT_MS, ...credentials }
    this.#redis = createRedisClient(options)
    neverGivesUp(this.#redis, () => this.#closed)
    this.#redis.on('error', onError)
    this.#redis.on('close', () => (this.#selected = undefined))
  }

  async put(incident: Incident): Promise<void> {
    await this.#connected()
    const transaction = this.#redis
      .multi()
      .set(KEY_PREFIX + incident.id, JSON.stringify(incident), 'PX', MAX_AGE_MS)
      .zadd(INDEX, incident.openedAtMs, incident.id)
      .zremrangebyscore(INDEX, '-inf', Date.now() - MAX_AGE_MS)
    const results = await transaction.exec()
    const failed = results?.find(([error]) => error !== null)?.[0]
    if (failed) throw failed
    await this.#forgetTooMany()
  }

  async get(id: string): Promise<Incident | undefined> {
    if (!isIncidentId(id)) return undefined
    await this.#connected()
    const json = await this.#redis.get(KEY_PREFIX + id)
    return json === null ? undefined : parseIncident(json)
  }

  async list(limit: number): Promise<Incident[]> {
    await this.#connected()
    const ids = await this.#redis.zrevrange(INDEX, 0, limit - 1)
    if (ids.length === 0) return []
    const found = await this.#redis.mget(ids.map(id => KEY_PREFIX + id))
    return found.flatMap(json => (json === null ? undefined : parseIncident(json)) ?? [])
  }

  async addChange(change: PostedChange): Promise<void> {
    await this.#connected()
    const results = await this.#redis
      .multi()
      .zadd(CHANGES, change.timeMs, JSON.stringify(change))
      .zremrangebyrank(CHANGES, 0, -MAX_CHANGES - 1)
      .pexpire(CHANGES, MAX_CHANGE_AGE_MS)
      .exec()
    const failed = results?.find(([error]) => error !== null)?.[0]
    if (failed) throw failed
  }

  async changes(): Promise<PostedChange[]> {
    await this.#connected()
    const found = await this.#redis.zrangebyscore(CHANGES, Date.now() - MAX_CHANGE_AGE_MS, '+inf')
    return found.flatMap(json => parseChangeJson(json) ?? [])
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#redis.disconnect()
    await Promise.resolve()
  }

  /**
   * Waits for the connection: commands before it are rejected, and the first one, which reads the open incidents, is
   * sent at the start.
   */
  async #connected(): Promise<void> {
    if (this.#redis.status !== 'ready') await this.#becomesReady()
    try {
      await (this.#selected ??= selectDatabase(this.#redis))
    } catch (error) {
      this.#selected = undefined
      throw error
    }
  }

  async #becomesReady(): Promise<void> {
    this.#connecting ??= once(this.#redis, 'ready', { signal: AbortSignal.timeout(COMMAND_TIMEOUT_MS) })
    try {
      await this.#connecting
    } catch (cause) {
      throw new Error('Redis is not connected', { cause })
    } finally {
      this.#connecting = undefined
    }
  }

  async #forgetTooMany(): Promise<void> {
    const tooMany = await this.#redis.zrange(INDEX, 0, String(-MAX_INCIDENTS - 1))
    if (tooMany.length === 0) return
    await this.#redis.zrem(INDEX, ...tooMany)
    await this.#redis.del(...tooMany.map(id => KEY_PREFIX + id))
  }
}

function parseChangeJson(json: string): PostedChange | undefined {
  try {
    return readChange(JSON.parse(json))
  } catch {
    return undefined
  }
}
