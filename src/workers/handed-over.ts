import type { Server } from 'node:net'
import type { ConnectionHandle, ConnectionMessage, Port, TakenMessage } from './connections'

/** What Node's server needs of the handle that it listens on. */
interface ListeningHandle {
  /** Set by the server. */
  onconnection?: (error: number, client: ConnectionHandle) => void
  readonly listen: () => number
  readonly close: () => void
  readonly ref: () => void
  readonly unref: () => void
}

/** Fields and methods of Node's server that its own cluster module uses in the same way. */
interface ListenableServer {
  _handle: ListeningHandle
  _listen2(address: null, port: number, addressType: number, backlog: number): void
}

/** Connections that the primary hands to this worker. To a server they come as if it had a listening socket of its own. */
export class HandedOver {
  readonly #listening = new Map<Port, ListeningHandle>()

  constructor() {
    process.on('message', (message: unknown, client: unknown) => {
      if (isConnection(message)) this.#take(message.connection, client as ConnectionHandle | undefined)
    })
  }

  /** Resolves when the server takes connections of this port, until it is closed. */
  listen(server: Server, port: Port): Promise<void> {
    const handle: ListeningHandle = {
      listen: () => 0,
      close: () => void this.#listening.delete(port),
      ref: () => {},
      unref: () => {},
    }
    return new Promise(resolve => {
      server.once('listening', resolve)
      const listenable = server as unknown as ListenableServer
      listenable._handle = handle
      listenable._listen2(null, 0, 4, 0)
      this.#listening.set(port, handle)
    })
  }

  #take(port: Port, client: ConnectionHandle | undefined): void {
    // First, so that the primary does not hand the connection to another worker if this one dies of it.
    process.send?.({ taken: true } satisfies TakenMessage, undefined, undefined, () => {})
    const handle = this.#listening.get(port)
    if (handle?.onconnection === undefined) client?.close()
    else if (client !== undefined) handle.onconnection(0, client)
  }
}

function isConnection(message: unknown): message is ConnectionMessage {
  return typeof message === 'object' && message !== null && 'connection' in message
}
