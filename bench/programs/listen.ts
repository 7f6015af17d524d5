import type { Server } from 'node:http'
import type { Http2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'

/**
 * Listens on a loopback port (BENCH_PORT, else a free one), reports it to the parent in the gateway's message format, and ends with the parent.
 */
export function listen(server: Server | Http2Server): void {
  process.once('disconnect', () => process.exit())
  server.listen(Number(process.env['BENCH_PORT'] ?? 0), '127.0.0.1', 1024, () => {
    process.send?.({ event: 'listening', port: (server.address() as AddressInfo).port })
  })
}
