import type { Socket } from 'node:net'
import { Client, errors, type buildConnector, type Dispatcher } from 'undici'

/** A call that records the connection that it was dispatched on. */
export interface ConnectedCall {
  connection: CallConnection | undefined
}

/** The connection of a call: one of undici's clients, or one over HTTP/2. */
export interface CallConnection {
  /** Counts a request that is sent; returns whether the connection carried earlier requests. */
  countUse(): boolean
  /** Closes the connection so that it carries no further request. */
  closeConnection(): void
  /** The error of the connection; undefined or null if it has none. */
  readonly connectionError: Error | null | undefined
}

/** An undici client, which has one connection at a time. Adds what undici does not expose of that connection. */
export class UpstreamClient extends Client implements CallConnection {
  #socket: Socket | undefined
  /** Number of requests sent on the connection. */
  #uses = 0

  constructor(origin: string | URL, options: Client.Options & { connect: buildConnector.connector }) {
    const { connect } = options
    super(origin, {
      ...options,
      connect: (target, callback) => {
        connect(target, (...result) => {
          this.#socket = result[1] ?? undefined
          this.#uses = 0
          callback(...result)
        })
      },
    })
  }

  /** Called by the pool on the client that it chose. */
  override dispatch(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & ConnectedCall): boolean {
    call.connection = this
    return super.dispatch(options, call)
  }

  /** Counts a request that is sent; returns whether the connection carried earlier requests. */
  countUse(): boolean {
    return this.#uses++ > 0
  }

  get connectionError(): Error | null | undefined {
    return this.#socket?.errored
  }

  /**
   * Closes the connection so that it carries no further request. Called after the response ended, so no request is
   * lost.
   */
  closeConnection(): void {
    this.#socket?.destroy(new errors.InformationalError('not to be used again'))
  }
}
