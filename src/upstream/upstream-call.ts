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
  /** What was cut off the front of the path. */
  readonly forwardedPrefix: string | undefined
  /** What the target gets as `Host`. */
  readonly host: HostSent
  readonly retry: 'idempotent' | 'always' | 'never'
  /** How long a call may wait for a connection: for a free one, or for a new one. */
  readonly connectionMs: number
  /** How long the upstream may keep silent before its response begins, when it is its turn. */
  readonly responseMs: number
  /** How long a client may neither send what it owes nor read what is there for it: its call holds one of a few connections. */
  readonly clientStallMs: number
  /** What a client must take of a response that is there for it. */
  readonly leastDownload: LeastDownload
  /** How much of a response may wait here for its client. */
  readonly responseBuffer: ResponseBufferLimits
  readonly responseMemory: ResponseMemory
  /** How long between two chunks. */
  readonly idleMs: number
  /** How long everything may take, from the request's header section to the last byte of its response. */
  readonly totalMs: number | undefined
  /** How long nothing may move on a connection that was upgraded to WebSocket. */
  readonly webSocketIdleMs: number
  /** Which fields of the request do not reach the target. */
  readonly fieldRules: FieldRules
  /** Trace fields that are written anew in every call. */
  readonly replacedFields: ReadonlySet<string>
  readonly onFailure: (exchange: Exchange, error: unknown) => void
}

/** What came before a call that is made again. */
export interface Resend {
  /** Calls made before this one. */
  readonly count: number
  /** Why the last of them failed. */
  readonly reason: Reason
  readonly tried: readonly Target[]
  /** How many of them are retries as `retries` has them. */
  readonly retries: number
  /** A connection broke before a byte of an answer, and the request was repeated for that: once is enough. */
  readonly wasRepeated: boolean
  /** Not over a connection that was used before. */
  readonly needsFreshConnection: boolean
}

/** Makes one call to a target; it answers the client, or has another call do so. */
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

