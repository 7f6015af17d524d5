import type { IncomingMessage } from 'node:http'

/** Returns the scheme of the request's connection. */
export function schemeOf(request: IncomingMessage): 'http' | 'https' {
  return 'encrypted' in request.socket ? 'https' : 'http'
}

/** Strips `::ffff:`, which dual-stack listeners put before IPv4 addresses; two spellings would be two rate-limit keys. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
