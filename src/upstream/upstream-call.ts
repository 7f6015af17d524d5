import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex, Writable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { context } from '@opentelemetry/api'
import { consumerOrClientKey } from '../exchange/client-key'
import type { HostSent } from '../config/values/host-sent'
import type { Exchange, Upgrade } from '../exchange/exchange'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { CallTimer, type TimedCall } from './call-timer'
import type { CallTelemetry, ClientTelemetry } from './client-telemetry'
import { asksForConnectionLogin, isConnectionLogin } from './connection-login'
import type { ClientShare, ConnectionUser } from './connection-queue'
import {
  countDownload,
  endDownload,
  expectDownload,
  expectEnd,
  type LeastDownload,
  type WaitingResponse,
} from './download-pace'
import { NO_CONNECTION } from './failure-set'
import { passInformation } from './information'
import type { RequestBody } from './request-body'
import { buildRequestHeaders, joined, type FieldRules } from './request-headers'
import { ResponseBuffer, type BufferOwner, type ResponseBufferLimits, type ResponseMemory } from './response-buffer'
import {
  buildTrailers,
  fieldsForClient,
  reasonPhrase,
  refuseTransferCodings,
  writeHeaderSection,
  type ParsedHeaders,
} from './response-headers'
import { isIdempotent } from './retry-policy'
import type { Target } from './target'
import { openTunnel } from './tunnel'
import { transformBody } from './transform-body'
import { ImmediateBatch } from './immediate-batch'
import type { Upstream } from './upstream'
import type { TlsName } from './connector'
import type { ConnectedCall, UpstreamClient } from './upstream-client'
import { overloaded, toGatewayError } from './upstream-errors'

export interface CallOptions {
  readonly upstream: Upstream
  readonly telemetry: ClientTelemetry
  /** The prefix that was removed from the path. */
  readonly forwardedPrefix: string | undefined
  /** The `Host` that the target receives. */
  readonly host: HostSent
  readonly retry: 'idempotent' | 'always' | 'never'
  /** How long a call may wait for a connection, free or newly opened. */
  readonly connectionMs: number
  /** How long the upstream may stay silent before its response begins, while the gateway waits for it. */
  readonly responseMs: number
  /** How long a client may stall its upload or download. A stalled call holds one of few upstream connections. */
  readonly clientStallMs: number
  /** The minimum rate at which a client must read a response that waits for it. */
  readonly leastDownload: LeastDownload
  /** How many bytes of a response the gateway may buffer for its client. */
  readonly responseBuffer: ResponseBufferLimits
  readonly responseMemory: ResponseMemory
  /** The longest pause between two chunks. */
  readonly idleMs: number
  /** The time limit of the exchange, from the request's header section to the last byte of its response. */
  readonly totalMs: number | undefined
  /** The idle timeout of a connection that was upgraded to WebSocket. */
  readonly webSocketIdleMs: number
  /** Selects the request fields that are not forwarded to the target. */
  readonly fieldRules: FieldRules
  /** Trace fields that the gateway sets itself in every call. */
  readonly replacedFields: ReadonlySet<string>
  readonly onFailure: (exchange: Exchange, error: unknown) => void
}

/** The earlier calls of a request that is sent again. */
export interface Resend {
  /** Calls made before this one. */
  readonly count: number
  /** Why the previous call failed. */
  readonly reason: Reason
  readonly tried: readonly Target[]
  /** How many of the earlier calls count against `retries.attempts`. */
  readonly retries: number
  /** The request was already repeated once because a connection broke before the first response byte. */
  readonly wasRepeated: boolean
  /** The call must not reuse a connection. */
  readonly needsFreshConnection: boolean
}

