import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { context } from '@opentelemetry/api'
import { consumerOrClientKey } from '../exchange/client-key'
import type { Exchange, Upgrade } from '../exchange/exchange'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { CallTimer, type TimedCall } from './call-timer'
import type { CallTelemetry, ClientTelemetry } from './client-telemetry'
import type { ClientShare, ConnectionUser } from './connection-queue'
import {
  countDownload,
  endDownload,
  expectDownload,
  expectEnd,
  type LeastDownload,
  type WaitingResponse,
} from './download-pace'
import { passInformation } from './information'
import type { RequestBody } from './request-body'
import { buildRequestHeaders, joined } from './request-headers'
import { ResponseBuffer, type BufferOwner, type ResponseBufferLimits, type ResponseMemory } from './response-buffer'
import { buildTrailers, fieldsForClient, refuseTransferCodings, type ParsedHeaders } from './response-headers'
import { isIdempotent } from './retry-policy'
import type { Target } from './target'
import { openTunnel } from './tunnel'
import { ImmediateBatch } from './immediate-batch'
import type { Upstream } from './upstream'
import { overloaded, toGatewayError } from './upstream-errors'

export interface CallOptions {
  readonly upstream: Upstream
  readonly telemetry: ClientTelemetry
  /** Undefined where paths stay as they are. */
  readonly rewritePath: ((path: string) => string) | undefined
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
}

/** Makes one call to a target; it answers the client, or has another call do so. */
export function sendCall(
  exchange: Exchange,
  target: Target,
  body: RequestBody | null,
  options: CallOptions,
  resend: Resend | undefined,
): void {
  exchange.target = target.origin
  const path = options.rewritePath === undefined ? exchange.path : options.rewritePath(exchange.path)
  const headers = buildRequestHeaders(exchange, options.replacedFields)
  const telemetry = options.telemetry.begin(exchange, target.attributes, path, headers, resend)
  const call = new UpstreamCall(exchange, target, body, options, telemetry, resend)
  call.begin({
    path: path + exchange.query,
    method: exchange.request.method as Dispatcher.HttpMethod,
    headers,
    body,
    upgrade: exchange.upgrade === undefined ? null : 'websocket',
  })
}

