import { constants, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2'
import type { Readable } from 'node:stream'
import { errors, type Dispatcher } from 'undici'
import { GatewayError } from '../../errors/gateway-error'
import type { ConnectedCall } from '../upstream-client'
import type { Http2Connection } from './http2-connection'
import { Unprocessed } from './unprocessed'

export type Http2Handler = Dispatcher.DispatchHandler & ConnectedCall

/** One request on a stream, with the interface of undici's dispatcher, so that `upstream-call.ts` needs no cases for HTTP/2. */
export class Http2Call implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  rawHeaders: string[] | null = null
  rawTrailers: string[] | null = null
  readonly #connection: Http2Connection
  readonly #request: Dispatcher.DispatchOptions
  readonly #handler: Http2Handler
  readonly #origin: string
  #stream: ClientHttp2Stream | undefined
  #error: Error | undefined
  #hasResponse = false
  #isOver = false

  constructor(connection: Http2Connection, request: Dispatcher.DispatchOptions, handler: Http2Handler, origin: string) {
    this.#connection = connection
    this.#request = request
    this.#handler = handler
    this.#origin = origin
  }

  send(): void {
    const handler = this.#handler
    const connection = this.#connection
    handler.connection = connection
    connection.streamOpened()
    try {
      // Throws if the client has left meanwhile.
      handler.onRequestStart?.(this, undefined)
    } catch (error) {
      return this.#fail(error as Error)
    }
    if (this.#isOver) return
    const body = this.#request.body as Readable | Buffer | null
    let stream: ClientHttp2Stream
    try {
      stream = connection.session.request(this.#fields(), {
        endStream: body === null,
      })
    } catch (error) {
      const hasLeft = connection.session.closed || connection.session.destroyed
      return this.#fail(hasLeft ? new Unprocessed('the connection was closed') : (error as Error))
    }
    this.#stream = stream
    stream.on('headers', (headers, _flags, raw) => this.#onHead(headers, raw))
    stream.on('response', (headers, _flags, raw) => this.#onHead(headers, raw))
    stream.on('data', (chunk: Buffer) => {
      if (!this.#isOver) this.#guard(() => handler.onResponseData?.(this, chunk))
    })
    stream.on('trailers', (_headers, _flags, raw) => (this.rawTrailers = raw ?? null))
    stream.on('end', () => {
      // Node also ends a stream that was reset.
      if (this.#hasResponse && stream.rstCode === constants.NGHTTP2_NO_ERROR && !stream.aborted) this.#end()
    })
    stream.on('error', error => (this.#error ??= error))
    stream.on('close', () => this.#onClose(stream))
    if (body === null) handler.onRequestSent?.()
    else if (Buffer.isBuffer(body)) stream.end(body)
    else this.#sendBody(body, stream)
  }

  pause(): void {
    this.paused = true
    this.#stream?.pause()
  }

  resume(): void {
    this.paused = false
    this.#stream?.resume()
  }

  abort(reason: Error): void {
    if (this.#isOver) return
    this.aborted = true
    this.reason = reason
    if (reason instanceof GatewayError && reason.reason === 'response_timeout') this.#connection.check()
    this.#fail(reason)
  }

  /** Undefined without a body, and for one that is in memory. */
  get #streamedBody(): Readable | undefined {
    const { body } = this.#request
    return body === null || Buffer.isBuffer(body) ? undefined : (body as Readable)
  }

  #fields(): string[] {
    const { method, path, headers } = this.#request
    const flat = headers as readonly string[]
    const { protocol, host } = new URL(this.#origin)
    let authority = host
    const fields: string[] = []
    for (let i = 0; i < flat.length; i += 2) {
      const name = flat[i] as string
      const value = flat[i + 1] as string
      if (name === 'host') authority = value
      else fields.push(name, value)
    }
    return [':method', method, ':scheme', protocol.slice(0, -1), ':authority', authority, ':path', path, ...fields]
  }

  #sendBody(body: Readable, stream: ClientHttp2Stream): void {
    const handler = this.#handler
    body.on('data', (chunk: Buffer) => {
      // The chunk that makes undici send the header section is empty (`RequestBody.flushHead`).
      if (this.#isOver || chunk.length === 0) return
      handler.onBodySent?.(chunk)
      if (!stream.write(chunk)) body.pause()
    })
    stream.on('drain', () => {
      handler.onBodySent?.(EMPTY)
      body.resume()
    })
    body.on('end', () => {
      stream.end()
      handler.onRequestSent?.()
    })
    body.on('error', error => {
      if (!this.#isOver) this.#fail(error)
    })
  }

  #onHead(headers: IncomingHttpHeaders, raw: readonly string[] = []): void {
    if (this.#isOver) return
    const status = Number(headers[':status'])
    if (status === 100) return // the gateway answers `Expect` itself
    this.rawHeaders = raw.filter((_, i) => !(raw[i - (i % 2)] as string).startsWith(':'))
    if (status >= 200) this.#hasResponse = true
    this.#guard(() => {
      if (status >= 200) this.#handler.onResponseStarted?.()
      this.#handler.onResponseStart?.(this, status, headers, '')
    })
  }

  /** Ends the call if the handler throws, as undici does. */
  #guard(step: () => void): void {
    try {
      step()
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    const body = this.#streamedBody
    const stream = this.#stream as ClientHttp2Stream
    // The rest of the upload is not needed (RFC 9113 §8.1).
    if (body !== undefined && !body.readableEnded) {
      body.destroy()
      stream.close(constants.NGHTTP2_NO_ERROR)
    }
    this.#connection.streamClosed()
    this.#handler.onResponseEnd?.(this, {})
  }

  #onClose(stream: ClientHttp2Stream): void {
    if (this.#isOver) return
    const code = stream.rstCode
    if (code === constants.NGHTTP2_REFUSED_STREAM || this.#connection.wasNotProcessed(stream.id)) {
      return this.#fail(new Unprocessed('the target has not processed the request'))
    }
    // The whole response has arrived, and its client has not read it yet.
    if (this.#hasResponse && code === constants.NGHTTP2_NO_ERROR && stream.readableEnded) return this.#end()
    // Node resets a stream whose header section is too large with this code.
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM || code === constants.NGHTTP2_PROTOCOL_ERROR) {
      return this.#fail(new GatewayError('bad_response', { cause: new Error(`the stream was reset: ${nameOf(code)}`) }))
    }
    this.#fail(this.#connection.failure ?? new errors.SocketError(`the stream was reset: ${nameOf(code ?? 0)}`))
  }

  #fail(error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const stream = this.#stream
    if (stream !== undefined && !stream.closed) stream.close(constants.NGHTTP2_CANCEL)
    const body = this.#streamedBody
    this.#connection.streamClosed()
    // Undici destroys the body of a failed call too. Not for a call that was not sent, which may be sent again.
    if (stream !== undefined) body?.destroy(error)
    this.#handler.onResponseError?.(this, error)
  }
}

const EMPTY = Buffer.alloc(0)

const CODES = ['NO_ERROR', 'PROTOCOL_ERROR', 'INTERNAL_ERROR', 'FLOW_CONTROL_ERROR', 'SETTINGS_TIMEOUT']
CODES.push('STREAM_CLOSED', 'FRAME_SIZE_ERROR', 'REFUSED_STREAM', 'CANCEL', 'COMPRESSION_ERROR', 'CONNECT_ERROR')
CODES.push('ENHANCE_YOUR_CALM', 'INADEQUATE_SECURITY', 'HTTP_1_1_REQUIRED')

function nameOf(code: number): string {
  return CODES[code] ?? String(code)
}
