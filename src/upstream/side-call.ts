import { context } from '@opentelemetry/api'
import type { Dispatcher } from 'undici'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { consumerOrClientKey } from '../exchange/client-key'
import type { Exchange } from '../exchange/exchange'
import type { CallTelemetry, ClientTelemetry } from './client-telemetry'
import type { ClientShare, ConnectionUser } from './connection-queue'
import type { TlsName } from './connector'
import { NO_CONNECTION } from './failure-set'
import type { ParsedHeaders } from './response-headers'
import type { Target } from './target'
import type { Upstream } from './upstream'
import type { ConnectedCall, UpstreamClient } from './upstream-client'
import { toGatewayError } from './upstream-errors'

export interface SideCallOptions {
  readonly upstream: Upstream
  /** Path with query, sent exactly as written. */
  readonly path: string
  /** Maximum time for the whole response, waiting for a connection and further attempts included. */
  readonly timeoutMs: number
  /** Maximum bytes of the body that are kept. */
  readonly maxBodyBytes: number
  /** Returns the header section as flat name, value pairs, names in lower case. Called for each attempt. */
  readonly headersOf: (exchange: Exchange) => string[]
}

export interface SideAnswer {
  readonly statusCode: number
  /** Flat name, value pairs, names in lower case. */
  readonly fields: readonly string[]
  /** Undefined if it is larger than `maxBodyBytes`. */
  readonly body: Buffer | undefined
}

/**
 * Makes a GET to an upstream before a request is forwarded. It shares the connections, circuits and ejections of the
 * upstream with forwarded calls, and has a CLIENT span of its own.
 *
 * @returns undefined if the client left meanwhile; the outcome is recorded then
 * @throws GatewayError with the reason why there is no answer
 */
export async function callAside(
  exchange: Exchange,
  options: SideCallOptions,
  telemetry: ClientTelemetry,
): Promise<SideAnswer | undefined> {
  const deadline = performance.now() + options.timeoutMs
  const tried: Target[] = []
  let target: Target | undefined = options.upstream.pick(exchange)
  let fresh = false
  for (;;) {
    const call = new SideCall(exchange, target, options, { fresh, deadline, telemetry })
    const result = await call.made
    if (!('failure' in result)) return result.answer
    // The request is safe and has no body. It is repeated where a forwarded one would be: on another target if none of it
    // was sent, and on a new connection if the kept one was just being closed. Both are bounded by the number of targets.
    if (result.isStale && !fresh) {
      target.begin()
      fresh = true
      continue
    }
    tried.push(target)
    const isUnsent = NO_CONNECTION.has(result.failure.reason)
    const other = isUnsent && performance.now() < deadline ? options.upstream.pickUntried(tried, exchange) : undefined
    if (other === undefined) throw result.failure
    target = other
    fresh = false
  }
}

type Result =
  { readonly answer: SideAnswer | undefined } | { readonly failure: GatewayError; readonly isStale: boolean }

interface Attempt {
  /** Whether the call opens a connection of its own. */
  readonly fresh: boolean
  /** Monotonic clock. */
  readonly deadline: number
  readonly telemetry: ClientTelemetry
}

/** Makes a side call with the telemetry of the gateway. */
export type CallAside = (exchange: Exchange, options: SideCallOptions) => Promise<SideAnswer | undefined>

/** One call to a target, as an undici dispatch handler. */
class SideCall implements Dispatcher.DispatchHandler, ConnectedCall, ConnectionUser {
  connection: UpstreamClient | undefined
  readonly made: Promise<Result>
  readonly #exchange: Exchange
  readonly #target: Target
  readonly #options: SideCallOptions
  readonly #telemetry: CallTelemetry
  readonly #isFresh: boolean
  readonly #deadline: NodeJS.Timeout
  #resolve: (result: Result) => void = ignore
  #controller: Dispatcher.DispatchController | undefined
  #request: (Dispatcher.DispatchOptions & TlsName) | undefined
  #isQueued = false
  #holdsConnection = false
  #isReused = false
  #isAnswered = false
  #isSettled = false
  #statusCode = 0
  #fields: string[] = []
  readonly #chunks: Buffer[] = []
  #bytes = 0
  // Fields owned by `ConnectionQueue`.
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  queuedAt = 0
  yieldingSince = 0

