import type { Socket } from 'node:net'
import { Client, errors, type buildConnector, type Dispatcher } from 'undici'

/** A call that wants to know which connection it got. */
export interface ConnectedCall {
  connection: UpstreamClient | undefined
}

/** undici's client, which has one connection at a time, with what undici does not say of that connection. */
export class UpstreamClient extends Client {
  #socket: Socket | undefined
  /** Requests that went out on the connection. */
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

  /** The pool calls this with the client that it chose. */
  override dispatch(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & ConnectedCall): boolean {
    call.connection = this
    return super.dispatch(options, call)
  }

  /** A request goes out; returns whether others went before it on the same connection. */
  countUse(): boolean {
    return this.#uses++ > 0
  }

  /** No other request goes out on this connection. Called when its response has ended, so that no request is lost. */
  closeConnection(): void {
    this.#socket?.destroy(new errors.InformationalError('not to be used again'))
  }
}