/** One call to a target, seen from undici. Its methods run in the order in which they are written here. */
class UpstreamCall implements Dispatcher.DispatchHandler, TimedCall, ConnectionUser, WaitingResponse, BufferOwner {
  readonly #exchange: Exchange
  readonly #target: Target
  readonly #body: RequestBody | null
  readonly #options: CallOptions
  readonly #telemetry: CallTelemetry
  readonly #resend: Resend | undefined
  readonly #timer: CallTimer
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #statusCode: number | undefined
  /** Bytes of the response body still to come; -1 when the upstream did not say. */
  #remaining = -1
  #bodyStarted = false
  #deadline: NodeJS.Timeout | undefined
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
    this.#timer = new CallTimer(this, { upstreamMs: options.responseMs, clientMs: options.clientStallMs })
    exchange.call = this
    if (options.totalMs !== undefined) {
      const leftMs = exchange.startedAt + options.totalMs - performance.now()
      this.#deadline = setTimeout(onDeadline, Math.max(0, leftMs), this)
    }
  }

  /** Most calls are under way when this returns. */
  begin(request: Dispatcher.DispatchOptions): void {
    const { connections, pool } = this.#target
    if (connections.enter(this, consumerOrClientKey(this.#exchange))) {
      this.#holdsConnection = true
      pool.dispatch(request, this)
      if (this.#controller !== undefined || this.#settled) return
    } else this.#request = request
    this.#isQueued = true
    this.#target.waitingCalls++
    WITHOUT_CONNECTION.add(this)
  }

  /** Another call has left a connection to this one. */
  onConnection(): void {
    const request = this.#request as Dispatcher.DispatchOptions
    this.#request = undefined
    this.#holdsConnection = true
    // It was another request's turn until now.
    context.with(this.#exchange.context, () => this.#target.pool.dispatch(request, this))
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
    this.#telemetry.sent()
    this.#timer.start()
  }

  onBodySent(): void {
    this.#timer.moved()
  }

  onRequestSent(): void {
    this.#timer.moved()
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    statusCode: number,
    headers: ParsedHeaders,
    statusMessage?: string,
  ): void {
    if (this.#settled) return
    this.#timer.moved()
    const { response } = this.#exchange
    if (statusCode < 200) return passInformation(this.#exchange, statusCode, headers)
    this.#timer.allow(this.#options.idleMs)
    this.#statusCode = statusCode
    this.#target.concluded(statusCode >= 500 ? 'upstream_5xx' : undefined, statusCode)
    if (statusCode >= 500 && this.#giveWay('upstream_5xx')) return this.#telemetry.responded(statusCode)
    if (statusCode >= 500) this.#exchange.conclude('fault', 'upstream_5xx')
    refuseTransferCodings(joined(headers['transfer-encoding']))
    const length = headers['content-length']
    if (typeof length === 'string' && this.#exchange.request.method !== 'HEAD') this.#remaining = Number(length)
    const fields = fieldsForClient(this.#exchange, controller, statusCode, headers)
    // An answer that comes before the whole body leaves bytes on the connection that nobody will read.
    if (this.#exchange.closesConnection) fields.push('Connection', 'close')
    response.writeHead(statusCode, reasonPhrase(statusMessage), fields)
    // Now that it cannot give way to another call any more.
    if (headers['content-type']?.includes('text/event-stream')) {
      this.#exchange.becameStream('event_stream')
      this.#target.connections.streams(this)
    }
    // A stream may send its first byte much later; its header section must not wait for that.
    BEGUN_ANSWERS.add(this)
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
    const fields = fieldsForClient(this.#exchange, controller, statusCode, headers)
    fields.push('Connection', 'Upgrade', 'Upgrade', 'websocket')
    // Throws where Node would not write them; until here the call can fail like any other.
    response.writeHead(statusCode, fields)
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
    if (this.#buffer?.isBehind) return this.#keepForClient(controller, chunk, this.#buffer)
    const { response } = this.#exchange
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      // The last chunk of a known length goes out with the end: one write less for nearly every response.
      this.#settle()
      this.#telemetry.responded(this.#statusCode as number)
      if (chunk.length > LONGEST_TEXT) response.end(chunk)
      else response.end(chunk.toString('latin1'), 'latin1') // each byte a character
      this.#expectTaken()
      return
    }
    // Node says that there is too much also of a large chunk that the connection has taken at once.
    if (!response.write(chunk) && response.writableLength > 0) this.#fallBehind(controller)
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
    if (rawTrailers.length > 0) response.addTrailers(buildTrailers(rawTrailers, route?.responseEdits?.dropped))
    response.end()
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
    // That everything together took too long says nothing of this target.
    if (!this.#isOutOfTime) this.#target.concluded(failure.reason, undefined)
    const givesWay = this.#giveWay(failure.reason)
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

  /** Has another call made in the place of this one, which failed; false where that would not be safe, or too much. */
  #giveWay(reason: Reason): boolean {
    const { upstream, retry } = this.#options
    const { retries } = upstream
    const count = (this.#resend?.count ?? 0) + 1
    if (retries === undefined || this.#isOutOfTime || retry === 'never' || count >= retries.attempts) return false
    if (!retries.covers(reason, this.#statusCode) || this.#exchange.response.headersSent) return false
    const hasBegun = this.#controller !== undefined
    // A call that never began has reached nobody, and its body is still whole.
    if (hasBegun && (this.#body !== null || (retry !== 'always' && !isIdempotent(this.#exchange.request.method)))) {
      return false
    }
    const tried = [...(this.#resend?.tried ?? []), this.#target]
    const target = upstream.pickOther(tried, this.#exchange)
    if (target === undefined) return false
    if (!retries.spend(reason)) {
      target.end()
      return false
    }
    this.#settle()
    this.#exchange.call = undefined
    // Until the next call listens, an error of the client's connection would have no listener and end the process.
    this.#body?.on('error', ignore)
    // Whatever has ended this call, a timer of many calls or a connection's, it did so in a context of its own.
    const resend = { count, reason, tried }
    context.with(this.#exchange.context, () => setTimeout(callAgain, retries.delayMs(count), this, target, resend))
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

/** Calls whose answer has begun: nearly all of them end in the same turn, too. */
const BEGUN_ANSWERS = new ImmediateBatch<UpstreamCall>(call => call.flushUnlessStarted())

function onPatienceEnd(call: UpstreamCall): void {
  call.onPatienceEnd()
}

function onDeadline(call: UpstreamCall): void {
  call.onDeadline()
}

function ignore(): void {}

/** Bytes of a body that Node is given as text: it puts that into the same piece of memory as the header section. */
const LONGEST_TEXT = 4_096

/** Left out where Node would refuse to write it: it has no meaning (RFC 9110 §15.1), and HTTP/2 has none at all. */
function reasonPhrase(phrase: string | undefined): string {
  return phrase !== undefined && /^[\t\x20-\x7e]*$/.test(phrase) ? phrase : ''
}

const CLIENT_CLOSED = new GatewayError('client_closed')
const GAVE_WAY = new GatewayError('upstream_5xx')
