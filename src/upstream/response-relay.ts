import type { Writable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../exchange/exchange'
import type { CallOptions } from './call-options'
import { countDownload, endDownload, expectDownload, expectEnd, type WaitingResponse } from './download-pace'
import { ImmediateBatch } from './immediate-batch'
import { freeRead, isLargeRead } from './read-memory'
import { ResponseBuffer, type BufferOwner } from './response-buffer'
import { buildTrailers } from './response-headers'

/** The call whose response body is relayed. */
export interface RelayedCall {
  /** The client has read bytes. */
  onClientRead(): void
  /** The last byte of a body of known length has arrived. Called before it is written to the client. */
  onLastByte(): void
  /** The upstream is paused until the client reads. */
  onPaused(): void
  /** The upstream may send again. */
  onResumed(): void
  /** The client reads more slowly than the minimum rate. */
  onClientTooSlow(): void
}

/** The longest body that is written as a string: Node joins a string with the header section in one buffer. */
const LONGEST_TEXT = 4_096

/** Passes the body of a response on to the client, with backpressure and within the bounds of `ResponseBuffer`. */
export class ResponseRelay implements BufferOwner, WaitingResponse {
  readonly #call: RelayedCall
  readonly #exchange: Exchange
  readonly #options: CallOptions
  /** The destination of the body: the client's response, or the first body transform of a policy. */
  readonly #sink: Writable
  /** Bytes of the body still to come; -1 without `Content-Length`. */
  #remaining: number
  /** Created when the client reads more slowly than the upstream sends. */
  #buffer: ResponseBuffer | undefined
  /** The last chunk that was written to the client's response; its memory is freed when it was sent. */
  #written: Buffer | undefined
  /** A body chunk has arrived. */
  hasStarted = false
  // Fields owned by `download-pace.ts`.
  paceIndex = -1
  takeBy = Infinity

  constructor(call: RelayedCall, exchange: Exchange, options: CallOptions, sink: Writable, length: number) {
    this.#call = call
    this.#exchange = exchange
    this.#options = options
    this.#sink = sink
    this.#remaining = length
  }

  write(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.hasStarted = true
    const sink = this.#sink
    this.freeWritten()
    if (this.#buffer?.isBehind) return this.#keepForClient(controller, chunk, this.#buffer)
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      // The last chunk of a known length is written together with the end, which saves one write in most responses.
      this.#call.onLastByte()
      if (chunk.length > LONGEST_TEXT) sink.end(chunk)
      else sink.end(chunk.toString('latin1'), 'latin1') // latin1 maps each byte to one character
      if (isLargeRead(chunk) && sink === this.#exchange.response) {
        this.#written = chunk
        // The parser of the upstream's connection has not returned from this chunk yet.
        SENT.add(this)
      }
      this.#expectTaken()
      return
    }
    const { response } = this.#exchange
    const isTaken = sink.write(chunk)
    if (sink === response) this.#written = chunk
    if (isTaken) return
    // Body transforms apply the backpressure of their own streams.
    if (sink !== response) {
      controller.pause()
      sink.once('drain', () => {
        this.#call.onClientRead()
        controller.resume()
      })
    }
    // write() returns false for a large chunk even if the socket accepted all of it.
    else if (response.writableLength > 0) this.#fallBehind(controller)
  }

  /** Frees the memory of the last chunk if the system has taken all of it. */
  freeWritten(): void {
    const written = this.#written
    if (written === undefined) return
    this.#written = undefined
    const { response } = this.#exchange
    // A response without its connection reports no waiting bytes although a write may go on.
    if (response.writableLength === 0 && (response.socket !== null || response.writableFinished)) freeRead(written)
  }

  /** Starts to buffer the response for a client that reads slowly, so that the upstream can finish sending. */
  #fallBehind(controller: Dispatcher.DispatchController): void {
    const { responseBuffer, responseMemory, leastDownload } = this.#options
    this.#buffer ??= new ResponseBuffer(this.#exchange.response, responseBuffer, responseMemory, this)
    this.#buffer.fallBehind()
    expectDownload(this, leastDownload)
    if (!this.#buffer.hasRoom()) this.#pause(controller)
  }

  #keepForClient(controller: Dispatcher.DispatchController, chunk: Buffer, buffer: ResponseBuffer): void {
    const hasRoom = buffer.write(chunk)
    if (this.#remaining !== -1 && (this.#remaining -= chunk.length) === 0) {
      this.#call.onLastByte()
      buffer.end(() => this.#exchange.response.end())
    } else if (!hasRoom) this.#pause(controller)
  }

  #pause(controller: Dispatcher.DispatchController): void {
    controller.pause()
    this.#call.onPaused()
  }

  /** Ends the client's response, when it has read what is buffered. */
  end(controller: Dispatcher.DispatchController): void {
    const raw = (controller.rawTrailers ?? []) as readonly (Buffer | string)[]
    if (this.#buffer?.isBehind) this.#buffer.end(() => this.#endResponse(raw))
    else this.#endResponse(raw)
  }

  #endResponse(rawTrailers: readonly (Buffer | string)[]): void {
    const { response, route, grpc } = this.#exchange
    if (grpc !== undefined && grpc.form !== 'grpc') grpc.trailers = buildTrailers(rawTrailers, route?.responseEdits)
    // Node drops trailers that the framing cannot carry (HTTP/1.0, Content-Length), as RFC 9110 §6.5.1 requires.
    if (rawTrailers.length > 0 && this.#sink === response) {
      response.addTrailers(buildTrailers(rawTrailers, route?.responseEdits))
    }
    this.#sink.end()
    this.#expectTaken()
  }

  /** Discards what is buffered after the client left. */
  close(): void {
    this.#written = undefined
    this.#buffer?.close()
    endDownload(this)
  }

  /** Limits how long a client may take to read the end of a response, so that it cannot hold its connection forever. */
  #expectTaken(): void {
    const { writableLength } = this.#exchange.response
    if (writableLength > 0) expectEnd(this, writableLength, this.#options.leastDownload)
  }

  get isTaken(): boolean {
    return this.#buffer?.isBehind !== true && this.#exchange.response.writableLength === 0
  }

  onTooSlow(): void {
    this.#call.onClientTooSlow()
  }

  onProgress(bytes: number): void {
    this.#call.onClientRead()
    countDownload(this, bytes, this.#options.leastDownload)
  }

  onRoom(): void {
    this.#call.onResumed()
  }

  onCaughtUp(): void {
    endDownload(this)
  }
}

/** Responses that ended with a large chunk in this turn of the event loop. */
const SENT = new ImmediateBatch<ResponseRelay>(relay => relay.freeWritten())
