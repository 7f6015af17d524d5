import type { IncomingMessage } from 'node:http'

/** What the connection itself says of the request that came over it. */
export function schemeOf(request: IncomingMessage): 'http' | 'https' {
  return 'encrypted' in request.socket ? 'https' : 'http'
}

/** An IPv4 client of a dual-stack listener shows as `::ffff:192.0.2.1`; two spellings would be two rate-limit keys. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
