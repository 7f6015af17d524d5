import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { context } from '@opentelemetry/api'
import type { Exchange, Upgrade } from '../exchange/exchange'
import { GatewayError } from '../errors/gateway-error'
import { faultStatusOf, parseGrpcStatus, type GrpcStatus } from '../errors/grpc-status'
import type { Reason } from '../errors/reasons'
import type { GrpcCall } from '../exchange/grpc-call'
import type { CallOptions, Resend } from './call-options'
import { CallTimer, type TimedCall } from './call-timer'
import type { CallTelemetry } from './client-telemetry'
import { asksForConnectionLogin, isConnectionLogin } from './connection-login'
import { ConnectionSlot, type SlotOwner } from './connection-slot'
import type { TlsName } from './connector'
import { addGrpcFields, grpcStatusIn, isGrpcAnswer, silenceOf, totalOf } from './grpc'
import { Unprocessed } from './http2/unprocessed'
import { ImmediateBatch } from './immediate-batch'
import { passInformation } from './information'
import { callAfterRefusal, nextCall, repeatOnFreshConnection, type FailedCall, type NextCall } from './next-call'
import type { RequestBody } from './request-body'
import { buildRequestHeaders, joined } from './request-headers'
import type { ParsedHeaders } from './response-headers'
import { ResponseRelay, type RelayedCall } from './response-relay'
import { announcedLength, relayHeaderSection, relayUpgrade } from './response-section'
import type { Target } from './target'
import { openTunnel } from './tunnel'
import type { CallConnection, ConnectedCall } from './upstream-client'
import { overloaded, toGatewayError } from './upstream-errors'

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
  const sentHost = target.hostSent(options.host, exchange.request.headers.host)
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
  if (exchange.grpc !== undefined) addGrpcFields(headers, exchange, exchange.grpc, options.totalMs)
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
class UpstreamCall implements Dispatcher.DispatchHandler, ConnectedCall, TimedCall, SlotOwner, RelayedCall {
  connection: CallConnection | undefined
  readonly #exchange: Exchange
  readonly #target: Target
  #body: RequestBody | null
  readonly #options: CallOptions
  readonly #telemetry: CallTelemetry
  readonly #resend: Resend | undefined
  readonly #timer: CallTimer
  readonly #slot: ConnectionSlot
  /** Created with the response. */
  #relay: ResponseRelay | undefined
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  /** On the monotonic clock; 0 where the access log does not have the time of calls. */
  #sentAt = 0
  /** The connection carried earlier requests, so the upstream may have closed it just as this request was sent. */
  #isReused = false
  /** The first response byte has arrived. */
  #isAnswered = false
  /** The response asks for a connection-based login (NTLM), so the connection must carry no further request. */
  #asksForLogin = false
  #statusCode: number | undefined
  /** The response is a gRPC answer. Not every answer to a gRPC request is one: its content type is the client's choice. */
  #isGrpc = false
  /** Status of a gRPC answer. */
  #grpcStatus: GrpcStatus | undefined
  #deadline: NodeJS.Timeout | undefined
  /** Runs while a client that sent `Expect: 100-continue` holds back its body. */
  #continueTimer: NodeJS.Timeout | undefined
  #isOutOfTime = false
  /** undici will make no further callback for this call. */
  #isOver = false

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
    this.#slot = new ConnectionSlot(this, exchange, target, options.connectionMs)
    const { grpc } = exchange
    this.#timer = new CallTimer(this, grpc === undefined ? options.silence : silenceOf(grpc, options))
    exchange.call = this
    const totalMs = grpc === undefined ? options.totalMs : totalOf(grpc, options.totalMs)
    if (totalMs !== undefined) {
      const leftMs = exchange.startedAt + totalMs - performance.now()
      this.#deadline = setTimeout(onDeadline, Math.max(0, leftMs), this)
    }
    if (exchange.expectsContinue) {
      // The header section of a chunked request is sent only with the first chunk (`RequestBody.flushHead`).
      const waitMs = exchange.request.headers['content-length'] === undefined ? 0 : CONTINUE_AFTER_MS
      this.#continueTimer = setTimeout(onContinueDue, waitMs, exchange)
    }
  }

  begin(request: Dispatcher.DispatchOptions): void {
    this.#slot.take(request)
  }

  dispatch(request: Dispatcher.DispatchOptions): boolean {
    if (this.#resend?.needsFreshConnection) this.#target.dispatchFresh(request, this)
    else this.#target.pool.dispatch(request, this)
    return this.#controller !== undefined || this.#settled
  }

  /** Fails the call because the target is closing. */
  onNoConnection(error: Error): void {
    this.#fail(error)
  }

  onWaitedTooLong(): void {
    this.#fail(overloaded())
  }

  /** Aborts the call after the client disconnected, so that the upstream can stop its work. */
  onClientClose(): void {
    this.#relay?.close()
    if (this.#settled) return
    this.#settle()
    this.#exchange.conclude('client_closed', 'client_closed')
    this.#endTelemetry('client_closed', undefined)
    if (this.#controller) this.#controller.abort(CLIENT_CLOSED)
    else if (this.#isOver) this.#body?.destroy() // never dispatched, so undici does not destroy the body
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#slot.leaveQueue()
    // The client may have left while the call was queued. Throwing keeps the connection; abort() would close it.
    if (this.#settled) throw CLIENT_CLOSED
    this.#controller = controller
    this.#isReused = this.connection?.countUse() === true
    this.#telemetry.sent()
    if (this.#exchange.loggedBy !== undefined) this.#sentAt = performance.now()
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
    const exchange = this.#exchange
    clearTimeout(this.#continueTimer)
    const { grpc } = exchange
    this.#timer.allow(grpc === undefined ? this.#options.idleMs : grpc.idleMs)
    this.#statusCode = statusCode
    this.#asksForLogin = asksForConnectionLogin(headers)
    this.#isGrpc = grpc !== undefined && statusCode === 200 && isGrpcAnswer(headers)
    if (this.#isGrpc) {
      if (this.#retriesGrpc(headers)) return this.#telemetry.responded(statusCode, this.#grpcStatus)
    } else this.#target.concluded(statusCode >= 500 ? 'upstream_5xx' : undefined, statusCode)
    if (statusCode >= 500 && this.#retry('upstream_5xx')) return this.#telemetry.responded(statusCode)
    if (statusCode >= 500) exchange.conclude('fault', 'upstream_5xx')
    this.#body?.forget()
    const sink = relayHeaderSection(exchange, controller, statusCode, headers, statusMessage, this.#translatedHost)
    this.#relay = new ResponseRelay(this, exchange, this.#options, sink, announcedLength(exchange, headers))
    // Only now is it certain that no retry replaces this response.
    if (headers['content-type']?.includes('text/event-stream')) {
      exchange.becameStream('event_stream')
      this.#target.connections.streams(this.#slot)
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
    this.#slot.release()
    if (this.#settled) return void socket.destroy()
    const protocol = joined(headers['upgrade'])
    if (protocol?.toLowerCase() !== 'websocket') {
      socket.destroy()
      return this.#fail(new GatewayError('bad_response', { cause: new Error(`Upgrade: ${protocol}`) }))
    }
    this.#statusCode = statusCode
    this.#target.concluded(undefined, statusCode)
    const exchange = this.#exchange
    relayUpgrade(exchange, controller, statusCode, headers, this.#translatedHost)
    this.#telemetry.responded(statusCode)
    this.#stopTimers()
    // `target.end()` follows when the tunnel ends; until then the call counts as active.
    this.#settled = true
    this.#target.adopt(socket as Socket)
    exchange.tunnel = openTunnel({
      client: (exchange.upgrade as Upgrade).take(),
      upstream: socket as Socket,
      idleMs: this.#options.webSocketIdleMs,
      onBroken: error => this.#onTunnelBroken(error),
      onEnd: () => this.#target.end(),
    })
    exchange.becameStream('websocket')
  }

  #onTunnelBroken(error: Error): void {
    const failure = toGatewayError(error)
    this.#target.concluded(failure.reason, undefined)
    context.with(this.#exchange.context, this.#options.onFailure, undefined, this.#exchange, failure)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    this.#timer.moved()
    this.#relay?.write(controller, chunk)
  }

  onLastByte(): void {
    this.#settle()
    this.#telemetry.responded(this.#statusCode as number)
  }

  onPaused(): void {
    this.#target.connections.stalled(this.#slot)
  }

  onResumed(): void {
    this.#target.connections.moves(this.#slot)
    if (!this.#isOver) this.#controller?.resume()
  }

  onClientRead(): void {
    this.#timer.moved()
  }

  onClientTooSlow(): void {
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
    // undici takes a reset for the end of a response without a length; RFC 9112 §8 does not. A reset after an upload may be
    // due to bytes that the upstream did not read, so the response before it may be whole.
    const error = this.#body === null ? this.connection?.connectionError : undefined
    if (error) return this.onResponseError(controller, error)
    this.#isOver = true
    if (this.#asksForLogin) this.connection?.closeConnection()
    this.#slot.release()
    if (this.#settled) return
    this.#settle()
    const { grpc } = this.#exchange
    if (grpc !== undefined && this.#isGrpc) this.#concludeGrpc(grpc, controller)
    this.#telemetry.responded(this.#statusCode as number, this.#grpcStatus)
    this.#relay?.end(controller)
  }

  /** Retries a call that was answered by a failure alone (trailers-only); returns whether it does. */
  #retriesGrpc(headers: ParsedHeaders): boolean {
    const written = headers['grpc-status']
    if (typeof written !== 'string') return false
    this.#grpcStatus = parseGrpcStatus(written)
    const failure = faultStatusOf(this.#grpcStatus)
    this.#target.concluded(failure === undefined ? undefined : 'upstream_5xx', failure ?? 200)
    if (failure === undefined) return false
    const statusCode = this.#statusCode
    this.#statusCode = failure // `conditions` name HTTP statuses
    const isRetried = this.#retry('upstream_5xx')
    this.#statusCode = statusCode
    return isRetried
  }

  /** Derives the outcome from the status in the trailers: that of the header section is always 200. */
  #concludeGrpc(grpc: GrpcCall, { rawTrailers }: Dispatcher.DispatchController): void {
    const isInTrailers = this.#grpcStatus === undefined
    const status = (this.#grpcStatus ??= grpcStatusIn((rawTrailers ?? []) as readonly (Buffer | string)[]) ?? 'UNKNOWN')
    grpc.status ??= status
    const failure = faultStatusOf(status)
    if (isInTrailers) this.#target.concluded(failure === undefined ? undefined : 'upstream_5xx', failure ?? 200)
    if (failure !== undefined) this.#exchange.conclude('fault', 'grpc_status', new Error(`grpc-status ${status}`))
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#isOver = true
    this.#slot.leaveQueue()
    this.#slot.release()
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
    const isRefused = error instanceof Unprocessed
    const isStale = !isRefused && this.#isStale(failure.reason)
    // Neither the total timeout nor a closed idle connection is evidence against this target, nor a refusal while it drains.
    if (!this.#isOutOfTime && !isStale && !isRefused) this.#target.concluded(failure.reason, undefined)
    const isReplaced = isRefused ? this.#repeatRefused() : isStale ? this.#repeat() : this.#retry(failure.reason)
    this.#settle()
    this.#endTelemetry(failure.reason, failure.cause)
    if (isReplaced) return
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
    const error = new GatewayError('response_timeout', { cause: new Error('the time for the whole exchange is over') })
    // Without a controller the call is still queued; onRequestStart() stops it when it gets a connection.
    if (this.#controller) this.#controller.abort(error)
    else this.#fail(error)
  }

  flushUnlessStarted(): void {
    if (this.#relay?.hasStarted !== true && !this.#settled) this.#exchange.response.flushHeaders()
  }

  /** Whether the upstream closed an idle connection just as this request was sent on it. */
  #isStale(reason: Reason): boolean {
    return reason === 'reset' && this.#isReused && !this.#isAnswered
  }

  /** Repeats the request on a new connection, or else retries; returns whether another call is made. */
  #repeat(): boolean {
    const next = this.#isOutOfTime ? undefined : repeatOnFreshConnection(this.#asFailed('reset'))
    if (next !== undefined) return this.#makeWayFor(next)
    this.#target.concluded('reset', undefined)
    return this.#retry('reset')
  }

  /** Repeats a request that the target has not processed; returns whether another call is made. */
  #repeatRefused(): boolean {
    const next = this.#isOutOfTime ? undefined : callAfterRefusal(this.#asFailed('reset'))
    if (next !== undefined) return this.#makeWayFor(next)
    this.#target.concluded('reset', undefined)
    return false
  }

  /** Retries if that is safe and within the limits; returns whether it does. */
  #retry(reason: Reason): boolean {
    const next = this.#isOutOfTime ? undefined : nextCall(this.#asFailed(reason))
    return next !== undefined && this.#makeWayFor(next)
  }

  #asFailed(reason: Reason): FailedCall {
    return {
      exchange: this.#exchange,
      target: this.#target,
      options: this.#options,
      body: this.#body,
      resend: this.#resend,
      reason,
      statusCode: this.#statusCode,
      hasBegun: this.#controller !== undefined,
      isAnswered: this.#isAnswered,
    }
  }

  #makeWayFor(next: NextCall): true {
    this.#body = next.body
    this.#settle()
    this.#exchange.call = undefined
    // An 'error' of the client's connection before the next call listens would be unhandled and end the process.
    this.#body?.on('error', ignore)
    // The call may have ended in the context of a shared timer or of a connection.
    context.with(this.#exchange.context, () => {
      if (next.delayMs === 0) setImmediate(callNext, this, next)
      else setTimeout(callNext, next.delayMs, this, next)
    })
    return true
  }

  callNext({ target, resend }: NextCall): void {
    // Aborts the rest of the replaced response. Small ones have fully arrived by now, which keeps their connection.
    if (!this.#isOver) this.#controller?.abort(SUPERSEDED)
    const { response } = this.#exchange
    // The client has left, or was answered because the process stops; the entrypoint has handled both.
    if (response.destroyed || response.writableEnded || this.#body?.destroyed) return target.end()
    sendCall(this.#exchange, target, this.#body, this.#options, resend)
  }

  /** Ends the call: later callbacks of undici are ignored. */
  #settle(): void {
    if (this.#settled) return
    this.#settled = true
    if (this.#sentAt !== 0) this.#addTime()
    this.#stopTimers()
    this.#target.end()
    // A request that is still queued is never dispatched, so undici makes no callback for it.
    if (this.#slot.close()) this.#isOver = true
  }

  #addTime(): void {
    const exchange = this.#exchange
    exchange.upstreamMs = (exchange.upstreamMs ?? 0) + performance.now() - this.#sentAt
  }

  #stopTimers(): void {
    this.#timer.stop()
    clearTimeout(this.#deadline)
    clearTimeout(this.#continueTimer)
  }

  #endTelemetry(reason: Reason, cause: unknown): void {
    // A queued call sent nothing, and its target is not at fault.
    if (this.#slot.isQueued) this.#telemetry.abandoned(reason)
    else this.#telemetry.failed(reason, cause, this.#statusCode)
  }
}

function callNext(call: UpstreamCall, next: NextCall): void {
  call.callNext(next)
}

/** Dispatched calls with a request body. Most bodies begin to arrive in the same event-loop turn. */
const BEGUN_UPLOADS = new ImmediateBatch<UpstreamCall>(call => call.flushHead())

/** Calls whose response has begun; nearly all of them also end in the same event-loop turn. */
const BEGUN_ANSWERS = new ImmediateBatch<UpstreamCall>(call => call.flushUnlessStarted())

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

const CLIENT_CLOSED = new GatewayError('client_closed')
const SUPERSEDED = new GatewayError('upstream_5xx')