/** Makes one call to a target. The call answers the client or starts a retry that does. */
export function sendCall(
  exchange: Exchange,
  target: Target,
  body: RequestBody | null,
  options: CallOptions,
  resend: Resend | undefined,
): void {
  if (resend !== undefined) exchange.failedTarget ??= exchange.target
  exchange.attempts++
  exchange.target = target.origin
  const path = exchange.forwardedPath
  const headers = buildRequestHeaders(exchange, options.fieldRules, options.replacedFields, options.forwardedPrefix)
  const host = options.host === 'client' ? exchange.request.headers.host : options.host
  const sentHost = host === undefined || host === '' || host === 'target' ? undefined : host
  if (sentHost !== undefined) headers.push('host', sentHost)
  if (exchange.hooks !== undefined) {
    const attempt = { number: (resend?.count ?? 0) + 1, target: target.origin, fields: headers }
    try {
      for (const hook of exchange.hooks.onAttempt) hook(exchange, attempt)
    } catch (error) {
      target.end()
      body?.destroy()
      return options.onFailure(exchange, error)
    }
  }
  const telemetry = options.telemetry.begin(exchange, target.attributes, path, headers, resend)
  const call = new UpstreamCall(exchange, target, body, options, telemetry, resend)
  const dispatched: Dispatcher.DispatchOptions & TlsName = {
    path: path + exchange.query,
    method: exchange.request.method as Dispatcher.HttpMethod,
    headers,
    body,
    upgrade: exchange.upgrade === undefined ? null : 'websocket',
  }
  if (target.tlsName !== undefined) dispatched.servername = target.tlsName
  if (isConnectionLogin(exchange.request.headers.authorization)) dispatched.reset = true
  call.begin(dispatched)
}

