import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Listens on a free loopback port, says so to the parent in the gateway's words, and ends when the parent is gone. */
export function listen(server: Server): void {
  process.once('disconnect', () => process.exit())
  server.listen(0, '127.0.0.1', 1024, () => {
    process.send?.({ event: 'listening', port: (server.address() as AddressInfo).port })
  })
}
