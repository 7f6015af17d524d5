import type { Socket } from 'node:net'
import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { Dispatcher, buildConnector } from 'undici'
import { GatewayError } from '../../errors/gateway-error'
import { Http2Connection, type ConnectionLimits } from './http2-connection'
import { speaksHttp2, withoutHttp2 } from './http2-connector'
import { Http2Call, type Http2Handler } from './http2-call'

export interface Http2PoolOptions {
  readonly origin: string
  readonly connect: buildConnector.connector
  readonly limits: ConnectionLimits
  /** Connections at once. */
  readonly maxConnections: number
  /** After this age a connection gets no new streams; undefined: never. */
  readonly lifetimeMs: number | undefined
  /** Called when the server chose HTTP/1.1, with the calls that wait. Undefined: such a server is a failure. */
  readonly onHttp1?: (waiting: readonly WaitingCall[]) => void
  readonly onHttp2?: () => void
}

export interface WaitingCall {
  readonly request: Dispatcher.DispatchOptions
  readonly handler: Http2Handler
}

/**
 * Connections to one target over HTTP/2. Calls share a connection as streams; another one is opened only when all are full.
 *
 * Our own and not undici's: undici repeats requests after GOAWAY by itself, which bypasses the retry budget, the balancer
 * and the telemetry of calls, and it does not say whether a target has processed a failed request.
 */
export class Http2Pool {
  readonly #options: Http2PoolOptions
  readonly #connections = new Set<Http2Connection>()
  /** Connections that are being opened. */
  readonly #opening = new Set<Http2Connection | symbol>()
  /** Calls without a connection. The caller bounds them (`connection-queue.ts`). */
  #waiting: WaitingCall[] = []
  #isClosed = false

  constructor(options: Http2PoolOptions) {
    this.#options = options
  }

  get stats(): { readonly connected: number; readonly free: number; readonly queued: number } {
    let free = 0
    for (const connection of this.#connections) free += connection.freeStreams
    return { connected: this.#connections.size, free, queued: this.#waiting.length }
  }

  /** Sends the request on a connection with room, or when one has room. */
  dispatch(request: Dispatcher.DispatchOptions, handler: Http2Handler): boolean {
    if (request.upgrade) {
      handler.onResponseError?.(
        undefined as unknown as Dispatcher.DispatchController,
        new GatewayError('not_implemented', { cause: new Error('no upgrade over HTTP/2') }),
      )
      return true
    }
    const connection = this.#withRoom()
    if (connection !== undefined) this.#send(connection, { request, handler })
    else {
      this.#waiting.push({ request, handler })
      this.#openIfNeeded()
    }
    return true
  }

  /** Fails all calls and closes the connections. */
  close(error: Error): void {
    this.#isClosed = true
    this.#failWaiting(error)
    for (const connection of this.#connections) connection.destroy(error)
  }

  async destroy(error: Error): Promise<void> {
    this.close(error)
  }

  /** Returns the connection with the fewest streams that has room for one more. */
  #withRoom(): Http2Connection | undefined {
    let best: Http2Connection | undefined
    for (const connection of this.#connections) {
      if (connection.freeStreams > (best?.freeStreams ?? 0)) best = connection
    }
    return best
  }

  #send(connection: Http2Connection, { request, handler }: WaitingCall): void {
    new Http2Call(connection, request, handler, this.#options.origin).send()
  }

  #openIfNeeded(): void {
    const { maxConnections, limits } = this.#options
    const isCovered = this.#waiting.length <= this.#opening.size * limits.streams
    if (isCovered || this.#isClosed || this.#connections.size + this.#opening.size >= maxConnections) return
    const place = Symbol('opening')
    this.#opening.add(place)
    // Outside any trace: the connection serves many exchanges.
    context.with(ROOT_CONTEXT, () => {
      const { protocol, host, hostname, port } = new URL(this.#options.origin)
      this.#options.connect({ protocol, host, hostname, port }, (error, socket) => {
        if (error) this.#onFailure(place, error)
        else this.#onSocket(place, socket)
      })
    })
  }

  #onSocket(place: symbol, socket: Socket): void {
    if (this.#isClosed) {
      this.#opening.delete(place)
      socket.destroy()
      return
    }
    if (!speaksHttp2(socket)) {
      socket.destroy()
      const { onHttp1 } = this.#options
      if (onHttp1 === undefined) return this.#onFailure(place, withoutHttp2())
      this.#opening.delete(place)
      const waiting = this.#waiting
      this.#waiting = []
      return onHttp1(waiting)
    }
    const connection = new Http2Connection(socket, this.#options, {
      onReady: () => {
        this.#opening.delete(connection)
        this.#connections.add(connection)
        this.#options.onHttp2?.()
        this.#flush()
      },
      onRoom: () => this.#flush(),
      onLeave: error => {
        this.#connections.delete(connection)
        if (this.#opening.has(connection)) this.#onFailure(connection, error)
        else this.#flush()
      },
    })
    this.#opening.delete(place)
    this.#opening.add(connection)
  }

  /** Fails the waiting calls, unless another connection can serve them. */
  #onFailure(place: Http2Connection | symbol, error: Error): void {
    this.#opening.delete(place)
    if (this.#connections.size + this.#opening.size === 0) this.#failWaiting(error)
  }

  #failWaiting(error: Error): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const { handler } of waiting) {
      handler.onResponseError?.(undefined as unknown as Dispatcher.DispatchController, error)
    }
  }

  #flush(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#withRoom()
      if (connection === undefined) return this.#openIfNeeded()
      this.#send(connection, this.#waiting.shift() as WaitingCall)
    }
  }
}
