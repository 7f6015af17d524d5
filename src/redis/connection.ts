import { setTimeout as sleep } from 'node:timers/promises'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { Cluster, type Redis } from 'ioredis'
import { redisTarget } from '../config/values/redis-url'
import { errorCode, toError } from '../errors/error-code'
import type { Logger } from '../telemetry/logger'
import { OWN_COMMANDS } from '../telemetry/own-commands'
import { addressOf, createRedisClient, neverGivesUp, type SentinelLogin } from './client'
import { RedisTimeout } from './error-type'
import { RedisMetrics } from './redis-metrics'

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
  readonly #metrics: RedisMetrics
  readonly #preparations = new Set<Preparation>()
  readonly #scripts = new Map<string, RedisScript>()
  #state: 'connecting' | 'usable' | 'unusable' = 'connecting'
  #recovering = false
  #outage: { readonly sinceMs: number; readonly reason: string } | undefined
  #closed = false
  #probeTimer: NodeJS.Timeout | undefined

  constructor(url: string, log: Logger, sentinelLogin?: SentinelLogin) {
    this.#log = log
    this.address = addressOf(redisTarget(url))
    const redis = createRedisClient({ url, connectionName: 'myesi-gateway', sentinelLogin })
    this.#redis = redis
    this.#metrics = new RedisMetrics(this.address, () => (redis instanceof Cluster ? redis.nodes() : [redis]))
    if (redis instanceof Cluster) redis.on('+node', (node: Redis) => this.#metrics.watch(node))
    else this.#metrics.watch(redis)
    neverGivesUp(redis, () => this.#closed)
    redis.on('ready', () => this.#byItself(() => this.#recover()))
    redis.on('close', () => this.#fail(new Error('the connection is closed')))
    redis.on('error', (error: unknown) => this.#fail(error))
  }

  /** False while Redis is away, silent or not yet prepared: commands would fail. */
  get isUsable(): boolean {
    return this.#state === 'usable'
  }

  /** Since when (milliseconds since the epoch) and why it is not to be asked; undefined while it is, and at the start. */
  get outage(): { readonly sinceMs: number; readonly reason: string } | undefined {
    return this.#outage
  }

  /**
   * Has `prepare` run at each connection, before it counts as usable: a restarted Redis has forgotten its scripts. Then
   * `resume` runs, in the moment from which requests ask Redis again: what it sends is there before what they send.
   *
   * @returns ends that
   */
  prepareWith(prepare: () => Promise<unknown>, resume?: () => void): () => void {
    const preparation: Preparation = { prepare, resume }
    this.#preparations.add(preparation)
    // Connected before whoever asks: without this, what needs the preparation would fail until the next reconnect.
    if (this.isUsable)
      this.#byItself(async () =>
        prepare().then(
          () => {},
          (error: unknown) => this.#fail(error),
        ),
      )
    return () => void this.#preparations.delete(preparation)
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
    this.#metrics.close()
    this.#redis.removeAllListeners('close')
    this.#redis.disconnect()
  }

  #timed(reply: Promise<unknown>): Promise<unknown> {
    const isOfRequest = this.isUsable
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const fail = (error: unknown): void => {
        if (isOfRequest) this.#metrics.countError(error)
        this.#fail(error)
      }
      const giveUp = (): void => {
        if (isAnswered) return
        const error = new RedisTimeout(COMMAND_TIMEOUT_MS)
        isAnswered = true
        fail(error)
        reject(error)
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
          clearTimeout(timer)
          const isLate = isAnswered
          isAnswered = true
          const error = toError(reason)
          if (!isLate && !isMissingScript(error)) fail(error)
          reject(error)
        },
      )
    })
  }

  /** Whichever request made it necessary: what it sends is part of none, and nobody waits for it. */
  #byItself(act: () => Promise<void>): void {
    void context.with(ROOT_CONTEXT.setValue(OWN_COMMANDS, true), act)
  }

  /** Tried off the request path: a Redis that answers, but too slowly, is not taken back to slow requests down again. */
  async #recover(): Promise<void> {
    if (this.isUsable || this.#recovering || this.#redis.status !== 'ready') return
    this.#recovering = true
    try {
      await this.#probe()
      await this.#prepare()
      for (const { resume } of this.#preparations) resume?.()
      this.#state = 'usable'
      this.#outage = undefined
      this.#log.info({ event: 'redis_available', redis: this.address }, 'Redis is available')
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#recovering = false
    }
  }

  /** Written, because a Redis that is full, or has become a replica, still answers PING. */
  async #probe(): Promise<void> {
    if (this.#redis instanceof Cluster) await connectMasters(this.#redis)
    const probes = this.#redis instanceof Cluster ? CLUSTER_PROBES : 1
    const keys = Array.from({ length: probes }, (_, i) => (i === 0 ? 'myesi:probe' : `myesi:probe:${i}`))
    await Promise.all(keys.map(key => this.command(['SET', key, '1', 'PX', '1000'])))
  }

  /** Those that are added meanwhile too. */
  async #prepare(): Promise<void> {
    const prepared = new Set<Preparation>()
    for (;;) {
      const next = [...this.#preparations].filter(preparation => !prepared.has(preparation))
      if (next.length === 0) return
      for (const preparation of next) prepared.add(preparation)
      await Promise.all(next.map(({ prepare }) => prepare()))
    }
  }

  /** Logged once per outage. */
  #fail(error: unknown): void {
    if (this.#closed) return
    this.#probeSoon()
    if (this.#state === 'unusable') return
    this.#state = 'unusable'
    this.#metrics.countOutage(error)
    const reason = error instanceof RedisTimeout ? 'no answer in time' : (errorCode(error) ?? toError(error).message)
    this.#outage = { sinceMs: Date.now(), reason }
    this.#log.warn({ event: 'redis_unavailable', redis: this.address, reason }, 'Redis is not available')
  }

  /** A new connection is tried when it is there; this is for the one that stays and is of no use. */
  #probeSoon(): void {
    clearTimeout(this.#probeTimer)
    // Jitter: all replicas have noticed in the same moment, and must not all come back in one.
    const delayMs = PROBE_INTERVAL_MS * (0.5 + Math.random() / 2)
    this.#probeTimer = setTimeout(() => this.#byItself(() => this.#recover()), delayMs).unref()
  }
}

/** A connection is made when it is first used, and whatever else is asked while it is being made fails. */
async function connectMasters(cluster: Cluster): Promise<void> {
  const waiting = cluster.nodes('master').filter(({ status }) => status === 'wait')
  await Promise.all(waiting.map(node => node.connect()))
}

/** It is merely loaded again; any other failure says that Redis cannot be relied on: full, read-only, loading, gone. */
function isMissingScript(error: Error): boolean {
  return error.message.startsWith('NOSCRIPT')
}
