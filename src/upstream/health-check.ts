import { Client } from 'undici'
import type { buildConnector } from 'undici'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { HealthCheckConfig } from '../config/types'
import type { TlsName } from './connector'
import { errorCode, toError } from '../errors/error-code'

export interface HealthCheckOptions {
  readonly origin: string
  readonly config: HealthCheckConfig
  readonly connect: buildConnector.connector
  /** Of a target that is https. */
  readonly tlsName: TlsName
  /** Bytes of a response's header section. */
  readonly maxHeaderBytes: number
  /** The first check decides whether the target is well; made at once. */
  readonly isAwaited: boolean
  /** After every check. */
  readonly onResult: (hasPassed: boolean) => void
  /** Called after `isHealthy` has changed, or is known for the first time. */
  readonly onChange: (isFirst: boolean) => void
}

/** Part of the interval by which checks come earlier or later: those of many gateways must not come together. */
const JITTER = 0.1
/** The first check is made within this time, whatever the interval. */
const FIRST_WITHIN_MS = 1_000

/**
 * Asks a target again and again how it is. Over connections of its own, one for each check: a pool that is busy says
 * nothing of the target, and a connection that is already there nothing of whether it takes new ones.
 */
export class HealthCheck {
  /** A target is well until some checks in a row have failed, where its first one is not awaited: nobody knows better. */
  isHealthy: boolean
  /** Nothing is known yet, and others can be asked until it is. */
  isAwaited: boolean
  /** Why the last check failed; undefined when it passed or there was none. */
  lastFailure: string | undefined
  readonly #options: HealthCheckOptions
  readonly #client: Client
  /** Checks in a row that speak against `isHealthy`. */
  #against = 0
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: HealthCheckOptions) {
    this.#options = options
    this.isAwaited = options.isAwaited
    this.isHealthy = !options.isAwaited
    const { timeoutMs } = options.config
    this.#client = new Client(options.origin, {
      connect: options.connect,
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    this.#wait(this.isAwaited ? 0 : Math.random() * Math.min(FIRST_WITHIN_MS, options.config.intervalMs))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#client.destroy()
  }

  #wait(ms: number): void {
    if (this.#isStopped) return
    // In the trace of nobody: a check belongs to no request.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(() => void this.#check(), ms).unref())
  }

  async #check(): Promise<void> {
    const failure = await this.#ask()
    if (this.#isStopped) return
    this.#judge(failure)
    const { intervalMs } = this.#options.config
    this.#wait(intervalMs * (1 - JITTER + 2 * JITTER * Math.random()))
  }

  /** @returns why it failed */
  async #ask(): Promise<string | undefined> {
    const { path, timeoutMs, host, headers = [] } = this.#options.config
    try {
      const { statusCode, body } = await this.#client.request({
        path,
        method: 'GET',
        headers: {
          'user-agent': 'myesi-gateway health check',
          ...(host !== undefined && { host }),
          ...Object.fromEntries(headers.map(({ name, value }) => [name, value])),
        },
        ...this.#options.tlsName,
        reset: true,
        signal: AbortSignal.timeout(timeoutMs),
      })
      await body.dump()
      return statusCode < 400 ? undefined : `status ${statusCode}`
    } catch (error) {
      const { name, message } = toError(error)
      return name === 'TimeoutError' ? `no answer within ${timeoutMs} ms` : (errorCode(error) ?? message)
    }
  }

  #judge(failure: string | undefined): void {
    const { healthyAfter, unhealthyAfter } = this.#options.config
    const hasPassed = failure === undefined
    this.lastFailure = failure
    this.#options.onResult(hasPassed)
    const isFirst = this.isAwaited
    this.#against = hasPassed === this.isHealthy ? 0 : this.#against + 1
    if (!isFirst && this.#against < (this.isHealthy ? unhealthyAfter : healthyAfter)) return
    this.isAwaited = false
    this.isHealthy = hasPassed
    this.#against = 0
    this.#options.onChange(isFirst)
  }
}
