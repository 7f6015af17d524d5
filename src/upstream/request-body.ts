import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../errors/gateway-error'
import { UploadPace, type SlowestPace } from './upload-pace'

/**
 * The client's body as undici reads it, chunk by chunk, with its backpressure.
 *
 * Not the request itself: undici destroys the body of a call that fails, and destroying an `IncomingMessage` closes the
 * client's connection before the client has its answer.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage
  readonly #maxBytes: number | undefined
  readonly #slowest: SlowestPace | undefined
  /** Undefined where there is no bound. */
  readonly #pace: UploadPace | undefined
  /** Bytes that may still come. */
  #remaining: number

  /** @param maxBytes of a body in chunks; undefined for no bound */
  constructor(request: IncomingMessage, maxBytes: number | undefined, slowest: SlowestPace | undefined) {
    super({ highWaterMark: request.readableHighWaterMark })
    this.#request = request
    this.#maxBytes = maxBytes
    this.#slowest = slowest
    this.#remaining = maxBytes ?? Infinity
    if (slowest !== undefined) {
      const isClientsTurn = (): boolean => this.readableLength === 0
      this.#pace = new UploadPace(isClientsTurn, () => this.#refuseSlow(), slowest)
    }
    // It may fail while no call reads it: an 'error' without a listener would end the process.
    this.on('error', ignore)
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('error', this.#onError)
  }

  /** The same body for another call, where nothing of it has come yet; undefined where a call may have sent a part of it. */
  restarted(): RequestBody | undefined {
    if (this.readableDidRead || this.readableLength > 0 || this.readableEnded) return undefined
    this.destroy()
    return new RequestBody(this.#request, this.#maxBytes, this.#slowest)
  }

  /**
   * Has undici send the header section although nothing of the body has come; false where it cannot: of a body in chunks it
   * writes the header section only together with the size of the first chunk.
   */
  flushHead(): boolean {
    if (this.destroyed || this.readableDidRead || this.readableLength > 0) return false
    if (this.#request.headers['content-length'] === undefined) return false
    return this.emit('data', HEAD_ONLY)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#pace?.came(chunk.length)
    this.#remaining -= chunk.length
    if (this.#remaining < 0) return void this.destroy(new GatewayError('body_too_large'))
    if (!this.push(chunk)) this.#request.pause()
  }

  readonly #onEnd = (): void => {
    this.#pace?.stop()
    this.push(null)
  }

  readonly #onError = (error: Error): void => {
    this.destroy(error)
  }

  override _read(): void {
    this.#request.resume()
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#request.off('data', this.#onData)
    this.#request.off('end', this.#onEnd)
    // The listener for errors stays: an 'error' without one would end the process.
    this.#pace?.stop()
    callback(error)
  }

  /** undici makes the body's error that of the call. */
  #refuseSlow(): void {
    this.destroy(new GatewayError('request_timeout', { cause: new Error('the body came too slowly') }))
  }
}

function ignore(): void {}

/**
 * A chunk without a byte whose length is not 0 to undici, which writes nothing for an empty one. Its length is the smallest
 * of all numbers: undici adds it to the bytes sent, and the sum is the same as without it.
 */
const HEAD_ONLY = Object.defineProperty(Buffer.alloc(0), 'byteLength', { value: Number.MIN_VALUE })
