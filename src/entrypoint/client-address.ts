import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { forwardedElement, type SaidByProxies } from '../exchange/forwarded'
import { plainAddress } from '../exchange/peer'
import { addressOfNode, hopsOfForwarded, hopsOfX, listed, type Hop } from './forwarded-addresses'

/** Who sent a request, and what the peer says about it where it is believed. */
export interface ClientOrigin {
  /** Empty where a trusted proxy has the request from somebody whose address it does not say. */
  readonly address: string
  readonly peerIsTrusted: boolean
  /** Undefined of a peer that is not trusted. */
  readonly said: SaidByProxies | undefined
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
    if (!trustsPeer(request)) return { address: peer, peerIsTrusted: false, said: undefined }
    const { headers } = request
    // What proxies said of X-Forwarded-For counts before Forwarded, which not all of them know and replace.
    const usesForwarded = headers['x-forwarded-for'] === undefined && headers.forwarded !== undefined
    const hops = usesForwarded ? (hopsOfForwarded(headers.forwarded as string) ?? UNREADABLE) : hopsOfX(headers)
    const client = clientHop(hops, isTrusted)
    const address = client === -1 ? peer : (addressOfNode((hops[client] as Hop).node) ?? '')
    const said = usesForwarded ? saidByForwarded(headers, hops, client) : saidByX(headers, hops, client)
    return { address, peerIsTrusted: true, said }
  }
}

const UNREADABLE: readonly Hop[] = [{ node: 'unknown', host: undefined, proto: undefined }]

/**
 * The hop that tells of the client; -1 without any. Who is before something that is no address (`unknown`) cannot be known:
 * then that hop is the client's. The proxy that says so is not the client, and must not lend it its address.
 */
function clientHop(hops: readonly Hop[], isTrusted: (address: string, hop: number) => boolean): number {
  for (let i = hops.length - 1; i > 0; i--) {
    const address = addressOfNode((hops[i] as Hop).node)
    if (address === undefined || !isTrusted(address, 0)) return i
  }
  return hops.length - 1 < 0 ? -1 : 0
}

/** `X-Forwarded-*` as they came; without a `Forwarded` beside them, one that says the same (RFC 7239 §7.4). */
function saidByX(headers: IncomingHttpHeaders, hops: readonly Hop[], client: number): SaidByProxies {
  const [host, proto] = [text(headers['x-forwarded-host']), text(headers['x-forwarded-proto'])]
  const said = { for: text(headers['x-forwarded-for']), host, proto }
  if (headers.forwarded !== undefined) return { ...said, forwarded: headers.forwarded }
  if (hops.length === 0) return { ...said, forwarded: undefined }
  // A single host or scheme is the client's.
  const single = (field: string | undefined, i: number): string | undefined =>
    i === client && listed(field).length === 1 ? field : undefined
  const elements = hops.map((hop, i) =>
    forwardedElement(hop.node, hop.host ?? single(host, i), hop.proto ?? single(proto, i)),
  )
  return { ...said, forwarded: elements.join(', ') }
}

/** `Forwarded` as it came, and `X-Forwarded-*` that say the same. */
function saidByForwarded(headers: IncomingHttpHeaders, hops: readonly Hop[], client: number): SaidByProxies {
  const { host, proto } = hops[client] ?? {}
  return {
    forwarded: hops === UNREADABLE ? 'for=unknown' : headers.forwarded,
    for: hops.length === 0 ? undefined : hops.map(({ node }) => addressOfNode(node) ?? 'unknown').join(', '),
    host: text(headers['x-forwarded-host']) ?? host,
    proto: text(headers['x-forwarded-proto']) ?? proto,
  }
}

/** A field that may have come several times, as one list (RFC 9110 §5.3). */
function text(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join(', ') : field
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
