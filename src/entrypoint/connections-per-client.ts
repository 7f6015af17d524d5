import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import { createAddressBlocks } from '../access/address-blocks'
import type { EntrypointConfig } from '../config/types'
import { addressKey } from '../exchange/client-key'
import { plainAddress } from '../exchange/peer'

/** Active bound per client, and the check for clients without one. */
interface Bound {
  readonly connections: number
  readonly isTrusted: (address: string) => boolean
}

/** Server event, with the client's address: a connection was closed because its client had too many open. */
export const CLIENT_DROP = 'clientDrop'

const bounds = new WeakMap<Server, Bound>()

/** Sets the number of open connections per client. Applies to new connections. */
export function boundConnectionsPerClient(server: Server, config: EntrypointConfig): void {
  const { maxConnectionsPerClient, trustedProxies } = config
  bounds.set(server, { connections: maxConnectionsPerClient, isTrusted: createAddressBlocks(trustedProxies) })
}

/**
 * Closes the connections of a client that has too many open, so that one address cannot take all of them. WebSockets
 * count. At most as many entries as the server has connections.
 */
export function countConnectionsPerClient(server: Server): void {
  const open = new Map<string, number>()
  // Before Node's own listener, so that a closed connection is never read.
  server.prependListener('connection', (socket: Socket) => {
    const { connections, isTrusted } = bounds.get(server) as Bound
    const peer = plainAddress(socket.remoteAddress ?? '')
    if (peer === '' || isTrusted(peer)) return
    const client = addressKey(peer)
    const before = open.get(client) ?? 0
    if (before >= connections) {
      socket.destroy()
      server.emit(CLIENT_DROP, peer)
      return
    }
    open.set(client, before + 1)
    socket.once('close', () => {
      const left = (open.get(client) ?? 1) - 1
      if (left === 0) open.delete(client)
      else open.set(client, left)
    })
  })
}