  /** @param target on which `begin()` was called */
  constructor(exchange: Exchange, target: Target, options: SideCallOptions, { fresh, deadline, telemetry }: Attempt) {
    this.#exchange = exchange
    this.#target = target
    this.#options = options
    this.#isFresh = fresh
    this.made = new Promise(resolve => (this.#resolve = resolve))
    this.#deadline = setTimeout(() => this.#onDeadline(), Math.max(0, deadline - performance.now()))
    // Told when the client leaves, so that nobody works for a request that is gone.
    exchange.call = this
    const headers = options.headersOf(exchange)
    const sentHost = target.hostSent(options.upstream.host, exchange.request.headers.host)
    if (sentHost !== undefined) headers.push('host', sentHost)
    this.#telemetry = telemetry.begin(exchange, target.attributes, pathOnly(options.path), headers, undefined, 'GET')
    const request: Dispatcher.DispatchOptions & TlsName = { path: options.path, method: 'GET', headers }
    if (target.tlsName !== undefined) request.servername = target.tlsName
    if (target.connections.enter(this, consumerOrClientKey(exchange))) {
      this.#holdsConnection = true
      this.#dispatch(request)
      if (this.#controller !== undefined || this.#isSettled) return
    } else this.#request = request
    this.#isQueued = true
    target.waitingCalls++
  }

  #dispatch(request: Dispatcher.DispatchOptions): void {
    if (this.#isFresh) this.#target.dispatchFresh(request, this)
    else this.#target.pool.dispatch(request, this)
  }

  onConnection(): void {
    const request = this.#request as Dispatcher.DispatchOptions
    this.#request = undefined
    this.#holdsConnection = true
    // The caller runs in the context of the exchange that released the connection.
    context.with(this.#exchange.context, () => this.#dispatch(request))
  }

  onNoConnection(error: Error): void {
    this.#fail(error)
  }

  /** Never called: a response that is read at once is never stalled. */
  yieldConnection(): void {}

  onClientClose(): void {
    if (this.#isSettled) return
    this.#exchange.conclude('client_closed', 'client_closed')
    this.#settle()
    if (this.#isQueued) this.#telemetry.abandoned('client_closed')
    else this.#telemetry.failed('client_closed', undefined, undefined)
    this.#leave()
    this.#controller?.abort(OVER)
    this.#resolve({ answer: undefined })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#leaveQueue()
    // Throwing keeps the connection; abort() would close it.
    if (this.#isSettled) throw OVER
    this.#controller = controller
    this.#isReused = this.connection?.countUse() === true
    this.#telemetry.sent()
  }

  onResponseStarted(): void {
    this.#isAnswered = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number, _headers: ParsedHeaders): void {
    if (this.#isSettled || statusCode < 200) return
    this.#statusCode = statusCode
    this.#target.concluded(statusCode >= 500 ? 'upstream_5xx' : undefined, statusCode)
    this.#fields = ((controller.rawHeaders ?? []) as readonly (Buffer | string)[]).map((part, i) => {
      const text = typeof part === 'string' ? part : part.toString('latin1')
      return i % 2 === 0 ? text.toLowerCase() : text
    })
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isSettled) return
    this.#bytes += chunk.length
    if (this.#bytes <= this.#options.maxBodyBytes) {
      this.#chunks.push(chunk)
      return
    }
    this.#answer(undefined)
    controller.abort(OVER)
  }

  onResponseEnd(): void {
    this.#releaseConnection()
    if (!this.#isSettled) this.#answer(Buffer.concat(this.#chunks))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#leaveQueue()
    this.#releaseConnection()
    this.#fail(error)
  }

  #answer(body: Buffer | undefined): void {
    this.#settle()
    this.#telemetry.responded(this.#statusCode)
    this.#resolve({ answer: { statusCode: this.#statusCode, fields: this.#fields, body } })
  }

  #onDeadline(): void {
    if (this.#isSettled) return
    this.#fail(new GatewayError('response_timeout', { cause: new Error(`no answer in ${this.#options.timeoutMs} ms`) }))
    this.#controller?.abort(OVER)
  }

  #fail(error: Error): void {
    if (this.#isSettled) return
    const failure = toGatewayError(error)
    const isStale = failure.reason === 'reset' && this.#isReused && !this.#isAnswered
    this.#settle()
    this.#report(failure, isStale)
    this.#leave()
    this.#resolve({ failure, isStale })
  }

  #report({ reason, cause }: GatewayError, isStale: boolean): void {
    // A call that waits for a connection sent nothing, and its target is not at fault; nor is one that closes idle ones.
    if (this.#isQueued && this.#request !== undefined) return this.#telemetry.abandoned(reason)
    if (!isStale) this.#target.concluded(reason satisfies Reason, undefined)
    this.#telemetry.failed(reason, cause, this.#statusCode || undefined)
  }

  #settle(): void {
    this.#isSettled = true
    clearTimeout(this.#deadline)
    if (this.#exchange.call === this) this.#exchange.call = undefined
    this.#target.end()
  }

  /** Leaves the queue for connections, if the call still waits there. */
  #leave(): void {
    if (this.#request === undefined) return
    this.#request = undefined
    this.#leaveQueue()
    this.#target.connections.leave(this)
  }

  #leaveQueue(): void {
    if (!this.#isQueued) return
    this.#isQueued = false
    this.#target.waitingCalls--
  }

  #releaseConnection(): void {
    if (!this.#holdsConnection) return
    this.#holdsConnection = false
    this.#target.connections.release(this)
  }
}

function pathOnly(path: string): string {
  return path.split('?', 1)[0] as string
}

function ignore(): void {}

const OVER = new GatewayError('client_closed')