/** One call to a target, seen from undici. Its methods run in the order in which they are written here. */
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
  /** Where the response body goes: to the client, or first through what policies make of it. */
  #sink: Writable
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  /** The connection carried other requests before: the upstream may have closed it just when this one went out. */
  #isReused = false
  /** A byte of an answer came. */
  #isAnswered = false
  /** The connection may be logged in with the next request: it must have none. */
  #asksForLogin = false
  #statusCode: number | undefined
  /** Bytes of the response body still to come; -1 when the upstream did not say. */
  #remaining = -1
  #bodyStarted = false
  #deadline: NodeJS.Timeout | undefined
  /** Runs while the client waits with its body for what the upstream says to the header section. */
  #continueTimer: NodeJS.Timeout | undefined
  /** Runs while the call waits for a connection. */
  #patience: NodeJS.Timeout | undefined
  /** It has no connection yet. undici keeps it until there is one, even when it has been settled meanwhile. */
  #isQueued = false
  /** What undici is given as soon as other calls leave a connection to this one. */
  #request: Dispatcher.DispatchOptions | undefined
  #holdsConnection = false
  /** Made when the client falls behind. */
  #buffer: ResponseBuffer | undefined
  #isOutOfTime = false
  /** undici has nothing more to say. */
  #isOver = false
  // Of `ConnectionQueue`.
  client: ClientShare | undefined
  next: ConnectionUser | undefined
  previous: ConnectionUser | undefined
  queuedAt = 0
  yieldingSince = 0
  // Of `download-pace.ts`.
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
      // Of a body in chunks the upstream sees nothing before the first one (`RequestBody.flushHead`).
      const waitMs = exchange.request.headers['content-length'] === undefined ? 0 : CONTINUE_AFTER_MS
      this.#continueTimer = setTimeout(onContinueDue, waitMs, exchange)
    }
  }

  /** Most calls are under way when this returns. */
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

  /** Another call has left a connection to this one. */
  onConnection(): void {
    const request = this.#request as Dispatcher.DispatchOptions
    this.#request = undefined
    this.#holdsConnection = true
    // It was another request's turn until now.
    context.with(this.#exchange.context, () => this.#dispatch(request))
  }

  /** A connection that an answer has just left free is used before the turn ends: most calls need no timer for it. */
  beginPatience(): void {
    if (!this.#isQueued || this.#settled) return
    this.#patience = setTimeout(onPatienceEnd, this.#options.connectionMs, this)
  }

  /** The target closes: no call gets a connection any more. */
  onNoConnection(error: Error): void {
    this.#fail(error)
  }

  /** Connections are taken by other calls: a client must not wait for them without a bound. */
  onPatienceEnd(): void {
    this.#fail(overloaded())
  }

  /** The client went away: the upstream must not go on working for nobody. */
  onClientClose(): void {
    this.#buffer?.close()
    endDownload(this)
    if (this.#settled) return
    this.#settle()
    this.#exchange.conclude('client_closed', 'client_closed')
    this.#endTelemetry('client_closed', undefined)
    if (this.#controller) this.#controller.abort(CLIENT_CLOSED)
    else if (this.#isOver) this.#body?.destroy() // undici has never seen it
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#leaveQueue()
    // While the call waited for a connection the client may have left. Thrown, because abort() would cost the connection.
    if (this.#settled) throw CLIENT_CLOSED
    this.#controller = controller
    this.#isReused = this.connection?.countUse() === true
    this.#telemetry.sent()
    this.#timer.start()
    if (this.#body !== null) BEGUN_UPLOADS.add(this)
  }

  /** The upstream may answer to the header section alone; it must not wait for a body that comes later. */
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
    // Before the timer: an upstream that only ever says that it is busy has not begun its response.
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
    // An answer that comes before the whole body leaves bytes on the connection that nobody will read.
    if (this.#exchange.closesConnection) fields.push('Connection', 'close')
    writeHeaderSection(response, statusCode, reasonPhrase(statusMessage), fields)
    // Now that it cannot give way to another call any more.
    if (headers['content-type']?.includes('text/event-stream')) {
      this.#exchange.becameStream('event_stream')
      this.#target.connections.streams(this)
    }
    // A stream may send its first byte much later; its header section must not wait for that.
    BEGUN_ANSWERS.add(this)
  }

  /** The host that the client does not know; undefined where the target got the client's. */
  get #translatedHost(): string | undefined {
    const { host } = this.#options
    if (host === 'client' && this.#exchange.request.headers.host) return undefined
    return host === 'target' || host === 'client' ? this.#target.authority : host
  }

  /** The upstream goes on with WebSocket: from here on the gateway looks at nothing that is said. */
  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: ParsedHeaders,
    socket: Duplex,
  ): void {
    this.#isOver = true
    // Its connection is no longer one of the pool, which opens another one when it needs it.
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
    // Throws where Node would not write them; until here the call can fail like any other.
    writeHeaderSection(response, statusCode, STATUS_CODES[statusCode] ?? '', fields)
    response.flushHeaders()
    this.#telemetry.responded(statusCode)
    this.#stopTimers()
    // It is a call under way until the tunnel ends.
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
      // The last chunk of a known length goes out with the end: one write less for nearly every response.
      this.#settle()
      this.#telemetry.responded(this.#statusCode as number)
      if (chunk.length > LONGEST_TEXT) sink.end(chunk)
      else sink.end(chunk.toString('latin1'), 'latin1') // each byte a character
      this.#expectTaken()
      return
    }
    if (sink.write(chunk)) return
    const { response } = this.#exchange
    // What policies make of a body has the backpressure of their streams.
    if (sink !== response) {
      controller.pause()
      sink.once('drain', () => {
        this.#timer.moved()
        controller.resume()
      })
    }
    // Node says that there is too much also of a large chunk that the connection has taken at once.
    else if (response.writableLength > 0) this.#fallBehind(controller)
  }

  /** The client has not taken everything: what comes next waits in the gateway, so that the upstream can go on. */
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

  /** The end of a response is written: a client that does not read it must not hold its connection for ever. */
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

  /** Cuts off a client that does not read. */
  #endForClient(reason: Reason): void {
    const failure = new GatewayError(reason)
    if (!this.#settled) return this.#controller?.abort(failure)
    // The upstream has long been done with it.
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
    // Silent where the framing cannot carry any (HTTP/1.0, Content-Length), as RFC 9110 §6.5.1 wants.
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
    // The client broke off its own upload: undici reports the body's error as the call's.
    if (this.#exchange.request.destroyed && !this.#exchange.request.complete) {
      this.#settle()
      this.#body?.destroy()
      this.#exchange.conclude('client_closed', 'client_closed')
      this.#endTelemetry('client_closed', undefined)
      return
    }
    const failure = toGatewayError(error)
    const isStale = this.#isStale(failure.reason)
    // That everything together took too long says nothing of this target, nor does the end of an idle connection.
    if (!this.#isOutOfTime && !isStale) this.#target.concluded(failure.reason, undefined)
    const givesWay = isStale ? this.#repeatOnFreshConnection() : this.#giveWay(failure.reason)
    this.#settle()
    this.#endTelemetry(failure.reason, failure.cause)
    if (givesWay) return
    // undici leaves the body of a call that never began alone, and the client's connection would stand still.
    this.#body?.destroy()
    // undici calls back in the context of whoever opened the connection; logs and spans belong to this request.
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
    // Without a controller it still waits for a connection; undici is told when it gets one.
    if (this.#controller) this.#controller.abort(error)
    else this.#fail(error)
  }

  flushUnlessStarted(): void {
    if (!this.#bodyStarted && !this.#settled) this.#exchange.response.flushHeaders()
  }

  /** The upstream closed an idle connection, and this request crossed its close on the way. */
  #isStale(reason: Reason): boolean {
    return reason === 'reset' && this.#isReused && !this.#isAnswered
  }

  /** RFC 9112 §9.3.1: the upstream has most likely not seen the request. Returns whether another call is made. */
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

  /** Makes another call if that is safe and within the limits; returns whether it does. */
  #giveWay(reason: Reason): boolean {
    const { upstream, retry } = this.#options
    const { retries } = upstream
    if (this.#isOutOfTime || retry === 'never' || this.#exchange.response.headersSent) return false
    const hasBegun = this.#controller !== undefined
    const tried = [...(this.#resend?.tried ?? []), this.#target]
    // Nothing was sent, so it costs nothing to ask another target; there are only so many.
    const isUnsent = !hasBegun && NO_CONNECTION.has(reason)
    const other = isUnsent ? upstream.pickUntried(tried, this.#exchange) : undefined
    if (other !== undefined) {
      retries.countFree(reason)
      return this.#callAgainAfter(0, other, this.#resendFor(reason, {}))
    }
    const count = (this.#resend?.retries ?? 0) + 1
    const isCovered = count < retries.attempts && retries.covers(reason, this.#statusCode)
    if (!isCovered) return this.#repeatElsewhere(reason, tried)
    // A call that never began has reached nobody, and its body is still whole.
    if (hasBegun && (this.#body !== null || !this.#isRepeatable)) return false
    const target = upstream.pickOther(tried, this.#exchange)
    if (target === undefined) return false
    if (!retries.spend(reason)) {
      target.end()
      return false
    }
    return this.#callAgainAfter(retries.delayMs(count), target, this.#resendFor(reason, { retries: count }))
  }

  /** Without `retries`, too, a connection that breaks before an answer is survived where another target can be asked. */
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

  /** Once, and only what has not left the gateway, or may arrive twice. */
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

  /** @param target its call has begun */
  #callAgainAfter(delayMs: number, target: Target, resend: Resend): true {
    this.#settle()
    this.#exchange.call = undefined
    // Until the next call listens, an error of the client's connection would have no listener and end the process.
    this.#body?.on('error', ignore)
    // Whatever has ended this call, a timer of many calls or a connection's, it did so in a context of its own.
    context.with(this.#exchange.context, () => {
      if (delayMs === 0) setImmediate(callAgain, this, target, resend)
      else setTimeout(callAgain, delayMs, this, target, resend)
    })
    return true
  }

  callAgain(target: Target, resend: Resend): void {
    // What is left of a response that nobody wants: small ones have come by now, and their connection can stay.
    if (!this.#isOver) this.#controller?.abort(GAVE_WAY)
    const { response } = this.#exchange
    // The client left meanwhile, or was answered because the process stops: the entrypoint has seen it.
    if (response.destroyed || response.writableEnded || this.#body?.destroyed) return target.end()
    sendCall(this.#exchange, target, this.#body, this.#options, resend)
  }

  /** Nothing more is expected of the upstream, and nothing it does is looked at any more. */
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

  /** It waits no longer for other calls to leave it a connection; whatever has ended it says so itself. */
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
    // Nothing was asked of the target, nor was it the target that kept it from being asked.
    if (this.#isQueued) this.#telemetry.abandoned(reason)
    else this.#telemetry.failed(reason, cause, this.#statusCode)
  }
}

function callAgain(call: UpstreamCall, target: Target, resend: Resend): void {
  call.callAgain(target, resend)
}

/** Calls that had no connection at once. */
const WITHOUT_CONNECTION = new ImmediateBatch<UpstreamCall>(call => call.beginPatience())

/** Calls whose body has begun: that of most of them comes in the same turn. */
const BEGUN_UPLOADS = new ImmediateBatch<UpstreamCall>(call => call.flushHead())

/** Calls whose answer has begun: nearly all of them end in the same turn, too. */
const BEGUN_ANSWERS = new ImmediateBatch<UpstreamCall>(call => call.flushUnlessStarted())

function onPatienceEnd(call: UpstreamCall): void {
  call.onPatienceEnd()
}

/** How long an upstream may take to refuse an upload by its header section before the client is asked for the body. */
const CONTINUE_AFTER_MS = 50

function onContinueDue(exchange: Exchange): void {
  exchange.expectsContinue = false
  if (!exchange.response.headersSent && !exchange.response.destroyed) exchange.response.writeContinue()
}

function onDeadline(call: UpstreamCall): void {
  call.onDeadline()
}

function ignore(): void {}

/** Bytes of a body that Node is given as text: it puts that into the same piece of memory as the header section. */
const LONGEST_TEXT = 4_096

const CLIENT_CLOSED = new GatewayError('client_closed')
const GAVE_WAY = new GatewayError('upstream_5xx')
