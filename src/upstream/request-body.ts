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

  /** @param maxBytes maximum size of a chunked body; undefined for no limit */
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
    // The body may fail while no call reads it, and an 'error' without a listener would end the process.
    this.on('error', ignore)
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('error', this.#onError)
  }

  /** Returns the body for another call if nothing of it was read yet; undefined if a call may have sent a part. */
  restarted(): RequestBody | undefined {
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

/**
 * An empty chunk with a nonzero `byteLength`, because undici writes nothing for an empty chunk. The length is the
 * smallest positive number: undici adds it to the bytes sent, which does not change the sum.
 */
const HEAD_ONLY = Object.defineProperty(Buffer.alloc(0), 'byteLength', { value: Number.MIN_VALUE })
