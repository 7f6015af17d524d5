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
import { LostSlots, SLOTS } from './lost-slots'
import { RedisMetrics } from './redis-metrics'
import { TurnWrites } from './turn-writes'

/** Default time that a request may wait for Redis. After it the limiter decides locally. */
const COMMAND_TIMEOUT_MS = 200
/** Longest interval between probes of a Redis that is connected but unavailable; the shortest is half of it. */
const PROBE_INTERVAL_MS = 500
const PROBE_KEY = 'myesi:probe'

/** Runs a script on keys of one slot. Fails as `command` does. */
export type RedisScript = (keys: readonly string[], args: readonly (string | number)[]) => Promise<unknown>

/** Work that is done on each new connection, for example loading scripts. */
interface Preparation {
  readonly prepare: Prepare
  readonly resume: ((isServed: IsServed) => void) | undefined
}

/** Whether Redis can be asked about a key; false for some keys while a cluster has lost a master. */
export type IsServed = (key: string) => boolean

type Prepare = (isServed: IsServed) => Promise<unknown>

export interface RedisConnectionOptions extends RedisCredentials {
  /** How long a reply may take. */
  readonly timeoutMs?: number | undefined
}

/** A period in which Redis is not used. */
interface Outage {
  /** Milliseconds since the epoch. */
  readonly sinceMs: number
  /** The latest known cause. */
  readonly reason: string
  readonly type: string
}

/** A key in one of the slots of a master. */
interface Probe {
  readonly key: string
  readonly slots: ReadonlySet<number>
}

interface Probed {
  readonly slots: ReadonlySet<number>
  readonly slowestMs: number
  readonly failed: readonly { readonly key: string; readonly error: unknown }[]
}

type ScriptCommand = (keys: number, ...keysAndArgs: (string | number)[]) => Promise<unknown>

/**
 * The connection to Redis and its availability.
 *
 * Commands are never queued. While Redis is unreachable, silent or refusing, it is not used, so a dead or frozen Redis
 * costs the exchanges in flight one timeout and later ones nothing. It recovers by itself, also if Redis was down at
 * boot.
 */
