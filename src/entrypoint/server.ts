import {
  createServer,
  ServerResponse,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
} from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { EntrypointConfig } from '../config/types'
import { errorFields, problemDetails } from '../errors/problem-details'
import { REASONS, type Reason } from '../errors/reasons'
import type { MessageClasses } from './express-messages'
import { boundConnectionsPerClient, countConnectionsPerClient } from './connections-per-client'
import { mayLoseWhatFollows } from './declined-upgrades'
import { noteExpectation } from './expect-continue'
import { Http2Sessions, type Http2Options } from './http2'
import { discardInput, endLingering, isLingering, isSpent, lingerAfterEarlyAnswer, takeNoMore } from './lingering-close'
import type { ListenerTls } from './listener-tls'
import { PipelinedRequests } from './pipelined-requests'
import { takeUpgrade, wantsWebSocket } from './upgrades'

/** Longest URL that each server accepts: Node limits only the whole header section. */
const maxUrlBytes = new WeakMap<Server, number>()

/** HTTP/2 sessions of each server. */
const http2Sessions = new WeakMap<Server, Http2Sessions>()

export interface EntrypointServerOptions {
  readonly config: EntrypointConfig
  /** Plain HTTP when left out. */
  readonly tls?: ListenerTls | undefined
  readonly handle: RequestListener
  /** Node's own when left out. */
  readonly messages?: MessageClasses
  /** HTTP/1.1 only when left out. */
  readonly http2?: Pick<Http2Options, 'handle' | 'messages' | 'isDraining'> | undefined
  /** Called for input that never became a request: malformed bytes, too large or too slow header sections. */
  readonly onRefused: (reason: Reason) => void
  /** Called when the rest of a request that is already being handled turns out to be malformed or too slow. */
  readonly onBroken: (response: ServerResponse, reason: Reason) => void
}

