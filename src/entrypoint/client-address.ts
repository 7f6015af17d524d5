import type { IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'

/** Who sent a request, and whether the peer's word about it is believed. */
export interface ClientOrigin {
  readonly address: string
  readonly peerIsTrusted: boolean
}

/**
 * Finds the client behind trusted proxies: from the peer backwards through `X-Forwarded-For`, the first address that is
 * not trusted. Addresses and CIDR blocks only: a hop count can be filled up by the client itself.
 *
 * @throws TypeError on something that is neither an address nor a block
 */
export function createClientOrigin(trustedProxies: readonly string[]): (request: IncomingMessage) => ClientOrigin {
  const isTrusted = proxyaddr.compile([...trustedProxies])
  return function clientOrigin(request) {
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    const peerIsTrusted = trustedProxies.length > 0 && peer !== '' && isTrusted(peer, 0)
    return { address: peerIsTrusted ? plainAddress(proxyaddr(request, isTrusted)) : peer, peerIsTrusted }
  }
}

/** An IPv4 client of a dual-stack listener shows as `::ffff:192.0.2.1`; two spellings would be two rate-limit keys. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
