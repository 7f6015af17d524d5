import { setTimeout as sleep } from 'node:timers/promises'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import { Cluster, type Redis } from 'ioredis'
import { redisTarget } from '../config/values/redis-url'
import { toError } from '../errors/error-code'
import type { Logger } from '../telemetry/logger'
import { OWN_COMMANDS } from '../telemetry/own-commands'
import { Calm } from './calm'
import {
  addressOf,
  createRedisClient,
  findConnectionError,
  neverGivesUp,
  selectDatabase,
  type RedisClientOptions,
  type RedisCredentials,
} from './client'
import { RedisTimeout } from './error-type'
import { failureOf } from './failure'
import { RedisMetrics } from './redis-metrics'

/** How long a request may wait for Redis, where no setting says otherwise. Above it the limiter decides alone. */
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

export interface RedisConnectionOptions extends RedisCredentials {
  /** How long an answer may take. */
  readonly timeoutMs?: number | undefined
}

/** A time in which Redis is not asked. */
interface Outage {
  /** Milliseconds since the epoch. */
  readonly sinceMs: number
  /** The latest cause that is known. */
  readonly reason: string
  readonly type: string
}

type ScriptCommand = (keys: number, ...keysAndArgs: (string | number)[]) => Promise<unknown>

/**
 * The one connection to Redis, and whether it can be relied on at this moment.
 *
 * Nothing waits in it: while Redis is away, silent or refusing, it is not to be asked, so that a dead or frozen Redis costs
 * the requests under way one timeout and the following ones nothing. It comes back by itself, also when Redis was down at boot.
 */
export class RedisConnection {
  /** For logs: where Redis is, without credentials. */
  readonly address: string
  readonly #redis: Redis | Cluster
  readonly #log: Logger
  readonly #metrics: RedisMetrics
  readonly #preparations = new Set<Preparation>()
  readonly #scripts = new Map<string, RedisScript>()
  readonly #timeoutMs: number
  readonly #clientOptions: RedisClientOptions
  readonly #calm: Calm
  /** Kinds of causes that were logged in this outage: each once, and there are few. */
  readonly #said = new Set<string>()
  #state: 'connecting' | 'usable' | 'unusable' = 'connecting'
  #recovering = false
  #isAsking = false
  #outage: Outage | undefined
  #closed = false
  #probeTimer: NodeJS.Timeout | undefined

  constructor(
    url: string,
    log: Logger,
    { timeoutMs = COMMAND_TIMEOUT_MS, ...credentials }: RedisConnectionOptions = {},
  ) {
    this.#timeoutMs = timeoutMs
    this.#calm = new Calm(timeoutMs)
    this.#log = log
    this.address = addressOf(redisTarget(url))
    this.#clientOptions = { url, connectionName: 'myesi-gateway', ...credentials }
    const redis = createRedisClient(this.#clientOptions)
    this.#redis = redis
    this.#metrics = new RedisMetrics(this.address, {
      nodes: () => (redis instanceof Cluster ? redis.nodes() : [redis]),
      cause: () => this.#outage?.type,
    })
    if (redis instanceof Cluster) {
      redis.on('+node', (node: Redis) => this.#metrics.watch(node))
      // The cluster's own error says no more than that no node is left.
      redis.on('node error', (error: unknown) => this.#learnCause(error))
    } else this.#metrics.watch(redis)
    neverGivesUp(redis, () => this.#closed)
    redis.on('ready', () => this.#byItself(() => this.#recover()))
    redis.on('close', () => this.#fail(new Error('the connection is closed')))
    redis.on('error', (error: unknown) => this.#fail(error))
  }

  /** False while Redis is away, silent or not yet prepared: commands would fail. */
  get isUsable(): boolean {
    return this.#state === 'usable'
  }

  /** Since when and why it is not to be asked; undefined while it is, and at the start. */
  get outage(): Outage | undefined {
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
   * @throws Error when Redis is away, refuses the command, or has not answered in time
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
        const error = new RedisTimeout(this.#timeoutMs)
        isAnswered = true
        fail(error)
        reject(error)
      }
      // Answers that came while the event loop was held are read first, or a busy gateway would take Redis for slow.
      const timer = setTimeout(() => setImmediate(giveUp), this.#timeoutMs)
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
      const startedAt = performance.now()
      await this.#probe()
      if (!this.#calm.isOver(performance.now() - startedAt)) return this.#probeSoon()
      await this.#prepare()
      for (const { resume } of this.#preparations) resume?.()
      this.#state = 'usable'
      this.#outage = undefined
      this.#said.clear()
      this.#calm.back()
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
    else await this.#timed(selectDatabase(this.#redis))
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

  /** Logged once per outage, and once more for each kind of cause that is learned meanwhile. */
  #fail(error: unknown): void {
    if (this.#closed) return
    this.#probeSoon()
    if (error instanceof RedisTimeout) this.#calm.tooSlow(this.isUsable)
    if (this.#state === 'unusable') return this.#learnCause(error)
    this.#state = 'unusable'
    this.#metrics.countOutage(error)
    const { reason, type } = failureOf(error)
    this.#outage = { sinceMs: Date.now(), reason, type }
    this.#said.add(type)
    this.#log.warn({ event: 'redis_unavailable', redis: this.address, reason }, 'Redis is not available')
  }

  /** Where a restarted Redis wants another password, the first cause is a closed connection, and the one that counts comes later. */
  #learnCause(error: unknown): void {
    if (this.#closed || this.#outage === undefined) return
    const { reason, type, isTelling } = failureOf(error)
    if (!isTelling) void this.#askForCause()
    if (!isTelling || reason === this.#outage.reason) return
    this.#outage = { ...this.#outage, reason, type }
    if (this.#said.has(type)) return
    this.#said.add(type)
    this.#log.warn({ event: 'redis_cause', redis: this.address, reason }, 'Redis is still not available')
  }

  /** Only a cluster does not say by itself; one question at a time, as often as it fails to connect. */
  async #askForCause(): Promise<void> {
    if (!(this.#redis instanceof Cluster) || this.#redis.status === 'ready' || this.#isAsking) return
    this.#isAsking = true
    try {
      const error = await context.with(
        ROOT_CONTEXT.setValue(OWN_COMMANDS, true),
        findConnectionError,
        undefined,
        this.#clientOptions,
      )
      if (error !== undefined && failureOf(error).isTelling) this.#learnCause(error)
    } finally {
      this.#isAsking = false
    }
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
