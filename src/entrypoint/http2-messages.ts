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

/** How a request over HTTP/2 gives its version, as the telemetry's conventions want it. Node's parser of HTTP/1 always gives a minor one. */
export const HTTP_2 = '2'

/** A request's header section, in the words of HTTP/1.1. */
export interface RequestHead {
  readonly method: string
  readonly url: string
  /** Flat name, value pairs, without pseudo fields; with `host`. */
  readonly fields: string[]
  /** As HTTP/1.1 would count them, request line included. */
  readonly bytes: number
}

/** Fields that HTTP/2 has no use for, or must not have (RFC 9113 §8.2.2). */
const CONNECTION_SPECIFIC: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/** Fields whose lines must not become one list. */
const SEPARATE: ReadonlySet<string> = new Set(['set-cookie', 'www-authenticate', 'proxy-authenticate'])

/**
 * What `:authority` says becomes `host`; where both are there and differ, both stay, and the request is refused like one
 * with two hosts. Pieces of `cookie` become one field (RFC 9113 §8.2.3). A body of unknown length is `chunked`, as it will be
 * for an upstream that speaks HTTP/1.1.
 *
 * @param raw as Node gives them: flat name, value pairs, names in lower case
 */
export function requestHead(raw: readonly string[], hasEnded: boolean): RequestHead {
  let method = ''
  let url = ''
  let authority: string | undefined
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
  if (!hasEnded && !hasLength) fields.push('transfer-encoding', 'chunked')
  return { method, url, fields, bytes }
}

/** Makes a request and its response of each stream. */
export interface Http2Messages {
  readonly Http2Request: new (
    stream: ServerHttp2Stream,
    socket: Socket,
    head: RequestHead,
    hasEnded: boolean,
  ) => Http2Request
  readonly Http2Response: new (request: Http2Request, stream: ServerHttp2Stream) => Http2Response
}

export interface Http2Request extends IncomingMessage {
  /** The stream is gone: what has not come does not come any more. */
  onStreamClose(): void
}

export interface Http2Response extends ServerResponse {
  /** Whether it was the gateway that broke it off. */
  readonly isBrokenOff: boolean
  /** Sends a 1xx response. */
  sendInformation(status: number, fields: readonly string[]): void
  onStreamClose(): void
}

/** What Node's own classes have, and its types do not. */
interface Internals {
  _addHeaderLines(fields: readonly string[], length: number): void
}

/**
 * Messages of HTTP/2 that are those of Node's HTTP/1 server to everybody who uses them: the pipeline and Express cannot tell
 * the difference. Only what touches the connection is written anew, on the stream. Not Node's own compatibility classes:
 * these are no `IncomingMessage`, join fields otherwise, take no flat header sections, and lose their methods to Express,
 * which sets its own prototypes.
 *
 * @param app whose prototypes they are born with, for the reason that `express-messages.ts` gives
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
      if (hasEnded) {
        this.#end()
        return
      }
      stream.on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) stream.pause()
      })
      stream.on('end', () => {
        // Node also ends what was broken off.
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

    /** The connection has other streams, and stays. */
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
    /** Not with HEAD, nor with a status that has none. */
    #hasBody = true
    #trailers: Record<string, string | string[]> | undefined
    isBrokenOff = false

    constructor(request: Http2Request, stream: ServerHttp2Stream) {
      super(request)
      Object.assign(this, { socket: request.socket })
      this.#request = request
      this.stream = stream
      stream.on('drain', () => this.emit('drain'))
      stream.on('finish', () => {
        // Node ends the stream of a HEAD request before it has been answered, and every one that is broken off.
        if (this.#isWhole) this.#finish()
      })
    }

    /** @throws where a field is not valid, as Node's does; nothing is sent before the first byte of the body */
    override writeHead(status: number, ...rest: readonly unknown[]): this {
      if (this.head !== undefined) throw new Error('the header section has been sent')
      const fields = typeof rest[0] === 'string' ? rest[1] : rest[0]
      const head = this.#headOf(status, flat(fields))
      this.statusCode = status
      this.#hasBody = this.#request.method !== 'HEAD' && status !== 204 && status !== 205 && status !== 304
      this.head = head
      return this
    }

    /** Those of earlier stages, where the answer does not say the same field itself. */
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
        // Its stream's 'finish' may have been before.
        if (!wasSent || !this.#hasBody) process.nextTick(() => this.#finish())
      } else if (isEmpty) this.stream.end()
      else this.stream.end(chunk, encoding)
      return this
    }

    /** Whether the stream takes anything. */
    #sendHead(endStream: boolean): boolean {
      const stream = this.stream
      if (this.head === undefined) this.writeHead(this.statusCode)
      if (stream.destroyed || stream.closed) return false
      if (this.#isHeadSent) return true
      this.#isHeadSent = true
      const head = this.head as OutgoingHttpHeaders
      // Behind a known length come none, as with HTTP/1.1.
      const mayHaveTrailers = this.#hasBody && !endStream && head['content-length'] === undefined
      const waitForTrailers = mayHaveTrailers && (!this.hasEnded || this.#trailers !== undefined)
      if (waitForTrailers) stream.once('wantTrailers', this.#onWantTrailers)
      stream.respond(head, { endStream: endStream || !this.#hasBody, waitForTrailers })
      return true
    }

    /** The end of the stream is said with them. Node also asks for those of a response that is broken off, which must not look whole. */
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

    /** Breaks the response off: the stream is reset, and the connection stays. */
    override destroy(_error?: Error): this {
      if (this.destroyed) return this
      this.destroyed = true
      this.isBrokenOff = true
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      return this
    }

    /** Whether everything was given to the stream, and nobody has reset it. */
    get #isWhole(): boolean {
      return this.hasEnded && this.#isHeadSent && this.stream.rstCode === constants.NGHTTP2_NO_ERROR
    }

    onStreamClose(): void {
      // A short response is on its way before Node says that it has taken it.
      if (this.#isWhole && !this.stream.aborted) this.#finish()
      this.destroyed = true
      this.emit('close')
    }

    #finish(): void {
      if (this.isFinished) return
      this.isFinished = true
      this.emit('finish')
      // The whole response is out: nobody wants the rest of the body (RFC 9113 §8.1).
      if (!this.#request.complete && !this.stream.closed)
        setImmediate(() => this.stream.close(constants.NGHTTP2_NO_ERROR))
    }
  }

  // Accessors of Node's, and to the types of Node plain properties.
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

/** Several lines of one name are one list (RFC 9110 §5.3). Node refuses them for many names. */
function add(headers: Record<string, OutgoingHttpHeader>, name: string, value: string): void {
  const earlier = headers[name]
  if (earlier === undefined) headers[name] = value
  else if (SEPARATE.has(name)) headers[name] = [earlier as string | string[], value].flat()
  else headers[name] = `${String(earlier)}, ${value}`
}

/** What `writeHead()` takes: flat name, value pairs, or an object. */
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
