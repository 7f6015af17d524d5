import type { RequestListener, Server, ServerResponse } from 'node:http'
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Counter } from '@opentelemetry/api'
import type { EntrypointConfig } from '../config/types'
import { errorCode } from '../errors/error-code'
import { rejectEarly } from '../errors/error-handler'
import type { Reason } from '../errors/reasons'
import { isGrpc } from '../exchange/grpc-call'
import { ATTR_ERROR_TYPE, METRIC_HTTP2_CONNECTIONS_REFUSED } from '../telemetry/semconv'
import { gatewayMeter } from '../telemetry/scope'
import { noteExpectation } from './expect-continue'
import { takeStream } from './upgrades'
import { requestHead, type Http2Messages, type Http2Response } from './http2-messages'

/** Connection preface of HTTP/2 (RFC 9113 §3.4); no HTTP/1.1 request starts with it. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
/** Interval over which resets and control frames are counted. */
const COUNT_MS = 10_000
/** Time that the connection of an ended session may take to close. */
const LINGER_MS = 2_000
/** Factor by which Node's limits exceed the gateway's, so that slightly too large requests get a response. */
const HEADROOM = 2

const CAUSES = ['rapid_reset', 'control_flood', 'frame_flood', 'invalid_frames', 'protocol_error'] as const
type Cause = (typeof CAUSES)[number]

/** Errors of nghttp2 by their numbers (`nghttp2_error`), where Node has no code of its own: too many answers owed, too many settings in a frame, too many CONTINUATION frames. */
const FLOODS: ReadonlySet<number | undefined> = new Set([-904, -537, -905])

export interface Http2Options {
  readonly handle: RequestListener
  readonly messages: Http2Messages
  readonly isDraining: () => boolean
  /** Called for input that never became a request. */
  readonly onRefused: (reason: Reason) => void
  /** Called when the rest of a request that is being handled is too slow. */
  readonly onBroken: (response: ServerResponse, reason: Reason) => void
}

/**
 * Serves HTTP/2 on connections of the HTTP/1.1 server: those that negotiated it by ALPN, and those without TLS that start
 * with its preface. Other connections go to the HTTP/1.1 server unchanged. Closing the server ends its sessions, too.
 */
