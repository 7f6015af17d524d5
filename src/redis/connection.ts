import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, type Redis } from 'ioredis'
import { redisTarget } from '../config/values/redis-url'
import { errorCode, toError } from '../errors/error-code'
import type { Logger } from '../telemetry/logger'
import { addressOf, createRedisClient } from './client'

/** How long a request may wait for Redis. Above it the limiter decides alone. */
const COMMAND_TIMEOUT_MS = 200
/** A Redis that is connected but of no use is tried again after this at the latest, and after half of it at the earliest. */
const PROBE_INTERVAL_MS = 500
/** Keys that are tried in a cluster: so many that each of its masters has some of them. */
const CLUSTER_PROBES = 32

/** Runs a script on keys of one slot. Fails as `command` does. */
export type RedisScript = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>

/** What must be done on each new connection, for example loading scripts. */
interface Preparation {
  readonly prepare: () => Promise<unknown>
  readonly resume: (() => void) | undefined
}

type ScriptCommand = (keys: number, ...keysAndArgs: (string | number)[]) => Promise<unknown>

/**
 * The one connection to Redis, and whether it can be relied on at this moment.
 *
 * Nothing waits in it: while Redis is away, silent or refusing, it is not to be asked, so that a dead or frozen Redis costs
 * the requests under way 200 ms and the following ones nothing. It comes back by itself, also when Redis was down at boot.
 */
export class RedisConnection {
  /** For logs: where Redis is, without credentials. */
  readonly address: string
  readonly #redis: Redis | Cluster
  readonly #log: Logger
  readonly #preparations: Preparation[] = []
  readonly #scripts = new Map<string, RedisScript>()
  #state: 'connecting' | 'usable' | 'unusable' = 'connecting'
  #recovering = false
  #closed = false
  #probeTimer: NodeJS.Timeout | undefined

  constructor(url: string, log: Logger) {
    this.#log = log
    this.address = addressOf(redisTarget(url))
    this.#redis = createRedisClient(url, 'myesi-gateway')
    this.#redis.on('ready', () => void this.#recover())
    this.#redis.on('close', () => this.#fail('the connection is closed'))
    this.#redis.on('error', (error: unknown) => this.#fail(errorCode(error) ?? toError(error).message))
  }

  /** False while Redis is away, silent or not yet prepared: commands would fail. */
  get isUsable(): boolean {
    return this.#state === 'usable'
  }

  /**
   * Has `prepare` run at each connection, before it counts as usable: a restarted Redis has forgotten its scripts. Then
   * `resume` runs, in the moment from which requests ask Redis again: what it sends is there before what they send.
   */
  prepareWith(prepare: () => Promise<unknown>, resume?: () => void): void {
    this.#preparations.push({ prepare, resume })
    // Connected before whoever asks: without this, what needs the preparation would fail until the next reconnect.
    if (this.isUsable) prepare().catch((error: unknown) => this.#fail(toError(error).message))
  }

  /** Waits for the first connection, at most `timeoutMs`; true when Redis is usable. */
  async settle(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (this.#state === 'connecting' && performance.now() < deadline) await sleep(10)
    return this.isUsable
  }

  /**
   * Sends one command; a script is loaded on every master of a cluster.
   *
   * @throws Error when Redis is away, refuses the command, or has not answered within 200 ms
   */
  command(args: readonly string[]): Promise<unknown> {
    const [name = '', ...rest] = args
    const redis = this.#redis
    if (redis instanceof Cluster && name === 'SCRIPT') {
      return this.#timed(Promise.all(redis.nodes('master').map(node => node.call(name, ...rest))).then(([sha]) => sha))
    }
    return this.#timed(redis.call(name, ...rest))
  }

  /** A script by its name: sent once, then called by its digest. The same name is the same script. */
  script(name: string, lua: string): RedisScript {
    const known = this.#scripts.get(name)
    if (known !== undefined) return known
    this.#redis.defineCommand(name, { lua })
    const run = (Reflect.get(this.#redis, name) as ScriptCommand).bind(this.#redis)
    const script: RedisScript = (keys, args) => this.#timed(run(keys.length, ...keys, ...args))
    this.#scripts.set(name, script)
    return script
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#probeTimer)
    this.#redis.removeAllListeners('close')
    this.#redis.disconnect()
  }

  #timed(reply: Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const giveUp = (): void => {
        if (isAnswered) return
        this.#fail('no answer in time')
        reject(new Error(`Redis did not answer within ${COMMAND_TIMEOUT_MS} ms`))
      }
      // Answers that came while the event loop was held are read first, or a busy gateway would take Redis for slow.
      const timer = setTimeout(() => setImmediate(giveUp), COMMAND_TIMEOUT_MS)
      reply.then(
        value => {
          isAnswered = true
          clearTimeout(timer)
          resolve(value)
        },
        (reason: unknown) => {
          isAnswered = true
          clearTimeout(timer)
          const error = toError(reason)
          if (!isMissingScript(error)) this.#fail(error.message)
          reject(error)
        },
      )
    })
  }

  /** Tried off the request path: a Redis that answers, but too slowly, is not taken back to slow requests down again. */
  async #recover(): Promise<void> {
    if (this.isUsable || this.#recovering || this.#redis.status !== 'ready') return
    this.#recovering = true
    try {
      await this.#probe()
      await this.#prepare()
      this.#state = 'usable'
      for (const { resume } of this.#preparations) resume?.()
      this.#log.info({ event: 'redis_available', redis: this.address }, 'Redis is available')
    } catch (error) {
      this.#fail(toError(error).message)
    } finally {
      this.#recovering = false
    }
  }

  /** Written, because a Redis that is full, or has become a replica, still answers PING. */
  async #probe(): Promise<void> {
    const probes = this.#redis instanceof Cluster ? CLUSTER_PROBES : 1
    const keys = Array.from({ length: probes }, (_, i) => (i === 0 ? 'myesi:probe' : `myesi:probe:${i}`))
    await Promise.all(keys.map(key => this.command(['SET', key, '1', 'PX', '1000'])))
  }

  /** Those that are added meanwhile too. */
  async #prepare(): Promise<void> {
    let prepared = 0
    while (prepared < this.#preparations.length) {
      const next = this.#preparations.slice(prepared)
      prepared = this.#preparations.length
      await Promise.all(next.map(({ prepare }) => prepare()))
    }
  }

  /** Logged once per outage. */
  #fail(reason: string): void {
    if (this.#closed) return
    this.#probeSoon()
    if (this.#state === 'unusable') return
    this.#state = 'unusable'
    this.#log.warn({ event: 'redis_unavailable', redis: this.address, reason }, 'Redis is not available')
  }

  /** A new connection is tried when it is there; this is for the one that stays and is of no use. */
  #probeSoon(): void {
    clearTimeout(this.#probeTimer)
    // Jitter: all replicas have noticed in the same moment, and must not all come back in one.
    const delayMs = PROBE_INTERVAL_MS * (0.5 + Math.random() / 2)
    this.#probeTimer = setTimeout(() => void this.#recover(), delayMs).unref()
  }
}

/** It is merely loaded again; any other failure says that Redis cannot be relied on: full, read-only, loading, gone. */
function isMissingScript(error: Error): boolean {
  return error.message.startsWith('NOSCRIPT')
}
