import type { IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { plainAddress } from '../exchange/peer'
import { saidAddress, saidAddresses } from './forwarded-addresses'

/** Who sent a request, and whether the peer's word about it is believed. */
export interface ClientOrigin {
  readonly address: string
  readonly peerIsTrusted: boolean
}

/**
 * Finds the client behind trusted proxies: from the peer backwards through what they say, the first address that is not
 * trusted. Addresses and CIDR blocks only: a hop count can be filled up by the client itself.
 *
 * @throws TypeError on something that is neither an address nor a block
 */
export function createClientOrigin(trustedProxies: readonly string[]): (request: IncomingMessage) => ClientOrigin {
  const isTrusted = proxyaddr.compile([...trustedProxies])
  const trustsPeer = createPeerTrust(trustedProxies)
  return function clientOrigin(request) {
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    const peerIsTrusted = trustsPeer(request)
    return { address: peerIsTrusted ? clientBehind(peer, saidAddresses(request), isTrusted) : peer, peerIsTrusted }
  }
}

/** Who is before something that is no address (`unknown`) cannot be known: then it is the last address that is one. */
function clientBehind(
  peer: string,
  entries: readonly string[],
  isTrusted: (address: string, hop: number) => boolean,
): string {
  let client = peer
  for (let i = entries.length - 1; i >= 0; i--) {
    const address = saidAddress(entries[i] as string)
    if (address === undefined) return client
    client = address
    if (!isTrusted(address, 0)) return client
  }
  return client
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