export class Http2Sessions {
  readonly #options: Http2Options
  #config: EntrypointConfig
  /** At most as many as the server has connections. */
  readonly #sessions = new Set<Session>()
  /** Connections whose protocol is not yet known. They count towards the server's connections, too. */
  readonly #undecided = new Set<Socket>()
  #isClosing = false
  readonly #refused: Counter = gatewayMeter().createCounter(METRIC_HTTP2_CONNECTIONS_REFUSED, {
    unit: '{connection}',
    description: 'HTTP/2 connections that were ended for what their client sent',
  })

  constructor(config: EntrypointConfig, options: Http2Options) {
    this.#config = config
    this.#options = options
    for (const cause of CAUSES) this.#refused.add(0, { [ATTR_ERROR_TYPE]: cause })
  }

  /** Applies limits to new connections. */
  applyLimits(config: EntrypointConfig): void {
    this.#config = config
  }

  /** Implements `ALPNCallback`; undefined ends the handshake with an alert (RFC 7301 §3.2). */
  readonly chooseProtocol = ({ protocols }: { protocols: string[] }): string | undefined => {
    if (this.#config.http2.tls && protocols.includes('h2')) return 'h2'
    return protocols.includes('http/1.1') ? 'http/1.1' : undefined
  }

  /**
   * Inserts itself between the server and its listener for new connections.
   *
   * @param onSilent closes a connection that sends nothing in time
   */
  attach(server: Server, isSecure: boolean, onSilent: (socket: Socket) => void): void {
    const event = isSecure ? 'secureConnection' : 'connection'
    // Node's own listener is the last one.
    const http1 = server.listeners(event).at(-1) as (socket: Socket) => void
    server.off(event, http1)
    const serveHttp1 = (socket: Socket): void => http1.call(server, socket)
    server.on(event, (socket: Socket) => {
      if (socket.destroyed) return
      if (isSecure) return (socket as TLSSocket).alpnProtocol === 'h2' ? this.#serve(socket) : serveHttp1(socket)
      if (!this.#config.http2.cleartext) return serveHttp1(socket)
      this.#lookAhead(socket, serveHttp1, onSilent)
    })
    const close = server.close.bind(server)
    server.close = callback => {
      this.#isClosing = true
      for (const session of this.#sessions) session.drain()
      // These have sent no request yet.
      for (const socket of this.#undecided) socket.destroy()
      return close(callback)
    }
    const closeAll = server.closeAllConnections.bind(server)
    server.closeAllConnections = () => {
      closeAll()
      for (const session of this.#sessions) session.destroy()
      for (const socket of this.#undecided) socket.destroy()
    }
  }

  /** Reads until a preface and a request line can be told apart: usually one byte. */
  #lookAhead(socket: Socket, serveHttp1: (socket: Socket) => void, onSilent: (socket: Socket) => void): void {
    let seen: Buffer = Buffer.alloc(0)
    this.#undecided.add(socket)
    const done = (): void => {
      clearTimeout(headersTimer)
      this.#undecided.delete(socket)
      socket.off('readable', look).off('end', leave).off('error', leave).off('close', done)
    }
    const look = (): void => {
      const chunk = socket.read() as Buffer | null
      if (chunk === null) return
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const length = Math.min(seen.length, PREFACE.length)
      const mayBePreface = seen.compare(PREFACE, 0, length, 0, length) === 0
      if (mayBePreface && length < PREFACE.length) return
      done()
      socket.unshift(seen)
      if (mayBePreface) this.#serve(socket)
      else serveHttp1(socket)
    }
    const leave = (): void => {
      done()
      socket.destroy()
    }
    const headersTimer = setTimeout(() => {
      done()
      onSilent(socket)
    }, this.#config.headersTimeoutMs)
    socket.on('readable', look).on('end', leave).on('error', leave).on('close', done)
  }

  #serve(socket: Socket): void {
    const session = new Session(socket, this.#config, this.#options, cause => {
      this.#refused.add(1, { [ATTR_ERROR_TYPE]: cause })
    })
    this.#sessions.add(session)
    socket.once('close', () => this.#sessions.delete(session))
    if (this.#isClosing) session.drain()
  }
}

/** HTTP/2 session of one connection. */
class Session {
  readonly #session: ServerHttp2Session
  readonly #socket: Socket
  readonly #config: EntrypointConfig
  readonly #options: Http2Options
  readonly #onRefused: (cause: Cause) => void
  readonly #resets = new FrameCount()
  readonly #controlFrames = new FrameCount()
  /** Runs while no stream is open. */
  #idle: NodeJS.Timeout
  #openStreams = 0
  #isRefused = false

  constructor(socket: Socket, config: EntrypointConfig, options: Http2Options, onRefused: (cause: Cause) => void) {
    this.#socket = socket
    this.#config = config
    this.#options = options
    this.#onRefused = onRefused
    const { http2 } = config
    // Unlike the HTTP/1.1 server: HTTP/2 clients do not half-close a connection and wait for responses.
    socket.allowHalfOpen = false
    const session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: http2.maxStreams,
        // HTTP/2 counts 32 bytes more for each field (RFC 9113 §6.5.2).
        maxHeaderListSize: HEADROOM * config.maxHeaderBytes + 32 * config.maxHeaderFields,
        initialWindowSize: http2.streamWindowBytes,
        enableConnectProtocol: true,
      },
      maxHeaderListPairs: HEADROOM * config.maxHeaderFields,
      maxSessionMemory: Math.ceil(http2.maxMemoryBytes / 1_048_576),
      // Too many invalid frames or refused streams end the session.
      maxSessionInvalidFrames: 100,
      maxSessionRejectedStreams: Math.max(100, http2.maxStreams),
    })
    this.#session = session
    if (http2.connectionWindowBytes > 65_535) session.setLocalWindowSize(http2.connectionWindowBytes)
    session.on('stream', (stream, _headers, flags, rawHeaders) => {
      this.#onStream(stream, rawHeaders, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0)
    })
    session.on('ping', this.#onControlFrame)
    session.on('remoteSettings', this.#onControlFrame)
    session.on('error', (error: Error) => this.#onError(error))
    session.on('close', () => clearTimeout(this.#idle))
    socket.on('error', () => socket.destroy())
    // A client without a first request has the same time bound as a header section.
    this.#idle = setTimeout(() => this.#close(), config.headersTimeoutMs)
  }

  /**
   * Closes the session gracefully: open streams finish, then the connection closes even if the client keeps its half
   * open.
   */
  #close(): void {
    const session = this.#session
    if (session.destroyed) return
    if (!session.closed) session.close()
    if (this.#openStreams === 0) this.#linger()
  }

  #linger(): void {
    if (this.#socket.destroyed) return
    const timer = setTimeout(() => this.destroy(), LINGER_MS)
    this.#socket.once('close', () => clearTimeout(timer))
  }

  /**
   * Drains the session without losing streams: received streams finish, and the GOAWAY tells the client that later ones
   * were not processed, so that it retries them elsewhere (RFC 9113 §6.8). There is no earlier GOAWAY with the largest id:
   * after any GOAWAY from Node, nghttp2 stops reading once no stream is open.
   */
  drain(): void {
    this.#close()
  }

  destroy(): void {
    this.#session.destroy()
    this.#socket.destroy()
  }

  #onStream(stream: ServerHttp2Stream, rawHeaders: readonly string[], hasEnded: boolean): void {
    const { handle, messages, onRefused, isDraining } = this.#options
    this.#openStreams++
    clearTimeout(this.#idle)
    stream.on('error', ignore)
    const head = requestHead(rawHeaders, hasEnded)
    const request = new messages.Http2Request(stream, this.#socket, head, hasEnded)
    const response = new messages.Http2Response(request, stream, head)
    if (head.isWebSocket) takeStream(request, stream)
    stream.once('close', () => {
      request.onStreamClose()
      response.onStreamClose()
      this.#onStreamClose(response)
    })
    if (isDraining()) this.drain()
    if (head.bytes > this.#config.maxHeaderBytes && head.url.length <= this.#config.maxUrlBytes) {
      onRefused('header_too_large')
      return rejectEarly(request, response, 'header_too_large', { fields: [], closesConnection: false })
    }
    if (!hasEnded && !head.isWebSocket) {
      this.#boundUpload(stream, request.complete, response)
      if (request.headers.expect !== undefined) noteExpectation(request)
    }
    handle(request, response)
  }

  /** Bounds the time of a request body, like `requestTimeout` of the HTTP/1.1 server. */
  #boundUpload(stream: ServerHttp2Stream, isComplete: boolean, response: Http2Response): void {
    const { requestTimeoutMs } = this.#config
    // A call that streams has no end in sight; its idle timeout and its deadline bound it.
    if (requestTimeoutMs === 0 || isComplete || isGrpc(response.req)) return
    const timer = setTimeout(() => {
      if (!response.req.complete && !response.writableEnded) this.#options.onBroken(response, 'request_timeout')
    }, requestTimeoutMs)
    stream.once('close', () => clearTimeout(timer))
  }

  #onStreamClose(response: Http2Response): void {
    this.#openStreams--
    if (this.#openStreams === 0) {
      if (this.#session.closed || this.#session.destroyed) this.#linger()
      else this.#idle = setTimeout(() => this.#close(), this.#config.keepAliveTimeoutMs)
    }
    if (response.writableFinished || response.isBrokenOff || response.isUpgraded || this.#session.destroyed) return
    // Reset by the client, or by nghttp2 after a client error: each costs a whole request (CVE-2023-44487, CVE-2025-8671).
    if (this.#resets.exceeds(this.#config.http2.maxResets)) this.#refuse('rapid_reset')
  }

  readonly #onControlFrame = (): void => {
    if (this.#controlFrames.exceeds(this.#config.http2.maxControlFrames)) this.#refuse('control_flood')
  }

  #refuse(cause: Cause): void {
    if (this.#isRefused || this.#session.destroyed) return
    this.#isRefused = true
    this.#onRefused(cause)
    // The code is passed as first argument: Node drops it if that one is `undefined`.
    this.#session.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM as unknown as Error)
  }

  #onError(error: Error): void {
    const code = errorCode(error) ?? ''
    // Ignores errors of broken connections, and of the refusal above.
    if (this.#isRefused || !code.startsWith('ERR_HTTP2_')) return
    this.#isRefused = true
    if (code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES') this.#onRefused('invalid_frames')
    else this.#onRefused(FLOODS.has((error as NodeJS.ErrnoException).errno) ? 'frame_flood' : 'protocol_error')
  }
}

/** Counts frames in the current interval of `COUNT_MS`. */
class FrameCount {
  #count = 0
  #since = performance.now()

  exceeds(most: number): boolean {
    const now = performance.now()
    if (now - this.#since > COUNT_MS) {
      this.#since = now
      this.#count = 0
    }
    return ++this.#count > most
  }
}

function ignore(): void {}
