import { Client } from 'undici'
import type { buildConnector } from 'undici'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { HealthCheckConfig } from '../config/types'
import type { TlsName } from './connector'
import { grpcHealthFailure, grpcHealthRequest } from './http2/grpc-health'
import { probeHttp2 } from './http2/http2-probe'
import { errorCode, toError } from '../errors/error-code'
import type { HealthNews } from './target-news'

export interface HealthCheckOptions {
  readonly origin: string
  readonly config: HealthCheckConfig
  readonly connect: buildConnector.connector
  /** Empty for a target without https. */
  readonly tlsName: TlsName
  /** Maximum size of a response's header section. */
  readonly maxHeaderBytes: number
  /** Connects to a target that speaks HTTP/2, or may. */
  readonly connectHttp2: buildConnector.connector | undefined
  /** The target counts as unhealthy until its first check, which is made immediately. */
  readonly isAwaited: boolean
  /** Whether checks begin at once. Otherwise `start` begins them, and until then `hear` has the results of another process. */
  readonly isActive: boolean
  /** Called after every check. */
  readonly onResult: (hasPassed: boolean) => void
  /** Called after `isHealthy` has changed or became known. */
  readonly onChange: (isFirst: boolean) => void
  /** Called after every check, with the verdict. Undefined without other processes. */
  readonly tell?: ((news: HealthNews) => void) | undefined
}

/** Fraction of the interval by which checks are shifted, so that those of many gateways do not coincide. */
const JITTER = 0.1
/** The first check is made within this time, regardless of the interval. */
const FIRST_WITHIN_MS = 1_000

/**
 * Checks the health of a target at intervals, each time on a new connection. Pooled connections would not do: a busy
 * pool is no evidence against the target, and an open connection does not prove that it accepts new ones.
 */
export class HealthCheck {
  /** True until some checks in a row have failed, unless the first check is awaited. */
  isHealthy: boolean
  /** The first check is outstanding; other targets serve requests until then. */
  isAwaited: boolean
  /** Why the last check failed; undefined when it passed or there was none. */
  lastFailure: string | undefined
  /** This process makes the checks. */
  isActive = false
  readonly #options: HealthCheckOptions
  readonly #client: Client
  /** Consecutive checks that contradict `isHealthy`. */
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
    if (options.isActive) this.start()
  }

  /** Begins to check, unless it has begun. */
  start(): void {
    if (this.isActive) return
    this.isActive = true
    this.#wait(this.isAwaited ? 0 : Math.random() * Math.min(FIRST_WITHIN_MS, this.#options.config.intervalMs))
  }

  /** Takes over the verdict of another process. */
  hear({ isHealthy, failure }: HealthNews): void {
    this.lastFailure = failure ?? undefined
    const isFirst = this.isAwaited
    if (!isFirst && isHealthy === this.isHealthy) return
    this.#decide(isHealthy, isFirst)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    await this.#client.destroy()
  }

  #wait(ms: number): void {
    if (this.#isStopped) return
    // Outside any trace: a check belongs to no exchange.
    this.#timer = context.with(ROOT_CONTEXT, () => setTimeout(() => void this.#check(), ms).unref())
  }

  async #check(): Promise<void> {
    const failure = await this.#ask()
    if (this.#isStopped) return
    this.#recordResult(failure)
    const { intervalMs } = this.#options.config
    this.#wait(intervalMs * (1 - JITTER + 2 * JITTER * Math.random()))
  }

  /** @returns why the check failed; undefined if it passed */
  async #ask(): Promise<string | undefined> {
    try {
      return await (this.#options.connectHttp2 === undefined ? this.#askHttp1() : this.#askHttp2())
    } catch (error) {
      const { name, message } = toError(error)
      return name === 'TimeoutError'
        ? `no answer within ${this.#options.config.timeoutMs} ms`
        : (errorCode(error) ?? message)
    }
  }

  get #headers(): Record<string, string> {
    const { headers = [] } = this.#options.config
    return {
      'user-agent': 'myesi-gateway health check',
      ...Object.fromEntries(headers.map(({ name, value }) => [name, value])),
    }
  }

  async #askHttp1(): Promise<string | undefined> {
    const { path, timeoutMs, host } = this.#options.config
    const { statusCode, body } = await this.#client.request({
      path,
      method: 'GET',
      headers: { ...this.#headers, ...(host !== undefined && { host }) },
      ...this.#options.tlsName,
      reset: true,
      signal: AbortSignal.timeout(timeoutMs),
    })
    await body.dump()
    return passes(statusCode)
  }

  async #askHttp2(): Promise<string | undefined> {
    const { origin, connectHttp2, config } = this.#options
    const { grpc } = config
    const answer = await probeHttp2({
      origin,
      connect: connectHttp2 as buildConnector.connector,
      timeoutMs: config.timeoutMs,
      host: config.host,
      method: 'GET',
      path: config.path,
      headers: this.#headers,
      body: undefined,
      ...(grpc && grpcHealthRequest(grpc.service, this.#headers)),
    })
    if (answer === undefined) return grpc === undefined ? this.#askHttp1() : 'the target did not choose HTTP/2'
    return grpc === undefined ? passes(answer.status) : grpcHealthFailure(answer)
  }

  #recordResult(failure: string | undefined): void {
    const { healthyAfter, unhealthyAfter } = this.#options.config
    const hasPassed = failure === undefined
    this.lastFailure = failure
    this.#options.onResult(hasPassed)
    const isFirst = this.isAwaited
    this.#against = hasPassed === this.isHealthy ? 0 : this.#against + 1
    if (isFirst || this.#against >= (this.isHealthy ? unhealthyAfter : healthyAfter)) this.#decide(hasPassed, isFirst)
    this.#options.tell?.({ isHealthy: this.isHealthy, failure: failure ?? null })
  }

  #decide(isHealthy: boolean, isFirst: boolean): void {
    this.isAwaited = false
    this.isHealthy = isHealthy
    this.#against = 0
    this.#options.onChange(isFirst)
  }
}

function passes(status: number): string | undefined {
  return status < 400 ? undefined : `status ${status}`
}