/** Creates the HTTP or HTTPS server with its limits: every wait for a client has a bound. Does not listen yet. */
export function createEntrypointServer(options: EntrypointServerOptions): Server {
  const { config, handle, messages, onRefused, onBroken } = options
  /**
   * Response to the newest request of each connection; the next bytes on the connection belong to that request's body.
   */
  const newest = new WeakMap<Socket, ServerResponse>()
  const isIdle = (socket: Socket): boolean => {
    // Requests that are not answered have a response that occupies the connection.
    if (isSpent(socket) || isLingering(socket)) return false
    const response = newest.get(socket)
    // A pipelined response that waits for earlier ones has no connection yet and is not finished.
    return response === undefined || (response.writableFinished && response.socket === null)
  }
  const pipelined = new PipelinedRequests()
  /** Requests that turned out to be malformed while waiting. */
  const broken = new WeakMap<ServerResponse, Reason>()
  /** Connections whose input is malformed behind a request that is being served. */
  const isEnding = new WeakSet<Socket>()
  const Response = messages?.ServerResponse ?? ServerResponse
  const http2 = options.http2 && new Http2Sessions(config, { ...options.http2, onRefused, onBroken })
  const server = createListener(
    {
      ...messages,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
      // Not while an earlier response is unfinished: bytes of the upgraded connection could overtake it.
      shouldUpgradeCallback: request => wantsWebSocket(request) && isIdle(request.socket),
      requireHostHeader: false, // the gateway refuses a missing Host itself, counted and with problem details
    },
    (request, response) => {
      const { socket } = request
      // Not answered: the response before it ends the connection.
      if (isSpent(socket) || isLingering(socket)) return discardInput(socket)
      if (mayLoseWhatFollows(request) || (request.httpVersionMinor === 0 && asksToClose(request))) {
        response.shouldKeepAlive = false
        takeNoMore(request)
      }
      newest.set(socket, response)
      // A response without a connection waits for the one before it.
      if (response.socket !== null) return serve(request, response)
      if (pipelined.add(response, () => serveWaiting(request, response))) return
      onRefused('bad_request')
      takeNoMore(request)
      socket.destroy()
    },
    options,
    http2,
  )
  if (http2 !== undefined) http2Sessions.set(server, http2)
  // Fields are counted in `request-faults.ts`: Node counts names and values separately, and older versions silently drop
  // the excess.
  server.maxHeadersCount = 0
  applyLimits(server, config)
  http2?.attach(server, options.tls !== undefined, socket => refuse(socket, 'request_timeout'))
  countConnectionsPerClient(server)
  // Without this listener Node would answer 100 before any policy has checked the request.
  server.on('checkContinue', (request: IncomingMessage, response) => {
    noteExpectation(request)
    server.emit('request', request, response)
  })
  // Without this listener Node would answer 417 itself, without telemetry.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('upgrade', (request, socket: Socket, head: Buffer) => {
    // Node before 24.9 does not call shouldUpgradeCallback.
    if (!wantsWebSocket(request) || !isIdle(socket)) return void socket.destroy()
    const response = new Response(request)
    takeUpgrade(request, response, socket, head)
    handle(request, response)
  })
  // Without this listener Node would close the connection silently.
  server.on('connect', (_request, socket: Socket) => {
    if (isIdle(socket)) return refuse(socket, 'bad_request')
    // Node has removed its listeners: a client that leaves is noticed here. What follows is no HTTP.
    socket.on('error', () => socket.destroy())
    socket.once('end', () => void (isLingering(socket) || socket.destroy())).resume()
    const response = newest.get(socket)
    if (response !== undefined && !isSpent(socket)) refuseAfter(response, socket, 'bad_request')
  })
  server.on('clientError', (error: ParseError, socket: Socket) => {
    if (isLingering(socket)) return
    // The client left: the parser repeats its error at the end.
    if (socket.readableEnded) return void socket.destroy()
    if (isEnding.has(socket)) return
    const reason = reasonFor(error, maxUrlBytes.get(server) as number)
    const response = newest.get(socket)
    if (reason === undefined || !socket.writable) socket.destroy()
    else if (response && pipelined.waitOn(socket) && reason === 'request_timeout') forgive(response, socket, error)
    else if (response && pipelined.waitOn(socket) && !response.req.complete) broken.set(response, reason)
    else if (response === undefined || isOver(response)) refuse(socket, reason)
    else if (!response.writableEnded && !response.req.complete) onBroken(response, reason)
    // Malformed bytes after a complete request.
    else if (response.req.complete) refuseAfter(response, socket, reason)
    // A second response here would end up inside the one being sent, or be taken for the next one.
    else socket.destroy()
  })

  function serveWaiting(request: IncomingMessage, response: ServerResponse): void {
    const reason = broken.get(response)
    if (reason === undefined) serve(request, response)
    else refuse(request.socket, reason)
  }

  function serve(request: IncomingMessage, response: ServerResponse): void {
    lingerAfterEarlyAnswer(request, response)
    handle(request, response)
  }

  /** Ignores a timeout while a request waits: what follows it may be unread. The time restarts when no request waits. */
  function forgive(response: ServerResponse, socket: Socket, error: ParseError): void {
    const { complete } = response.req
    pipelined.whenEmpty(socket, () => {
      const again = (): void => {
        const isStillLate = newest.get(socket) === response && response.req.complete === complete
        if (isStillLate && !socket.destroyed) server.emit('clientError', error, socket)
      }
      setTimeout(again, complete ? server.headersTimeout : server.requestTimeout).unref()
    })
  }

  /** Refuses what follows the newest request in its turn: earlier it would be taken for the response to that request. */
  function refuseAfter(response: ServerResponse, socket: Socket, reason: Reason): void {
    isEnding.add(socket)
    takeNoMore(response.req)
    response.once('finish', () => void (socket.writable && refuse(socket, reason)))
  }

  function refuse(socket: Socket, reason: Reason): void {
    onRefused(reason)
    endLingering(socket, problemMessage(reason))
  }
  return server
}

/** Applies limits to a running server: timeouts at once, the header section's size to new connections only. */
export function applyLimits(server: Server, config: EntrypointConfig): void {
  server.headersTimeout = config.headersTimeoutMs
  server.requestTimeout = config.requestTimeoutMs
  server.keepAliveTimeout = config.keepAliveTimeoutMs
  server.maxConnections = config.maxConnections
  boundConnectionsPerClient(server, config)
  http2Sessions.get(server)?.applyLimits(config)
  // Node reads this field for each new connection; its types do not declare it.
  Object.assign(server, { maxHeaderSize: config.maxHeaderBytes })
  maxUrlBytes.set(server, config.maxUrlBytes)
}

