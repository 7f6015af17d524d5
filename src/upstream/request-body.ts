import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors/gateway-error'
import { UploadPace, type SlowestPace } from './upload-pace'

/**
 * Streams the client's body to undici chunk by chunk, with backpressure.
 *
 * undici destroys the body of a failed call. It must not get the `IncomingMessage` itself, because destroying that
 * closes the client's connection before the client has its response.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  readonly #maxBytes: number | undefined
  readonly #slowest: SlowestPace | undefined
  /** Undefined without a minimum upload rate. */
  readonly #pace: UploadPace | undefined
  /** Bytes that may still come. */
  #remaining: number
  /** What has arrived, so that the body can be sent again; undefined if it is not kept or became too long. */
  #kept: Buffer[] | undefined
  #keptBytes = 0
  #hasArrived = false
  readonly #decode: ((chunk: Buffer) => Buffer) | undefined

  /**
   * @param maxBytes maximum size of a chunked body; undefined for no limit
   * @param isKept whether the first `KEPT_BYTES` are kept for another call
   * @param decode converts each chunk before it is sent
   */
  constructor(
    request: IncomingMessage,
    maxBytes: number | undefined,
    slowest: SlowestPace | undefined,
    isKept = false,
    decode?: (chunk: Buffer) => Buffer,
  ) {
    super({ highWaterMark: request.readableHighWaterMark })
    this.#decode = decode
    if (isKept) this.#kept = []
    this.#request = request
    this.#maxBytes = maxBytes
    this.#slowest = slowest
    this.#remaining = maxBytes ?? Infinity
    if (slowest !== undefined) {
      const isClientsTurn = (): boolean => this.readableLength === 0
      this.#pace = new UploadPace(isClientsTurn, () => this.#refuseSlow(), slowest)
    }
    // The body may fail while no call reads it, and an 'error' without a listener would end the process.
    this.on('error', ignore)
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('error', this.#onError)
  }

  /** Whether the body can be sent again although a call has read it. */
  get isKept(): boolean {
    return this.#kept !== undefined
  }

  /** Frees what is kept: the request will not be sent again. */
  forget(): void {
    this.#kept = undefined
  }

  /**
   * Returns the body for another call if nothing of it was read yet or all of it is kept; undefined if a call may have sent
   * a part.
   */
  restarted(): RequestBody | undefined {
    if (this.#kept !== undefined) return this.#copy(this.#kept)
    if (this.readableDidRead || this.readableLength > 0 || this.readableEnded) return undefined
    this.destroy()
    return new RequestBody(this.#request, this.#maxBytes, this.#slowest)
  }

  /**
   * Makes undici send the header section before the body arrives. Returns false if that is not possible: undici writes
   * the header section of a chunked request only with the size of the first chunk.
   */
  flushHead(): boolean {
    if (this.destroyed || this.readableDidRead || this.readableLength > 0) return false
    if (this.#request.headers['content-length'] === undefined) return false
    return this.emit('data', HEAD_ONLY)
  }

  #copy(kept: readonly Buffer[]): RequestBody {
    this.destroy()
    // What is kept is decoded already, and the decoder may hold a rest.
    const copy = new RequestBody(this.#request, this.#maxBytes, this.#slowest, true, this.#decode)
    for (const chunk of kept) copy.#take(chunk)
    if (this.#hasArrived) copy.#onEnd()
    return copy
  }

  #keep(chunk: Buffer): void {
    this.#keptBytes += chunk.length
    if (this.#keptBytes > KEPT_BYTES) this.#kept = undefined
    else this.#kept?.push(chunk)
  }

  readonly #onData = (received: Buffer): void => {
    this.#pace?.came(received.length)
    this.#take(this.#decode === undefined ? received : this.#decode(received))
  }

  #take(chunk: Buffer): void {
    if (this.#kept !== undefined) this.#keep(chunk)
    this.#remaining -= chunk.length
    if (this.#remaining < 0) return void this.destroy(new GatewayError('body_too_large'))
    if (!this.push(chunk)) this.#request.pause()
  }

  readonly #onEnd = (): void => {
    this.#hasArrived = true
    this.#pace?.stop()
    this.push(null)
  }

  readonly #onError = (error: Error): void => {
    this.destroy(error)
  }

  override _read(): void {
    // A policy may have read an empty chunked body to its end; its 'end' event does not come again. Not earlier: a copy first
    // gets what the body before it has kept.
    if (this.#request.readableEnded && !this.#hasArrived) this.#onEnd()
    else this.#request.resume()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#request.off('data', this.#onData)
    this.#request.off('end', this.#onEnd)
    // The 'error' listener stays, because an 'error' without one would end the process.
    this.#pace?.stop()
    callback(error)
  }

  /** Fails the upload as too slow. undici reports the body's error as the error of the call. */
  #refuseSlow(): void {
    this.destroy(new GatewayError('request_timeout', { cause: new Error('the body came too slowly') }))
  }
}

function ignore(): void {}

/** Bytes of a body that are kept for another call, until a response begins. Most messages of RPCs are shorter. */
const KEPT_BYTES = 65_536

/**
 * An empty chunk with a nonzero `byteLength`, because undici writes nothing for an empty chunk. The length is the
 * smallest positive number: undici adds it to the bytes sent, which does not change the sum.
 */
const HEAD_ONLY = Object.defineProperty(Buffer.alloc(0), 'byteLength', { value: Number.MIN_VALUE })
