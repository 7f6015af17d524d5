import { Readable } from 'node:stream'
import type { IncomingMessage } from 'node:http'

/**
 * The client's body as undici reads it, chunk by chunk, with its backpressure.
 *
 * Not the request itself: undici destroys the body of a call that fails, and destroying an `IncomingMessage` closes the
 * client's connection before the client has its answer.
 */
export class RequestBody extends Readable {
  readonly #request: IncomingMessage

  constructor(request: IncomingMessage) {
    super({ highWaterMark: request.readableHighWaterMark })
    this.#request = request
    request.on('data', this.#onData)
    request.on('end', this.#onEnd)
    request.on('error', this.#onError)
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.#request.pause()
  }

  readonly #onEnd = (): void => {
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
    callback(error)
  }
}
