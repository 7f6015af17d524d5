import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * Listens on a free loopback port, reports it to the parent in the gateway's message format, and ends with the parent.
 */
export function listen(server: Server): void {
  process.once('disconnect', () => process.exit())
  server.listen(0, '127.0.0.1', 1024, () => {
    process.send?.({ event: 'listening', port: (server.address() as AddressInfo).port })
  })
}
