import { createHash, randomBytes } from 'node:crypto'
import {
  IncomingMessage,
  ServerResponse,
  validateHeaderName,
  validateHeaderValue,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
} from 'node:http'
import { constants, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Express } from 'express'

/**
 * `httpVersion` of HTTP/2 requests, in the form of the telemetry conventions. Node's HTTP/1 parser always adds a minor
 * version.
 */
export const HTTP_2 = '2'

/** Header section of a request, converted to HTTP/1.1. */
export interface RequestHead {
  readonly method: string
  readonly url: string
  /** Flat name, value pairs, without pseudo fields; with `host`. */
  readonly fields: string[]
  /** Size in HTTP/1.1, request line included. */
  readonly bytes: number
  /** Whether it is an extended CONNECT for a WebSocket (RFC 8441). */
  readonly isWebSocket: boolean
}

/** Connection-specific fields, which HTTP/2 forbids (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** Fields whose lines must not be joined to one list. */
const SEPARATE: ReadonlySet<string> = new Set(['set-cookie', 'www-authenticate', 'proxy-authenticate'])

/**
 * Converts a header section to HTTP/1.1. `:authority` becomes `host`; if both are present and differ, both are kept and the
 * request is refused for its two hosts. `cookie` lines are joined (RFC 9113 §8.2.3). A body of unknown length is `chunked`,
 * as an HTTP/1.1 upstream will get it. An extended CONNECT for a WebSocket becomes the handshake of HTTP/1.1; its key, which
 * HTTP/2 has not, is made here (RFC 8441 §5). For other protocols it stays CONNECT, which is refused.
 *
 * @param raw flat name, value pairs as Node passes them, names in lower case
 */
export function requestHead(raw: readonly string[], hasEnded: boolean): RequestHead {
  let method = ''
  let url = ''
  let authority: string | undefined
  let protocol: string | undefined
  let cookieAt = -1
  let hasLength = false
  let hasHost = false
  let bytes = 12 // ` HTTP/1.1` and the ends of line
  const fields: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    bytes += name.length + value.length + 4
    if (name === ':method') method = value
    else if (name === ':path') url = value
    else if (name === ':authority') authority = value
    else if (name === ':protocol') protocol = value
    else if (name.startsWith(':')) continue
    else if (name === 'cookie' && cookieAt !== -1) fields[cookieAt] += `; ${value}`
    else {
      if (name === 'cookie') cookieAt = fields.length + 1
      else if (name === 'content-length') hasLength = true
      else if (name === 'host') hasHost ||= value.toLowerCase() === authority?.toLowerCase()
      fields.push(name, value)
    }
  }
  if (authority !== undefined && !hasHost) fields.unshift('host', authority)
  if (method === 'CONNECT' && protocol === 'websocket') {
    const key = randomBytes(16).toString('base64')
    return {
      method: 'GET',
      url,
      fields: [...withoutKey(fields), 'connection', 'Upgrade', 'upgrade', 'websocket', HANDSHAKE_KEY, key],
      bytes,
      isWebSocket: true,
    }
  }
  if (!hasEnded && !hasLength) fields.push('transfer-encoding', 'chunked')
  return { method, url, fields, bytes, isWebSocket: false }
}

const HANDSHAKE_KEY = 'sec-websocket-key'

/** Removes a key of the client, which would be a second one for the upstream. */
function withoutKey(fields: readonly string[]): string[] {
  return fields.filter((_, i) => fields[i - (i % 2)] !== HANDSHAKE_KEY)
}

/** Classes that turn a stream into a request and its response. */
export interface Http2Messages {
  readonly Http2Request: new (
    stream: ServerHttp2Stream,
    socket: Socket,
    head: RequestHead,
    hasEnded: boolean,
  ) => Http2Request
  readonly Http2Response: new (request: Http2Request, stream: ServerHttp2Stream, head: RequestHead) => Http2Response
}

export interface Http2Request extends IncomingMessage {
  /** Called when the stream has closed: the rest of the body will not arrive. */
  onStreamClose(): void
}

