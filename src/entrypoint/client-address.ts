import type { IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { plainAddress } from '../peer'

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
  const trustsPeer = createPeerTrust(trustedProxies)
  return function clientOrigin(request) {
    const peerIsTrusted = trustsPeer(request)
    const address = peerIsTrusted ? proxyaddr(request, isTrusted) : (request.socket.remoteAddress ?? '')
    return { address: plainAddress(address), peerIsTrusted }
  }
}

/** Whether whoever opened the connection is a trusted proxy. */
export function createPeerTrust(trustedProxies: readonly string[]): (request: IncomingMessage) => boolean {
  if (trustedProxies.length === 0) return () => false
  const isTrusted = proxyaddr.compile([...trustedProxies])
  return function trustsPeer({ socket }) {
    const peer = plainAddress(socket.remoteAddress ?? '')
    return peer !== '' && isTrusted(peer, 0)
  }
}