export class RedisConnection {
  /** Address of Redis for logs, without credentials. */
  readonly address: string
  readonly #redis: Redis | Cluster
  readonly #log: Logger
  readonly #metrics: RedisMetrics
  readonly #preparations = new Set<Preparation>()
  readonly #scripts = new Map<string, RedisScript>()
  readonly #timeoutMs: number
  readonly #clientOptions: RedisClientOptions
  readonly #calm: Calm
  /** For lost masters of a cluster, apart from the cluster as a whole. */
  readonly #calmOfParts: Calm
  /** Undefined unless Redis is a cluster. */
  readonly #lost: LostSlots | undefined
  readonly #turnWrites: TurnWrites
  /** Kinds of causes that were logged in this outage, so that each is logged once. */
  readonly #reported = new Set<string>()
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
    this.#calmOfParts = new Calm(timeoutMs)
    this.#log = log
    this.address = addressOf(redisTarget(url))
    this.#clientOptions = { url, connectionName: 'myesi-gateway', ...credentials }
    const redis = createRedisClient(this.#clientOptions)
    this.#redis = redis
    this.#turnWrites = new TurnWrites(redis)
    this.#lost = redis instanceof Cluster ? new LostSlots(redis) : undefined
    this.#metrics = new RedisMetrics(this.address, {
      nodes: () => (redis instanceof Cluster ? redis.nodes() : [redis]),
      cause: () => this.#outage?.type,
    })
    if (redis instanceof Cluster) {
      redis.on('+node', (node: Redis) => this.#metrics.watch(node))
      // The cluster's own error only says that no node is left.
      redis.on('node error', (error: unknown) => this.#learnCause(error))
    } else this.#metrics.watch(redis)
    neverGivesUp(redis, () => this.#closed)
    redis.on('ready', () => this.#byItself(() => this.#recover()))
    redis.on('close', () => this.#fail(new Error('the connection is closed')))
    redis.on('error', (error: unknown) => this.#fail(error))
  }

  /** Whether commands can be sent; false while Redis is unreachable, silent or not yet prepared. */
  get isUsable(): boolean {
    return this.#state === 'usable'
  }

  /** Whether all keys are served: `isUsable`, and no master of a cluster is lost. */
  get isWhole(): boolean {
    return this.isUsable && (this.#lost === undefined || this.#lost.size === 0)
  }

  /** Whether commands with this key can be sent. */
  serves(key: string): boolean {
    return this.isUsable && this.#lost?.has(key) !== true
  }

  /** The current outage, of all or a part of Redis; undefined while all is used, and before the first connection. */
  get outage(): Outage | undefined {
    const lost = this.isUsable ? (this.#lost?.size ?? 0) : 0
    if (this.#outage === undefined || lost === 0) return this.#outage
    return { ...this.#outage, reason: `${lost} of ${SLOTS} slots: ${this.#outage.reason}` }
  }

  /**
   * Runs `prepare` on each new connection before it becomes usable, because a restarted Redis has lost its scripts.
   * Then runs `resume`, whose commands reach Redis before those of later requests. Both run again for the keys of a cluster's
   * master that was lost, and are given what is served then.
   *
   * @returns a function that removes both callbacks
   */
  prepareWith(prepare: Prepare, resume?: (isServed: IsServed) => void): () => void {
    const preparation: Preparation = { prepare, resume }
    this.#preparations.add(preparation)
    // Already connected: without this, commands that need the preparation would fail until the next reconnect.
    if (this.isUsable)
      this.#byItself(async () =>
        prepare(this.#isServed).then(
          () => {},
          (error: unknown) => this.#fail(error),
        ),
      )
    return () => void this.#preparations.delete(preparation)
  }

  /** Waits for the first connection, at most `timeoutMs`; returns whether Redis is usable. */
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
      const masters = redis.nodes('master').filter(node => this.#lost?.isMaster(node) !== true)
      return this.#timed(Promise.all(masters.map(node => node.call(name, ...rest))).then(([sha]) => sha))
    }
    this.#turnWrites.join()
    return this.#timed(redis.call(name, ...rest), name === 'EVALSHA' ? rest[2] : rest[0])
  }

  /** Returns a function that runs a script, which is sent once and then called by its digest. Names must be unique. */
  script(name: string, lua: string): RedisScript {
    const known = this.#scripts.get(name)
    if (known !== undefined) return known
    this.#redis.defineCommand(name, { lua })
    const run = (Reflect.get(this.#redis, name) as ScriptCommand).bind(this.#redis)
    const script: RedisScript = (keys, args) => {
      this.#turnWrites.join()
      return this.#timed(run(keys.length, ...keys, ...args), keys[0])
    }
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

  readonly #isServed: IsServed = key => this.#lost?.willHave(key) !== true

  /** @param key a key of the command; in a cluster only its master has failed if the command fails */
  #timed(reply: Promise<unknown>, key?: string): Promise<unknown> {
    const isOfRequest = this.isUsable
    return new Promise((resolve, reject) => {
      let isAnswered = false
      const fail = (error: unknown): void => {
        if (isOfRequest) this.#metrics.countError(error)
        this.#failFor(key, error)
      }
      const giveUp = (): void => {
        if (isAnswered) return
        const error = new RedisTimeout(this.#timeoutMs)
        isAnswered = true
        fail(error)
        reject(error)
      }
      // Replies that arrived while the event loop was blocked are read first; a busy gateway would else take Redis for
      // slow.
      let timer: NodeJS.Timeout | undefined
      this.#turnWrites.whenSent(() => {
        if (!isAnswered) timer = setTimeout(() => setImmediate(giveUp), this.#timeoutMs)
      })
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

  /** Runs an action outside any request's context, in the background. Its commands belong to no request. */
  #byItself(act: () => Promise<void>): void {
    void context.with(ROOT_CONTEXT.setValue(OWN_COMMANDS, true), act)
  }

  /**
   * Tests Redis outside the request path, so that a Redis that replies too slowly does not slow requests down again.
   */
  async #recover(): Promise<void> {
    if (this.isWhole || this.#recovering || this.#redis.status !== 'ready') return
    this.#recovering = true
    try {
      if (this.isUsable) await this.#recoverPart()
      else await this.#recoverAll()
    } catch (error) {
      if (this.isUsable) this.#probeSoon()
      else this.#fail(error)
    } finally {
      this.#recovering = false
    }
  }

  async #recoverAll(): Promise<void> {
    if (!this.#calm.isOver(await this.#probe())) return this.#probeSoon()
    await this.#prepare()
    for (const { resume } of this.#preparations) resume?.(this.#isServed)
    this.#state = 'usable'
    this.#calm.back()
    this.#reportUse()
  }

  /** Tests the masters that now have the lost slots, and uses those that answer. */
  async #recoverPart(): Promise<void> {
    const lost = this.#lost as LostSlots
    const { slots, slowestMs } = await this.#probeMasters(lost.probes('lost'))
    if (slots.size === 0 || !this.#calmOfParts.isOver(slowestMs)) return this.#probeSoon()
    await lost.give(slots, async () => {
      await this.#prepare()
      for (const { resume } of this.#preparations) resume?.(this.#isServed)
    })
    this.#calmOfParts.back()
    this.#reportUse()
  }

  /** Ends the outage, or its part if some slots are still lost. */
  #reportUse(): void {
    if (!this.isWhole) {
      const lostSlots = this.#lost?.size
      const event = { event: 'redis_partly_available', redis: this.address, lost_slots: lostSlots }
      this.#log.warn(event, 'Redis is available except for some slots')
      return this.#probeSoon()
    }
    this.#outage = undefined
    this.#reported.clear()
    this.#log.info({ event: 'redis_available', redis: this.address }, 'Redis is available')
  }

  /**
   * Probes with a write, because a Redis that is full or has become a replica still answers PING. One master of a cluster
   * that answers is enough: slots of the others are lost.
   *
   * @returns the milliseconds that the slowest answer took
   */
  async #probe(): Promise<number> {
    const startedAt = performance.now()
    if (!(this.#redis instanceof Cluster)) {
      await this.#timed(selectDatabase(this.#redis))
      await this.command(['SET', PROBE_KEY, '1', 'PX', '1000'])
      return performance.now() - startedAt
    }
    const lost = this.#lost as LostSlots
    await connectMasters(this.#redis)
    const { slots, slowestMs, failed } = await this.#probeMasters(lost.probes('all'))
    if (slots.size === 0) throw failed[0]?.error ?? new Error('the cluster has no master with slots')
    lost.clear()
    for (const { key } of failed) lost.lose(key)
    return slowestMs
  }

  /** @returns the slots of the masters that answered, and keys of those that did not */
  async #probeMasters(probes: readonly Probe[]): Promise<Probed> {
    const slots = new Set<number>()
    const failed: { key: string; error: unknown }[] = []
    let slowestMs = 0
    await Promise.all(
      probes.map(async ({ key, slots: ofMaster }) => {
        const startedAt = performance.now()
        try {
          await this.command(['SET', key, '1', 'PX', '1000'])
          slowestMs = Math.max(slowestMs, performance.now() - startedAt)
          for (const slot of ofMaster) slots.add(slot)
        } catch (error) {
          failed.push({ key, error })
        }
      }),
    )
    return { slots, slowestMs, failed }
  }

  /** Runs all preparations, including those that are added meanwhile. */
  async #prepare(): Promise<void> {
    const prepared = new Set<Preparation>()
    for (;;) {
      const next = [...this.#preparations].filter(preparation => !prepared.has(preparation))
      if (next.length === 0) return
      for (const preparation of next) prepared.add(preparation)
      await Promise.all(next.map(({ prepare }) => prepare(this.#isServed)))
    }
  }

  /** Records the failure of a command with this key: of a cluster's master alone, unless the whole cluster has failed. */
  #failFor(key: string | undefined, error: unknown): void {
    const lost = this.#lost
    if (lost === undefined || key === undefined || !this.isUsable || isOfWholeCluster(error)) return this.#fail(error)
    if (this.#closed) return
    const isNew = !lost.has(key)
    if (isNew) lost.lose(key)
    if (lost.areAll) return this.#fail(error)
    this.#probeSoon()
    if (error instanceof RedisTimeout) this.#calmOfParts.tooSlow(isNew)
    if (this.#outage !== undefined) return this.#learnCause(error)
    this.#startOutage(error)
    // What cut off one master may have cut off others; requests should not have to find out.
    this.#byItself(async () => void (await this.#probeMasters(lost.probes('all'))))
  }

  /** Starts or updates an outage. Logs once per outage, and once for each further kind of cause. */
  #fail(error: unknown): void {
    if (this.#closed) return
    this.#probeSoon()
    if (error instanceof RedisTimeout) this.#calm.tooSlow(this.isUsable)
    if (this.#state === 'unusable') return this.#learnCause(error)
    this.#state = 'unusable'
    this.#lost?.clear()
    // A cluster that loses one master after the other has one outage.
    if (this.#outage !== undefined) return this.#learnCause(error)
    this.#startOutage(error)
  }

  #startOutage(error: unknown): void {
    this.#metrics.countOutage(error)
    const { reason, type } = failureOf(error)
    this.#outage = { sinceMs: Date.now(), reason, type }
    this.#reported.add(type)
    const lostSlots = this.#lost === undefined || this.#lost.size === 0 ? {} : { lost_slots: this.#lost.size }
    this.#log.warn(
      { event: 'redis_unavailable', redis: this.address, reason, ...lostSlots },
      lostSlots.lost_slots === undefined ? 'Redis is not available' : 'A part of the Redis cluster is not available',
    )
  }

  /**
   * Updates the cause of an outage. After a change of password, for example, the first error is only a closed
   * connection.
   */
  #learnCause(error: unknown): void {
    if (this.#closed || this.#outage === undefined) return
    const { reason, type, isTelling } = failureOf(error)
    if (!isTelling) void this.#askForCause()
    if (!isTelling || reason === this.#outage.reason) return
    this.#outage = { ...this.#outage, reason, type }
    if (this.#reported.has(type)) return
    this.#reported.add(type)
    this.#log.warn({ event: 'redis_cause', redis: this.address, reason }, 'Redis is still not available')
  }

  /** Determines why a cluster cannot be reached, which its client does not report. Runs one test at a time. */
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

  /** Schedules a probe of a connection that stays open but is unusable; a new connection is tested when it opens. */
  #probeSoon(): void {
    clearTimeout(this.#probeTimer)
    // Jitter, because all replicas detected the outage at the same moment and must not all return at once.
    const delayMs = PROBE_INTERVAL_MS * (0.5 + Math.random() / 2)
    this.#probeTimer = setTimeout(() => this.#byItself(() => this.#recover()), delayMs).unref()
  }
}

/** Connects to all masters. ioredis connects at the first command, and other commands fail until it is connected. */
async function connectMasters(cluster: Cluster): Promise<void> {
  const waiting = cluster.nodes('master').filter(({ status }) => status === 'wait')
  // The probes that follow show which of them cannot be reached.
  await Promise.allSettled(waiting.map(node => node.connect()))
}

/** Whether no master of a cluster serves requests: one is lost, and the cluster requires all. */
function isOfWholeCluster(error: unknown): boolean {
  return failureOf(error).reason.startsWith('CLUSTERDOWN The cluster is down')
}

/** Whether the script only has to be loaded again. Any other failure means that Redis is unavailable. */
function isMissingScript(error: Error): boolean {
  return error.message.startsWith('NOSCRIPT')
}