/** One call to a target, as an undici dispatch handler. Its methods run in the order in which they are declared. */
class UpstreamCall
  implements Dispatcher.DispatchHandler, ConnectedCall, TimedCall, ConnectionUser, WaitingResponse, BufferOwner
{
  connection: UpstreamClient | undefined
  readonly #exchange: Exchange
  readonly #target: Target
  #body: RequestBody | null
  readonly #options: CallOptions
  readonly #telemetry: CallTelemetry
  readonly #resend: Resend | undefined
  readonly #timer: CallTimer
  /** The destination of the response body: the client's response, or the first body transform of a policy. */
  #sink: Writable
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  /** The connection carried earlier requests, so the upstream may have closed it just as this request was sent. */
  #isReused = false
  /** The first response byte has arrived. */
  #isAnswered = false
  /** The response asks for a connection-based login (NTLM), so the connection must carry no further request. */
  #asksForLogin = false
  #statusCode: number | undefined
  /** Bytes of the response body still to come; -1 without `Content-Length`. */
  #remaining = -1
  #bodyStarted = false
  #deadline: NodeJS.Timeout | undefined
  /** Runs while a client that sent `Expect: 100-continue` holds back its body. */
  #continueTimer: NodeJS.Timeout | undefined
  /** Runs while the call waits for a connection. */
  #patience: NodeJS.Timeout | undefined
  /** The call has no connection yet. undici keeps it queued until there is one, even after it was settled. */
  #isQueued = false
  /** The request to dispatch once another call releases a connection. */
  #request: Dispatcher.DispatchOptions | undefined
  #holdsConnection = false
  /** Created when the client reads more slowly than the upstream sends. */
  #buffer: ResponseBuffer | undefined
  #isOutOfTime = false
  /** undici will make no further callback for this call. */
  #isOver = false
  // Fields owned by `ConnectionQueue`.
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  queuedAt = 0
  yieldingSince = 0
  // Fields owned by `download-pace.ts`.
  paceIndex = -1
  takeBy = Infinity

  constructor(
    exchange: Exchange,
    target: Target,
    body: RequestBody | null,
    options: CallOptions,
    telemetry: CallTelemetry,
    resend: Resend | undefined,
  ) {
    this.#exchange = exchange
    this.#target = target
    this.#body = body
    this.#options = options
    this.#telemetry = telemetry
    this.#resend = resend
    this.#sink = exchange.response
    this.#timer = new CallTimer(this, { upstreamMs: options.responseMs, clientMs: options.clientStallMs })
    exchange.call = this
    if (options.totalMs !== undefined) {
      const leftMs = exchange.startedAt + options.totalMs - performance.now()
      this.#deadline = setTimeout(onDeadline, Math.max(0, leftMs), this)
    }
    if (exchange.expectsContinue) {
      // The header section of a chunked request is sent only with the first chunk (`RequestBody.flushHead`).
      const waitMs = exchange.request.headers['content-length'] === undefined ? 0 : CONTINUE_AFTER_MS
      this.#continueTimer = setTimeout(onContinueDue, waitMs, exchange)
    }
  }

  /** Dispatches the call, or queues it when no connection is free. */
  begin(request: Dispatcher.DispatchOptions): void {
    const { connections } = this.#target
    if (connections.enter(this, consumerOrClientKey(this.#exchange))) {
      this.#holdsConnection = true
      this.#dispatch(request)
      if (this.#controller !== undefined || this.#settled) return
    } else this.#request = request
    this.#isQueued = true
    this.#target.waitingCalls++
    WITHOUT_CONNECTION.add(this)
  }

  #dispatch(request: Dispatcher.DispatchOptions): void {
    if (this.#resend?.needsFreshConnection) this.#target.dispatchFresh(request, this)
    else this.#target.pool.dispatch(request, this)
  }

  /** Dispatches the call on a connection that another call released. */
  onConnection(): void {
    const request = this.#request as Dispatcher.DispatchOptions
    this.#request = undefined
    this.#holdsConnection = true
    // The caller runs in the context of the exchange that released the connection.
    context.with(this.#exchange.context, () => this.#dispatch(request))
  }

  /**
   * Starts the timer that limits the wait for a connection. It starts at the end of the event-loop turn, because most
   * queued calls get a connection before that and need no timer.
   */
  beginPatience(): void {
    if (!this.#isQueued || this.#settled) return
    this.#patience = setTimeout(onPatienceEnd, this.#options.connectionMs, this)
  }

  /** Fails the call because the target is closing. */
  onNoConnection(error: Error): void {
    this.#fail(error)
  }

  /** Fails the call as overloaded: no connection became free in time. */
  onPatienceEnd(): void {
    this.#fail(overloaded())
  }

  /** Aborts the call after the client disconnected, so that the upstream can stop its work. */
  onClientClose(): void {
    this.#buffer?.close()
    endDownload(this)
    if (this.#settled) return
    this.#settle()
    this.#exchange.conclude('client_closed', 'client_closed')
    this.#endTelemetry('client_closed', undefined)
    if (this.#controller) this.#controller.abort(CLIENT_CLOSED)
    else if (this.#isOver) this.#body?.destroy() // never dispatched, so undici does not destroy the body
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#leaveQueue()
    // The client may have left while the call was queued. Throwing keeps the connection; abort() would close it.
    if (this.#settled) throw CLIENT_CLOSED
    this.#controller = controller
    this.#isReused = this.connection?.countUse() === true
    this.#telemetry.sent()
    this.#timer.start()
    if (this.#body !== null) BEGUN_UPLOADS.add(this)
  }

  /** Sends the header section before the body arrives: the upstream may answer without waiting for the body. */
  flushHead(): void {
    if (!this.#settled) this.#body?.flushHead()
  }

  onBodySent(): void {
    this.#timer.moved()
  }

  onRequestSent(): void {
    this.#timer.moved()
  }

  onResponseStarted(): void {
    this.#isAnswered = true
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: ParsedHeaders,
    statusMessage?: string,
  ): void {
    if (this.#settled) return
    // Handled before the timer is reset: 1xx responses do not count as the beginning of the response.
    if (statusCode < 200) return passInformation(this.#exchange, controller, statusCode, headers, statusMessage)
    this.#timer.moved()
    const { response } = this.#exchange
    clearTimeout(this.#continueTimer)
    this.#timer.allow(this.#options.idleMs)
    this.#statusCode = statusCode
    this.#asksForLogin = asksForConnectionLogin(headers)
    this.#target.concluded(statusCode >= 500 ? 'upstream_5xx' : undefined, statusCode)
    if (statusCode >= 500 && this.#giveWay('upstream_5xx')) return this.#telemetry.responded(statusCode)
    if (statusCode >= 500) this.#exchange.conclude('fault', 'upstream_5xx')
    refuseTransferCodings(joined(headers['transfer-encoding']))
    const length = headers['content-length']
    if (typeof length === 'string' && this.#exchange.request.method !== 'HEAD') this.#remaining = Number(length)
    const fields = fieldsForClient(this.#exchange, controller, statusCode, headers, this.#translatedHost)
    const { hooks } = this.#exchange
    if (hooks !== undefined && hooks.onBody.length > 0) {
      this.#sink = transformBody(this.#exchange, hooks.onBody, { status: statusCode, fields })
    }
    // A response sent before the whole request body was read leaves unread bytes on the connection.
    if (this.#exchange.closesConnection) fields.push('Connection', 'close')
    writeHeaderSection(response, statusCode, reasonPhrase(statusMessage), fields)
    // Only now is it certain that no retry replaces this response.
    if (headers['content-type']?.includes('text/event-stream')) {
      this.#exchange.becameStream('event_stream')
      this.#target.connections.streams(this)
    }
    // The header section of a stream is flushed without waiting for the first body byte, which may come much later.
    BEGUN_ANSWERS.add(this)
  }

  /** The host that the upstream received instead of the client's; undefined if it received the client's. */
  get #translatedHost(): string | undefined {
    const { host } = this.#options
    if (host === 'client' && this.#exchange.request.headers.host) return undefined
    return host === 'target' || host === 'client' ? this.#target.authority : host
  }

  /** Switches the exchange to a WebSocket tunnel. The gateway does not inspect what is sent through it. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: ParsedHeaders,
    socket: Duplex,
  ): void {
    this.#isOver = true
    // The upgraded connection has left the pool, so its slot is free for another call.
    this.#releaseConnection()
    if (this.#settled) return void socket.destroy()
    const protocol = joined(headers['upgrade'])
    if (protocol?.toLowerCase() !== 'websocket') {
      socket.destroy()
      return this.#fail(new GatewayError('bad_response', { cause: new Error(`Upgrade: ${protocol}`) }))
    }
    this.#statusCode = statusCode
    this.#target.concluded(undefined, statusCode)
    const exchange = this.#exchange
    const { response, upgrade } = exchange
    const fields = fieldsForClient(this.#exchange, controller, statusCode, headers, this.#translatedHost)
    fields.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
    // Throws on fields that Node refuses to write. Up to here the call can still fail with an error response.
    writeHeaderSection(response, statusCode, STATUS_CODES[statusCode] ?? '', fields)
    response.flushHeaders()
    this.#telemetry.responded(statusCode)
    this.#stopTimers()
    // `target.end()` follows when the tunnel ends; until then the call counts as active.
    this.#settled = true
    this.#target.adopt(socket as Socket)
    exchange.tunnel = openTunnel({
      client: (upgrade as Upgrade).take(),
      upstream: socket as Socket,
      idleMs: this.#options.webSocketIdleMs,
      onBroken: this.#onTunnelBroken,
      onEnd: () => this.#target.end(),
    })
    exchange.becameStream('websocket')
  }

  readonly #onTunnelBroken = (error: Error): void => {
    const failure = toGatewayError(error)
    this.#target.concluded(failure.reason, undefined)
    context.with(this.#exchange.context, this.#options.onFailure, undefined, this.#exchange, failure)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#timer.moved()
    this.#bodyStarted = true
    const sink = this.#sink
    if (this.#buffer?.isBehind) return this.#keepForClient(controller, chunk, this.#buffer)
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      // The last chunk of a known length is written together with the end, which saves one write in most responses.
      this.#settle()
      this.#telemetry.responded(this.#statusCode as number)
      if (chunk.length > LONGEST_TEXT) sink.end(chunk)
      else sink.end(chunk.toString('latin1'), 'latin1') // latin1 maps each byte to one character
      this.#expectTaken()
      return
    }
    if (sink.write(chunk)) return
    const { response } = this.#exchange
    // Body transforms apply the backpressure of their own streams.
    if (sink !== response) {
      controller.pause()
      sink.once('drain', () => {
        this.#timer.moved()
        controller.resume()
      })
    }
    // write() returns false for a large chunk even if the socket accepted all of it.
    else if (response.writableLength > 0) this.#fallBehind(controller)
  }

  /** Starts to buffer the response for a client that reads slowly, so that the upstream can finish sending. */
  #fallBehind(controller: Dispatcher.DispatchController): void {
    const { responseBuffer, responseMemory, leastDownload } = this.#options
    this.#buffer ??= new ResponseBuffer(this.#exchange.response, responseBuffer, responseMemory, this)
    this.#buffer.fallBehind()
    expectDownload(this, leastDownload)
    if (!this.#buffer.hasRoom()) this.#pause(controller)
  }

  #keepForClient(controller: Dispatcher.DispatchController, chunk: Buffer, buffer: ResponseBuffer): void {
    const hasRoom = buffer.write(chunk)
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      this.#settle()
      this.#telemetry.responded(this.#statusCode as number)
      buffer.end(() => this.#exchange.response.end())
    } else if (!hasRoom) this.#pause(controller)
  }

  #pause(controller: Dispatcher.DispatchController): void {
    controller.pause()
    this.#target.connections.stalled(this)
  }

  onProgress(bytes: number): void {
    this.#timer.moved()
    countDownload(this, bytes, this.#options.leastDownload)
  }

  onRoom(): void {
    this.#target.connections.moves(this)
    if (!this.#isOver) this.#controller?.resume()
  }

  onCaughtUp(): void {
    endDownload(this)
  }

  /** Limits how long a client may take to read the end of a response, so that it cannot hold its connection forever. */
  #expectTaken(): void {
    const { writableLength } = this.#exchange.response
    if (writableLength > 0) expectEnd(this, writableLength, this.#options.leastDownload)
  }

  get isTaken(): boolean {
    return this.#buffer?.isBehind !== true && this.#exchange.response.writableLength === 0
  }

  onTooSlow(): void {
    this.#endForClient('client_stalled')
  }

  yieldConnection(): void {
    this.#endForClient('slow_client_evicted')
  }

  /** Ends the exchange of a client that does not read its response. */
  #endForClient(reason: Reason): void {
    const failure = new GatewayError(reason)
    if (!this.#settled) return this.#controller?.abort(failure)
    // The upstream's part is over, so only the client's response is left to end.
    context.with(this.#exchange.context, this.#options.onFailure, undefined, this.#exchange, failure)
    this.#exchange.response.destroy(failure)
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#isOver = true
    if (this.#asksForLogin) this.connection?.closeConnection()
    this.#releaseConnection()
    if (this.#settled) return
    this.#settle()
    this.#telemetry.responded(this.#statusCode as number)
    const raw = (controller.rawTrailers ?? []) as readonly (Buffer | string)[]
    if (this.#buffer?.isBehind) this.#buffer.end(() => this.#endResponse(raw))
    else this.#endResponse(raw)
  }

  #endResponse(rawTrailers: readonly (Buffer | string)[]): void {
    const { response, route } = this.#exchange
    // Node drops trailers that the framing cannot carry (HTTP/1.0, Content-Length), as RFC 9110 §6.5.1 requires.
    if (rawTrailers.length > 0 && this.#sink === response) {
      response.addTrailers(buildTrailers(rawTrailers, route?.responseEdits))
    }
    this.#sink.end()
    this.#expectTaken()
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#isOver = true
    this.#leaveQueue()
    this.#releaseConnection()
    this.#fail(error)
  }

  #fail(error: Error): void {
    if (this.#settled) return
    // The client aborted its upload, and undici reports the body's error as the error of the call.
    if (this.#exchange.request.destroyed && !this.#exchange.request.complete) {
      this.#settle()
      this.#body?.destroy()
      this.#exchange.conclude('client_closed', 'client_closed')
      this.#endTelemetry('client_closed', undefined)
      return
    }
    const failure = toGatewayError(error)
    const isStale = this.#isStale(failure.reason)
    // Neither the total timeout nor a closed idle connection is evidence against this target.
    if (!this.#isOutOfTime && !isStale) this.#target.concluded(failure.reason, undefined)
    const givesWay = isStale ? this.#repeatOnFreshConnection() : this.#giveWay(failure.reason)
    this.#settle()
    this.#endTelemetry(failure.reason, failure.cause)
    if (givesWay) return
    // undici does not destroy the body of a call that never began; the client's connection would hang.
    this.#body?.destroy()
    // undici calls back in the context in which the connection was opened; logs and spans belong to this exchange.
    context.with(this.#exchange.context, this.#options.onFailure, undefined, this.#exchange, failure)
  }

  get isClientsTurn(): boolean {
    if (this.#controller?.paused) return true
    return this.#body !== null && !this.#exchange.request.complete && this.#body.readableLength === 0
  }

  onSilence(who: 'client' | 'upstream'): void {
    const client = this.#controller?.paused ? 'client_stalled' : 'request_timeout'
    this.#controller?.abort(new GatewayError(who === 'upstream' ? 'response_timeout' : client))
  }

  onDeadline(): void {
    if (this.#settled) return
    this.#isOutOfTime = true
    const error = new GatewayError('response_timeout', { cause: new Error(`not done in ${this.#options.totalMs} ms`) })
    // Without a controller the call is still queued; onRequestStart() stops it when it gets a connection.
    if (this.#controller) this.#controller.abort(error)
    else this.#fail(error)
  }

  flushUnlessStarted(): void {
    if (!this.#bodyStarted && !this.#settled) this.#exchange.response.flushHeaders()
  }

  /** Whether the upstream closed an idle connection just as this request was sent on it. */
  #isStale(reason: Reason): boolean {
    return reason === 'reset' && this.#isReused && !this.#isAnswered
  }

  /**
   * Repeats the request on a new connection (RFC 9112 §9.3.1): the upstream has most likely not seen it. Returns
   * whether another call is made.
   */
  #repeatOnFreshConnection(): boolean {
    if (!this.#mayRepeat()) {
      this.#target.concluded('reset', undefined)
      return this.#giveWay('reset')
    }
    const { upstream } = this.#options
    upstream.retries.countFree('reset')
    this.#target.begin()
    const repeated = { wasRepeated: true, needsFreshConnection: true }
    return this.#callAgainAfter(0, this.#target, this.#resendFor('reset', repeated))
  }

  /** Retries if that is safe and within the limits; returns whether it does. */
  #giveWay(reason: Reason): boolean {
    const { upstream, retry } = this.#options
    const { retries } = upstream
    if (this.#isOutOfTime || retry === 'never' || this.#exchange.response.headersSent) return false
    const hasBegun = this.#controller !== undefined
    const tried = [...(this.#resend?.tried ?? []), this.#target]
    // Nothing was sent, so another target is asked without using the retry budget. The number of targets bounds this.
    const isUnsent = !hasBegun && NO_CONNECTION.has(reason)
    const other = isUnsent ? upstream.pickUntried(tried, this.#exchange) : undefined
    if (other !== undefined) {
      retries.countFree(reason)
      return this.#callAgainAfter(0, other, this.#resendFor(reason, {}))
    }
    const count = (this.#resend?.retries ?? 0) + 1
    const isCovered = count < retries.attempts && retries.covers(reason, this.#statusCode)
    if (!isCovered) return this.#repeatElsewhere(reason, tried)
    // A call that never began has sent nothing, so its body is still complete.
    if (hasBegun && (this.#body !== null || !this.#isRepeatable)) return false
    const target = upstream.pickOther(tried, this.#exchange)
    if (target === undefined) return false
    if (!retries.spend(reason)) {
      target.end()
      return false
    }
    return this.#callAgainAfter(retries.delayMs(count), target, this.#resendFor(reason, { retries: count }))
  }

  /** Repeats a request on another target after its connection broke before a response, even without `retries`. */
  #repeatElsewhere(reason: Reason, tried: readonly Target[]): boolean {
    if (reason !== 'reset' || this.#isAnswered || this.#body !== null || !this.#mayRepeat()) return false
    const { upstream } = this.#options
    const target = upstream.pickUntried(tried, this.#exchange)
    if (target === undefined) return false
    if (!upstream.retries.spend(reason)) {
      target.end()
      return false
    }
    return this.#callAgainAfter(0, target, this.#resendFor(reason, { wasRepeated: true }))
  }

  get #isRepeatable(): boolean {
    return this.#options.retry === 'always' || isIdempotent(this.#exchange.request.method)
  }

  /** Whether the request may be repeated: once, and only if nothing of it was sent or it is safe to send twice. */
  #mayRepeat(): boolean {
    if (this.#isOutOfTime || this.#options.retry === 'never' || this.#resend?.wasRepeated) return false
    if (this.#body === null) return this.#isRepeatable
    const body = this.#body.restarted()
    if (body === undefined) return false
    this.#body = body
    return true
  }

  #resendFor(reason: Reason, changed: Partial<Resend>): Resend {
    const { count = 0, tried = [], retries = 0, wasRepeated = false } = this.#resend ?? {}
    return {
      count: count + 1,
      reason,
      tried: [...tried, this.#target],
      retries,
      wasRepeated,
      needsFreshConnection: false,
      ...changed,
    }
  }

  /** @param target the target of the next call, on which `begin()` was called */
  #callAgainAfter(delayMs: number, target: Target, resend: Resend): true {
    this.#settle()
    this.#exchange.call = undefined
    // An 'error' of the client's connection before the next call listens would be unhandled and end the process.
    this.#body?.on('error', ignore)
    // The call may have ended in the context of a shared timer or of a connection.
    context.with(this.#exchange.context, () => {
      if (delayMs === 0) setImmediate(callAgain, this, target, resend)
      else setTimeout(callAgain, delayMs, this, target, resend)
    })
    return true
  }

  callAgain(target: Target, resend: Resend): void {
    // Aborts the rest of the replaced response. Small ones have fully arrived by now, which keeps their connection.
    if (!this.#isOver) this.#controller?.abort(GAVE_WAY)
    const { response } = this.#exchange
    // The client has left, or was answered because the process stops; the entrypoint has handled both.
    if (response.destroyed || response.writableEnded || this.#body?.destroyed) return target.end()
    sendCall(this.#exchange, target, this.#body, this.#options, resend)
  }

  /** Ends the call: later callbacks of undici are ignored. */
  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    this.#stopTimers()
    this.#target.end()
    if (this.#request !== undefined) this.#withdraw()
  }

  #releaseConnection(): void {
    if (!this.#holdsConnection) return
    this.#holdsConnection = false
    this.#target.connections.release(this)
  }

  #stopTimers(): void {
    this.#timer.stop()
    clearTimeout(this.#deadline)
    clearTimeout(this.#patience)
    clearTimeout(this.#continueTimer)
  }

  /** Removes the call from the queue for connections. The caller reports why. */
  #withdraw(): void {
    this.#request = undefined
    this.#isOver = true
    this.#target.waitingCalls--
    this.#target.connections.leave(this)
  }

  #leaveQueue(): void {
    if (!this.#isQueued) return
    this.#isQueued = false
    this.#target.waitingCalls--
    clearTimeout(this.#patience)
  }

  #endTelemetry(reason: Reason, cause: unknown): void {
    // A queued call sent nothing, and its target is not at fault.
    if (this.#isQueued) this.#telemetry.abandoned(reason)
    else this.#telemetry.failed(reason, cause, this.#statusCode)
  }
}

function callAgain(call: UpstreamCall, target: Target, resend: Resend): void {
  call.callAgain(target, resend)
}

/** Calls that did not get a connection immediately. */
const WITHOUT_CONNECTION = new ImmediateBatch<UpstreamCall>(call => call.beginPatience())

/** Dispatched calls with a request body. Most bodies begin to arrive in the same event-loop turn. */
const BEGUN_UPLOADS = new ImmediateBatch<UpstreamCall>(call => call.flushHead())

/** Calls whose response has begun; nearly all of them also end in the same event-loop turn. */
const BEGUN_ANSWERS = new ImmediateBatch<UpstreamCall>(call => call.flushUnlessStarted())

function onPatienceEnd(call: UpstreamCall): void {
  call.onPatienceEnd()
}

/** How long an upstream may take to reject an upload by its header section before the client gets `100 Continue`. */
const CONTINUE_AFTER_MS = 50

function onContinueDue(exchange: Exchange): void {
  exchange.expectsContinue = false
  if (!exchange.response.headersSent && !exchange.response.destroyed) exchange.response.writeContinue()
}

function onDeadline(call: UpstreamCall): void {
  call.onDeadline()
}

function ignore(): void {}

/** The longest body that is written as a string: Node joins a string with the header section in one buffer. */
const LONGEST_TEXT = 4_096

const CLIENT_CLOSED = new GatewayError('client_closed')
const GAVE_WAY = new GatewayError('upstream_5xx')