/** Creates the server, with TLS if configured. */
function createListener(
  http: ServerOptions,
  listener: RequestListener,
  { tls, config }: EntrypointServerOptions,
  http2: Http2Sessions | undefined,
): Server {
  if (tls === undefined) return createServer(http, listener)
  // The TLS handshake has the same time bound as a header section.
  const alpn = http2 && { ALPNCallback: http2.chooseProtocol }
  const server = createTlsServer(
    { ...http, ...tls.options, ...alpn, handshakeTimeout: config.headersTimeoutMs },
    listener,
  )
  tls.follow(server)
  return server
}

/** Returns whether the request is the last one of its client. Node's parser ignores `close` beside `keep-alive` in HTTP/1.0. */
function asksToClose({ headers: { connection = '' } }: IncomingMessage): boolean {
  return connection.split(',').some(option => option.trim().toLowerCase() === 'close')
}

function isOver(response: ServerResponse): boolean {
  return response.writableFinished && response.req.complete
}

interface ParseError extends NodeJS.ErrnoException {
  /** Bytes in which the parser stopped. */
  readonly rawPacket?: Buffer
  /** Offset at which the parser stopped. */
  readonly bytesParsed?: number
}

/** Returns the reason for a parser error; undefined if the connection failed, not the request. */
function reasonFor({ code, rawPacket, bytesParsed }: ParseError, longestUrl: number): Reason | undefined {
  if (code === 'HPE_HEADER_OVERFLOW')
    return beginsWithLongLine(rawPacket, longestUrl) ? 'uri_too_long' : 'header_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  if (code === 'HPE_INVALID_EOF_STATE') return undefined // the client left in the middle of it
  if (rawPacket !== undefined && code !== undefined && LINES[code]?.line.test(lineAt(rawPacket, bytesParsed)))
    return LINES[code].reason
  return code?.startsWith('HPE_') ? 'bad_request' : undefined
}

/** Request lines that are valid except for the part that the parser does not know, by parser error. */
const LINES: Readonly<Record<string, { readonly line: RegExp; readonly reason: Reason } | undefined>> = {
  HPE_INVALID_METHOD: { line: /^[!#$%&'*+.^_`|~\w-]+ (?:[/*]|https?:)/, reason: 'not_implemented' },
  // A method of RTSP.
  HPE_INVALID_CONSTANT: { line: /^[A-Z_]+ (?:[/*]|https?:)\S* HTTP\/1\.[01]$/, reason: 'not_implemented' },
  HPE_INVALID_VERSION: { line: /^\S+ \S+ HTTP\/\d\.\d$/, reason: 'version_not_supported' },
}

/** Returns the line around an offset in a packet, as far as the packet contains it. */
function lineAt(packet: Buffer, place = 0): string {
  const start = place === 0 ? 0 : packet.lastIndexOf('\n', place - 1) + 1
  const end = packet.indexOf('\r', start)
  return packet.toString('latin1', start, end === -1 ? undefined : end)
}

/** Returns whether the URL made the header section too large. Node counts both together and does not tell them apart. */
function beginsWithLongLine(packet: Buffer | undefined, longestUrl: number): boolean {
  if (packet === undefined || !REQUEST_LINE.test(packet.toString('latin1', 0, 32))) return false
  const end = packet.indexOf('\n')
  return end === -1 || end > longestUrl + LONGEST_METHOD
}

/** Start of a request line: method and start of the URL, which no other line has. */
const REQUEST_LINE = /^[A-Z-]+ (?:\/|https?:)/
const LONGEST_METHOD = 16

/** Formats a complete HTTP/1.1 response: without a request there is no response object. */
function problemMessage(reason: Reason): string {
  const { status } = REASONS[reason]
  const body = problemDetails(reason)
  const fields = errorFields(body, 'application/problem+json')
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${new Date().toUTCString()}\r\n`
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`
  return `${head}Connection: close\r\n\r\n${body}`
}
