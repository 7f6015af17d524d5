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

/**
 * The one connection to Redis, and whether it can be relied on at this moment.
 *
 * Nothing waits in it: while Redis is away or silent, commands fail at once, so that a dead or frozen Redis costs one
 * request 200 ms and the following ones nothing. It comes back by itself, also when Redis was down at boot.
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
    const reply = this.#redis.call(name, ...rest)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`Redis did not answer within ${COMMAND_TIMEOUT_MS} ms`))
        this.#freeze(reply)
      }, COMMAND_TIMEOUT_MS)
      reply.then(
        value => {
          clearTimeout(timer)
          resolve(value)
        },
        (error: unknown) => {
          clearTimeout(timer)
          reject(toError(error))
        },
      )
    })
  }

  close(): void {
    this.#redis.removeAllListeners('close')
    this.#redis.disconnect()
  }

  /** Silent but connected. The late answer to the very same command is the news that Redis may be back. */
  #freeze(reply: Promise<unknown>): void {
    this.#fail('no answer in time')
    reply.then(
      () => void this.#recover(),
      () => undefined, // the connection broke meanwhile: 'ready' will tell
    )
  }

  /** Tried off the request path: a Redis that answers, but too slowly, is not taken back to slow requests down again. */
  async #recover(): Promise<void> {
    if (this.isUsable || this.#recovering || this.#redis.status !== 'ready') return
    this.#recovering = true
    try {
      await this.command(['PING'])
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
    if (this.#state === 'unusable') return
    this.#state = 'unusable'
    this.#log.warn({ event: 'redis_unavailable', redis: this.address, reason }, 'Redis is not available')
  }
}