export interface Http2Response extends ServerResponse {
  /** Whether the gateway aborted the response. */
  readonly isBrokenOff: boolean
  /** Whether the stream has become a WebSocket. */
  readonly isUpgraded: boolean
  /** Sends a 1xx response. */
  sendInformation(status: number, fields: readonly string[]): void
  onStreamClose(): void
}

/** Members of Node's classes that its types do not declare. */
interface Internals {
  _addHeaderLines(fields: readonly string[], length: number): void
}

/**
 * Creates HTTP/2 messages that behave like those of Node's HTTP/1 server, so that pipeline and Express need no cases for
 * HTTP/2. Only methods that use the connection are overridden to use the stream. Node's own compatibility classes do not
 * fit: they are not `IncomingMessage`s, join fields differently, take no flat header sections, and lose their methods when
 * Express sets its prototypes.
 *
 * @param app app whose prototypes the messages get from the start, see `express-messages.ts`
 */
export function http2Messages(app: Express): Http2Messages {
  class GatewayHttp2Request extends IncomingMessage implements Http2Request {
    readonly #stream: ServerHttp2Stream

    constructor(stream: ServerHttp2Stream, socket: Socket, head: RequestHead, hasEnded: boolean) {
      super(socket)
      this.#stream = stream
      this.httpVersion = HTTP_2
      this.httpVersionMajor = 2
      this.httpVersionMinor = 0
      this.method = head.method
      this.url = head.url
      ;(this as unknown as Internals)._addHeaderLines(head.fields, head.fields.length)
      // The bytes of a WebSocket are no body; they are read from the stream.
      if (hasEnded || head.isWebSocket) {
        this.#end()
        return
      }
      stream.on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) stream.pause()
      })
      stream.on('end', () => {
        // Node also emits 'end' for an aborted stream.
        if (!stream.closed || stream.writableFinished) this.#end()
      })
    }

    onStreamClose(): void {
      if (this.complete) return
      this.aborted = true
      this.emit('aborted')
      this.destroy(new Error('the client reset the stream'))
    }

    #end(): void {
      this.complete = true
      this.push(null)
    }

    override _read(): void {
      this.#stream.resume()
    }

    /** Keeps the connection open: it has other streams. */
    override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
      // An 'error' without a listener would end the process.
      callback(error !== null && this.listenerCount('error') > 0 ? error : null)
    }
  }

  class GatewayHttp2Response extends ServerResponse implements Http2Response {
    readonly #request: Http2Request
    readonly stream: ServerHttp2Stream
    head: OutgoingHttpHeaders | undefined
    #isHeadSent = false
    hasEnded = false
    isFinished = false
    /** False for HEAD and for a status without a body. */
    #hasBody = true
    #trailers: Record<string, string | string[]> | undefined
    isBrokenOff = false
    readonly #isWebSocket: boolean
    isUpgraded = false

    constructor(request: Http2Request, stream: ServerHttp2Stream, { isWebSocket }: RequestHead) {
      super(request)
      this.#isWebSocket = isWebSocket
      Object.assign(this, { socket: request.socket })
      this.#request = request
      this.stream = stream
      stream.on('drain', () => this.emit('drain'))
      stream.on('finish', () => {
        // Node also emits 'finish' for a HEAD request before its response, and for an aborted stream.
        if (this.#isWhole) this.#finish()
      })
    }

    /** Keeps the header section until the first byte of the body. @throws if a field is invalid, like Node's method */
    override writeHead(status: number, ...rest: readonly unknown[]): this {
      if (this.head !== undefined) throw new Error('the header section has been sent')
      const fields = typeof rest[0] === 'string' ? rest[1] : rest[0]
      const isUpgrade = status === 101 && this.#isWebSocket
      const head = isUpgrade ? this.#upgradeHead(flat(fields)) : this.#headOf(status, flat(fields))
      this.isUpgraded = isUpgrade
      this.statusCode = status
      this.#hasBody = this.#request.method !== 'HEAD' && status !== 204 && status !== 205 && status !== 304
      this.head = head
      return this
    }

    /**
     * Converts the upstream's 101 to 200 (RFC 8441 §5). The client cannot check the answer to the key, because it has not made
     * it.
     *
     * @throws if the upstream has answered another key
     */
    #upgradeHead(fields: readonly string[]): OutgoingHttpHeaders {
      const head = this.#headOf(200, fields)
      const { 'sec-websocket-accept': accept, ...others } = head
      if (accept !== acceptOf(this.#request.headers[HANDSHAKE_KEY] as string)) {
        throw new Error('Sec-WebSocket-Accept is not of the key')
      }
      return others
    }

    /** Adds fields set by earlier stages, unless the response sets the same field. */
    #headOf(status: number, fields: readonly string[]): OutgoingHttpHeaders {
      const head = toHeaders(status, fields)
      const earlier = this.getHeaderNames()
      for (const name of earlier) {
        const value = this.getHeader(name)
        if (value === undefined || head[name] !== undefined || CONNECTION_SPECIFIC.has(name)) continue
        head[name] = Array.isArray(value) && !SEPARATE.has(name) ? value.join(', ') : value
      }
      return head
    }

    override flushHeaders(): void {
      this.#sendHead(false)
    }

    override write(chunk: unknown, ...rest: readonly unknown[]): boolean {
      const [encoding, callback] = optional(rest)
      const isOpen = !this.hasEnded && this.#sendHead(false)
      if (isOpen && this.#hasBody) return this.stream.write(chunk, encoding, callback)
      const error = isOpen ? null : new Error('the stream is closed')
      if (callback) process.nextTick(callback, error)
      return isOpen
    }

    override end(...args: readonly unknown[]): this {
      if (this.hasEnded) return this
      const [chunk, ...rest] = typeof args[0] === 'function' ? [undefined, ...args] : args
      const [encoding, callback] = optional(rest)
      if (callback) this.once('finish', callback)
      this.hasEnded = true
      this.finished = true
      const isEmpty = !this.#hasBody || chunk === undefined || chunk === null || (chunk as string | Buffer).length === 0
      if (this.head === undefined) this.writeHead(this.statusCode)
      const wasSent = this.#isHeadSent
      if (!this.#sendHead(this.#trailers === undefined && (isEmpty || !this.#hasBody))) return this
      if (!this.#hasBody || this.stream.writableEnded) {
        // The stream's 'finish' may have come earlier.
        if (!wasSent || !this.#hasBody) process.nextTick(() => this.#finish())
      } else if (isEmpty) this.stream.end()
      else this.stream.end(chunk, encoding)
      return this
    }

    /** Sends the header section; returns whether the stream is still writable. */
    #sendHead(endStream: boolean): boolean {
      const stream = this.stream
      if (this.head === undefined) this.writeHead(this.statusCode)
      if (stream.destroyed || stream.closed) return false
      if (this.#isHeadSent) return true
      this.#isHeadSent = true
      const head = this.head as OutgoingHttpHeaders
      // No trailers after a known length, as in HTTP/1.1, or after a WebSocket.
      const mayHaveTrailers = this.#hasBody && !this.isUpgraded && !endStream && head['content-length'] === undefined
      const waitForTrailers = mayHaveTrailers && (!this.hasEnded || this.#trailers !== undefined)
      if (waitForTrailers) stream.once('wantTrailers', this.#onWantTrailers)
      stream.respond(head, { endStream: endStream || !this.#hasBody, waitForTrailers })
      return true
    }

    /**
     * Sends the trailers, which end the stream. Not for an aborted response, for which Node asks too: it must not look
     * complete.
     */
    readonly #onWantTrailers = (): void => {
      if (this.hasEnded && !this.isBrokenOff && !this.stream.destroyed) this.stream.sendTrailers(this.#trailers ?? {})
    }

    override addTrailers(trailers: unknown): void {
      const pairs = Array.isArray(trailers) ? (trailers as [string, string][]) : Object.entries(trailers as object)
      for (const [name, value] of pairs) {
        validateHeaderName(name)
        validateHeaderValue(name, value)
        add((this.#trailers ??= {}), name.toLowerCase(), value)
      }
    }

    override writeContinue(): void {
      this.sendInformation(100, [])
    }

    sendInformation(status: number, fields: readonly string[]): void {
      if (this.#isHeadSent || this.stream.destroyed || this.stream.closed) return
      this.stream.additionalHeaders(toHeaders(status, fields))
    }

    /** Aborts the response: resets the stream and keeps the connection. */
    override destroy(error?: Error): this {
      if (this.destroyed) return this
      this.destroyed = true
      this.isBrokenOff = true
      // With the error, which says that the gateway ended the WebSocket.
      if (this.isUpgraded) this.stream.destroy(error)
      else this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      return this
    }

    /** Whether the whole response was written to the stream and the stream was not reset. */
    get #isWhole(): boolean {
      return this.hasEnded && this.#isHeadSent && this.stream.rstCode === constants.NGHTTP2_NO_ERROR
    }

    onStreamClose(): void {
      // Node may close the stream of a short response before it emits 'finish'.
      if (this.#isWhole && !this.stream.aborted) this.#finish()
      this.destroyed = true
      this.emit('close')
    }

    #finish(): void {
      if (this.isFinished) return
      this.isFinished = true
      this.emit('finish')
      // The response is complete, so the rest of the request body is not needed (RFC 9113 §8.1).
      const isOpen = this.#isWebSocket || !this.#request.complete
      if (isOpen && !this.stream.closed) setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR))
    }
  }

  // Accessors in Node, declared as plain properties by its types.
  const states: Record<string, (this: GatewayHttp2Response) => unknown> = {
    headersSent() {
      return this.head !== undefined
    },
    writableEnded() {
      return this.hasEnded
    },
    writableFinished() {
      return this.isFinished
    },
    writableLength() {
      return this.stream.writableLength
    },
    writableHighWaterMark() {
      return this.stream.writableHighWaterMark
    },
    writableNeedDrain() {
      return this.stream.writableNeedDrain
    },
  }
  for (const [name, get] of Object.entries(states)) Object.defineProperty(GatewayHttp2Response.prototype, name, { get })
  Object.setPrototypeOf(GatewayHttp2Request.prototype, app.request)
  Object.setPrototypeOf(GatewayHttp2Response.prototype, app.response)
  app.request = GatewayHttp2Request.prototype as unknown as typeof app.request
  app.response = GatewayHttp2Response.prototype as unknown as typeof app.response
  return { Http2Request: GatewayHttp2Request, Http2Response: GatewayHttp2Response }
}

/** Answer to the key of a handshake (RFC 6455 §4.2.2). */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

function toHeaders(status: number, fields: readonly string[]): OutgoingHttpHeaders {
  const headers: Record<string, OutgoingHttpHeader> = { ':status': status }
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    validateHeaderName(name)
    validateHeaderValue(name, value)
    const lower = name.toLowerCase()
    if (!CONNECTION_SPECIFIC.has(lower)) add(headers, lower, value)
  }
  return headers
}

/** Adds a field; lines of one name are joined to a list (RFC 9110 §5.3), because Node refuses several for many names. */
function add(headers: Record<string, OutgoingHttpHeader>, name: string, value: string): void {
  const earlier = headers[name]
  if (earlier === undefined) headers[name] = value
  else if (SEPARATE.has(name)) headers[name] = [earlier as string | string[], value].flat()
  else headers[name] = `${String(earlier)}, ${value}`
}

/** Converts the fields of `writeHead()`, flat pairs or an object, to flat pairs. */
function flat(fields: unknown): readonly string[] {
  if (fields === undefined || fields === null) return []
  if (Array.isArray(fields)) return fields as string[]
  return Object.entries(fields).flatMap(([name, value]) => [value].flat().flatMap(one => [name, String(one)]))
}

function optional(rest: readonly unknown[]): [BufferEncoding, ((error?: Error | null) => void) | undefined] {
  const [first, second] = rest
  if (typeof first === 'function') return ['utf8', first as () => void]
  return [(first ?? 'utf8') as BufferEncoding, second as (() => void) | undefined]
}
