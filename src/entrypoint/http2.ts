import type { RequestListener, Server, ServerResponse } from 'node:http'
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { metrics, type Counter } from '@opentelemetry/api'
import type { EntrypointConfig } from '../config/types'
import { errorCode } from '../errors/error-code'
import { rejectEarly } from '../errors/error-handler'
import type { Reason } from '../errors/reasons'
import { ATTR_ERROR_TYPE, METRIC_HTTP2_CONNECTIONS_REFUSED, SCOPE_NAME } from '../telemetry/semconv'
import { noteExpectation } from './expect-continue'
import { requestHead, type Http2Messages, type Http2Response } from './http2-messages'

/** What every connection with HTTP/2 begins with (RFC 9113 §3.4); no request of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
/** Over which resets and control frames are counted. */
const COUNT_MS = 10_000
/** How long the connection of a session that has ended may take to close. */
const LINGER_MS = 2_000
/** How much more than the bounds of a request Node lets through, so that what is a little too much gets an answer. */
const HEADROOM = 2

const CAUSES = ['rapid_reset', 'control_flood', 'frame_flood', 'invalid_frames', 'protocol_error'] as const
type Cause = (typeof CAUSES)[number]

/** Errors of nghttp2 by their numbers (`nghttp2_error`), where Node has no code of its own: too many answers owed, too many settings in a frame, too many CONTINUATION frames. */
const FLOODS: ReadonlySet<number | undefined> = new Set([-904, -537, -905])

export interface Http2Options {
  readonly handle: RequestListener
  readonly messages: Http2Messages
  readonly isDraining: () => boolean
  /** Called for what never became a request. */
  readonly onRefused: (reason: Reason) => void
  /** Called when the rest of a request that is being handled is too slow. */
  readonly onBroken: (response: ServerResponse, reason: Reason) => void
}

/**
 * Serves HTTP/2 on connections of the HTTP/1.1 server: those that have agreed on it by ALPN, and those without TLS that begin
 * with its preface. What is not HTTP/2 goes to the server as if nothing had looked at it. Closing the server ends its sessions
 * as well.
 */
export class Http2Sessions {
  readonly #options: Http2Options
  #config: EntrypointConfig
  /** At most as many as the server has connections. */
  readonly #sessions = new Set<Session>()
  /** Connections of which not enough has come to tell the protocol; they count among those of the server, too. */
  readonly #undecided = new Set<Socket>()
  #isClosing = false
  readonly #refused: Counter = metrics.getMeter(SCOPE_NAME).createCounter(METRIC_HTTP2_CONNECTIONS_REFUSED, {
    unit: '{connection}',
    description: 'HTTP/2 connections that were ended for what their client sent',
  })

  constructor(config: EntrypointConfig, options: Http2Options) {
    this.#config = config
    this.#options = options
    for (const cause of CAUSES) this.#refused.add(0, { [ATTR_ERROR_TYPE]: cause })
  }

  /** From the next connection on. */
  applyLimits(config: EntrypointConfig): void {
    this.#config = config
  }

  /** For `ALPNCallback`: undefined ends the handshake with an alert (RFC 7301 §3.2). */
  readonly chooseProtocol = ({ protocols }: { protocols: string[] }): string | undefined => {
    if (this.#config.http2.tls && protocols.includes('h2')) return 'h2'
    return protocols.includes('http/1.1') ? 'http/1.1' : undefined
  }

  /**
   * Comes between the server and its listener for new connections.
   *
   * @param onSilent closes a connection that says nothing in time
   */
  attach(server: Server, isSecure: boolean, onSilent: (socket: Socket) => void): void {
    const event = isSecure ? 'secureConnection' : 'connection'
    // Node's own is the last one.
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
      // Nothing has been asked over these.
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

  /** Reads as much as it takes to tell a preface from a request line: mostly one byte. */
  #lookAhead(socket: Socket, serveHttp1: (socket: Socket) => void, onSilent: (socket: Socket) => void): void {
    let seen: Buffer = Buffer.alloc(0)
    this.#undecided.add(socket)
    const done = (): void => {
      clearTimeout(patience)
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
    const patience = setTimeout(() => {
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

/** One connection. */
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
    // The HTTP/1.1 server leaves its half open when the client closes the other; no client of HTTP/2 does that and waits.
    socket.allowHalfOpen = false
    const session = performServerHandshake(socket, {
      settings: {
        maxConcurrentStreams: http2.maxStreams,
        // As HTTP/2 counts, each field is 32 bytes larger (RFC 9113 §6.5.2).
        maxHeaderListSize: HEADROOM * config.maxHeaderBytes + 32 * config.maxHeaderFields,
        initialWindowSize: http2.streamWindowBytes,
      },
      maxHeaderListPairs: HEADROOM * config.maxHeaderFields,
      maxSessionMemory: Math.ceil(http2.maxMemoryBytes / 1_048_576),
      // Frames that nghttp2 does not take, and refused streams: each ends the session when there are too many.
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
    // One that says nothing more is as slow as one whose request does not come.
    this.#idle = setTimeout(() => this.#close(), config.headersTimeoutMs)
  }

  /** Open streams go on; then the connection closes, also where the client leaves its half open. */
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
   * No stream is lost: those that have come are finished, and the client learns from the GOAWAY that none behind them was
   * looked at, so that it sends them again elsewhere (RFC 9113 §6.8). Not announced by a GOAWAY of the largest id: after any
   * of Node's, nghttp2 reads no more as soon as no stream is open.
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
    const response = new messages.Http2Response(request, stream)
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
    if (!hasEnded) {
      this.#boundUpload(stream, request.complete, response)
      if (request.headers.expect !== undefined) noteExpectation(request)
    }
    handle(request, response)
  }

  /** What the HTTP/1.1 server's `requestTimeout` is. */
  #boundUpload(stream: ServerHttp2Stream, isComplete: boolean, response: Http2Response): void {
    const { requestTimeoutMs } = this.#config
    if (requestTimeoutMs === 0 || isComplete) return
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
    if (response.writableFinished || response.isBrokenOff || this.#session.destroyed) return
    // By its client, or by nghttp2 for a mistake of it: each costs a whole request (CVE-2023-44487, CVE-2025-8671).
    if (this.#resets.exceeds(this.#config.http2.maxResets)) this.#refuse('rapid_reset')
  }

  readonly #onControlFrame = (): void => {
    if (this.#controlFrames.exceeds(this.#config.http2.maxControlFrames)) this.#refuse('control_flood')
  }

  #refuse(cause: Cause): void {
    if (this.#isRefused || this.#session.destroyed) return
    this.#isRefused = true
    this.#onRefused(cause)
    // By number: with `undefined` in front of it Node forgets the code.
    this.#session.destroy(constants.NGHTTP2_ENHANCE_YOUR_CALM as unknown as Error)
  }

  #onError(error: Error): void {
    const code = errorCode(error) ?? ''
    // Of a connection that broke, or that was refused above.
    if (this.#isRefused || !code.startsWith('ERR_HTTP2_')) return
    this.#isRefused = true
    if (code === 'ERR_HTTP2_TOO_MANY_INVALID_FRAMES') this.#onRefused('invalid_frames')
    else this.#onRefused(FLOODS.has((error as NodeJS.ErrnoException).errno) ? 'frame_flood' : 'protocol_error')
  }
}

/** How many frames have come in the current stretch of `COUNT_MS`. */
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
