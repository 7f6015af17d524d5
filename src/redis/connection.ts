import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { errorCode, toError } from '../errors/error-code'
import type { Logger } from '../telemetry/logger'

/** How long a request may wait for Redis. Above it the limiter decides alone. */
const COMMAND_TIMEOUT_MS = 200
/** A connection that answers nothing for so long is given up: behind a dead network it would never report its end. */
const FROZEN_CONNECTION_MS = 5_000
const CONNECT_TIMEOUT_MS = 2_000
/** Back within 2 s of Redis' return; jitter, so that replicas do not all come at once. */
const MAX_RECONNECT_DELAY_MS = 1_000
/** How often a Redis that is connected but of no use is tried again. */
const PROBE_INTERVAL_MS = 500
/** Written, because a Redis that is full, or has become a replica, still answers PING. */
const PROBE: readonly string[] = ['SET', 'myesi:probe', '1', 'PX', '1000']

/**
 * The one connection to Redis, and whether it can be relied on at this moment.
 *
 * Nothing waits in it: while Redis is away, silent or refusing, it is not to be asked, so that a dead or frozen Redis costs
 * the requests under way 200 ms and the following ones nothing. It comes back by itself, also when Redis was down at boot.
 */
export class RedisConnection {
  /** For logs: where Redis is, without credentials. */
  readonly address: string
  readonly #redis: Redis
  readonly #log: Logger
  /** What must be done on each new connection before it is used, for example loading scripts. */
  readonly #preparations: (() => Promise<void>)[] = []
  #state: 'connecting' | 'usable' | 'unusable' = 'connecting'
  #recovering = false
  #probeTimer: NodeJS.Timeout | undefined

  constructor(url: string, log: Logger) {
    this.#log = log
    const { hostname, port } = new URL(url)
    this.address = `${hostname}:${port || '6379'}`
    this.#redis = new Redis(url, {
      connectionName: 'myesi-gateway',
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: FROZEN_CONNECTION_MS,
      enableOfflineQueue: false, // else a request waits for as long as Redis is away
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false, // else a reconnect counts requests twice
      retryStrategy: attempt => Math.min(50 * 2 ** attempt, MAX_RECONNECT_DELAY_MS) * (0.5 + Math.random() / 2),
    })
    this.#redis.on('ready', () => void this.#recover())
    this.#redis.on('close', () => this.#fail('the connection is closed'))
    this.#redis.on('error', (error: unknown) => this.#fail(errorCode(error) ?? toError(error).message))
  }

  /** False while Redis is away, silent or not yet prepared: commands would fail. */
  get isUsable(): boolean {
    return this.#state === 'usable'
  }

  /** Has `prepare` run at each connection, before it counts as usable: a restarted Redis has forgotten its scripts. */
  prepareWith(prepare: () => Promise<void>): void {
    this.#preparations.push(prepare)
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
   * Sends one command.
   *
   * @throws Error when Redis is away, refuses the command, or has not answered within 200 ms
   */
  command(args: readonly string[]): Promise<unknown> {
    const [name = '', ...rest] = args
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail('no answer in time')
        reject(new Error(`Redis did not answer within ${COMMAND_TIMEOUT_MS} ms`))
      }, COMMAND_TIMEOUT_MS)
      this.#redis.call(name, ...rest).then(
        value => {
          clearTimeout(timer)
          resolve(value)
        },
        (reason: unknown) => {
          clearTimeout(timer)
          const error = toError(reason)
          if (isRefusal(error)) this.#fail(error.message)
          reject(error)
        },
      )
    })
  }

  close(): void {
    clearTimeout(this.#probeTimer)
    this.#redis.removeAllListeners('close')
    this.#redis.disconnect()
  }

  /** Tried off the request path: a Redis that answers, but too slowly, is not taken back to slow requests down again. */
  async #recover(): Promise<void> {
    if (this.isUsable || this.#recovering || this.#redis.status !== 'ready') return
    this.#recovering = true
    try {
      await this.command(PROBE)
      await Promise.all(this.#preparations.map(prepare => prepare()))
      this.#state = 'usable'
      this.#log.info({ event: 'redis_available', redis: this.address }, 'Redis is available')
    } catch (error) {
      this.#fail(toError(error).message)
    } finally {
      this.#recovering = false
    }
  }

  /** Logged once per outage. */
  #fail(reason: string): void {
    this.#probeSoon()
    if (this.#state === 'unusable') return
    this.#state = 'unusable'
    this.#log.warn({ event: 'redis_unavailable', redis: this.address, reason }, 'Redis is not available')
  }

  /** A new connection is tried when it is there; this is for the one that stays and is of no use. */
  #probeSoon(): void {
    clearTimeout(this.#probeTimer)
    this.#probeTimer = setTimeout(() => void this.#recover(), PROBE_INTERVAL_MS).unref()
  }
}

/** Redis answered, and said no: out of memory, read-only, loading, not permitted. A missing script is merely loaded again. */
function isRefusal(error: Error): boolean {
  return error.name === 'ReplyError' && !error.message.startsWith('NOSCRIPT')
}
