import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import proxyaddr from 'proxy-addr'
import { forwardedElement, type ProxyForwarding } from '../exchange/forwarded'
import { plainAddress } from '../exchange/peer'
import { addressOfNode, hopsOfForwarded, hopsOfX, listed, type Hop } from './forwarded-addresses'

/** Client of a request, with the forwarding fields if the peer is trusted. */
export interface ClientOrigin {
  /** Empty if a trusted proxy does not report the client's address. */
  readonly address: string
  readonly peerIsTrusted: boolean
  /** Undefined if the peer is not trusted. */
  readonly proxyForwarding: ProxyForwarding | undefined
}

/**
 * Creates a function that finds the client behind trusted proxies: the first untrusted address, from the peer backwards.
 * Proxies are named by address or CIDR block only: a client could forge hops to satisfy a hop count.
 *
 * @throws TypeError if an entry is neither an address nor a block
 */
export function createClientOrigin(trustedProxies: readonly string[]): (request: IncomingMessage) => ClientOrigin {
  const isTrusted = proxyaddr.compile([...trustedProxies])
  const trustsPeer = createPeerTrust(trustedProxies)
  return function clientOrigin(request) {
    const peer = plainAddress(request.socket.remoteAddress ?? '')
    if (!trustsPeer(request)) return { address: peer, peerIsTrusted: false, proxyForwarding: undefined }
    const { headers } = request
    // X-Forwarded-For takes precedence over Forwarded, which some proxies pass through from the client.
    const usesForwarded = headers['x-forwarded-for'] === undefined && headers.forwarded !== undefined
    const hops = usesForwarded ? (hopsOfForwarded(headers.forwarded as string) ?? UNREADABLE) : hopsOfX(headers)
    const client = clientHop(hops, isTrusted)
    const address = client === -1 ? peer : (addressOfNode((hops[client] as Hop).node) ?? '')
    const proxyForwarding = usesForwarded ? fromForwarded(headers, hops, client) : fromXForwarded(headers, hops, client)
    return { address, peerIsTrusted: true, proxyForwarding }
  }
}

const UNREADABLE: readonly Hop[] = [{ node: 'unknown', host: undefined, proto: undefined }]

/**
 * Returns the index of the client's hop; -1 without hops. A hop that is not an address (`unknown`) ends the search and is
 * the client's. The proxy that reports it is not the client, so its address must not be used for it.
 */
function clientHop(hops: readonly Hop[], isTrusted: (address: string, hop: number) => boolean): number {
  for (let i = hops.length - 1; i > 0; i--) {
    const address = addressOfNode((hops[i] as Hop).node)
    if (address === undefined || !isTrusted(address, 0)) return i
  }
  return hops.length - 1 < 0 ? -1 : 0
}

/** Keeps `X-Forwarded-*` as received and derives a missing `Forwarded` from them (RFC 7239 §7.4). */
function fromXForwarded(headers: IncomingHttpHeaders, hops: readonly Hop[], client: number): ProxyForwarding {
  const [host, proto] = [text(headers['x-forwarded-host']), text(headers['x-forwarded-proto'])]
  const proxyForwarding = { for: text(headers['x-forwarded-for']), host, proto }
  if (headers.forwarded !== undefined) return { ...proxyForwarding, forwarded: headers.forwarded }
  if (hops.length === 0) return { ...proxyForwarding, forwarded: undefined }
  // A single host or scheme belongs to the client's hop.
  const single = (field: string | undefined, i: number): string | undefined =>
    i === client && listed(field).length === 1 ? field : undefined
  const elements = hops.map((hop, i) =>
    forwardedElement(hop.node, hop.host ?? single(host, i), hop.proto ?? single(proto, i)),
  )
  return { ...proxyForwarding, forwarded: elements.join(', ') }
}

/** Keeps `Forwarded` as received and derives `X-Forwarded-*` from it. */
function fromForwarded(headers: IncomingHttpHeaders, hops: readonly Hop[], client: number): ProxyForwarding {
  const { host, proto } = hops[client] ?? {}
  return {
    forwarded: hops === UNREADABLE ? 'for=unknown' : headers.forwarded,
    for: hops.length === 0 ? undefined : hops.map(({ node }) => addressOfNode(node) ?? 'unknown').join(', '),
    host: text(headers['x-forwarded-host']) ?? host,
    proto: text(headers['x-forwarded-proto']) ?? proto,
  }
}

/** Joins several lines of a field to one list (RFC 9110 §5.3). */
function text(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join(', ') : field
}

/** Creates a check that the peer of the connection is a trusted proxy. */
export function createPeerTrust(trustedProxies: readonly string[]): (request: IncomingMessage) => boolean {
  if (trustedProxies.length === 0) return () => false
  const isTrusted = proxyaddr.compile([...trustedProxies])
  return function trustsPeer({ socket }) {
    const peer = plainAddress(socket.remoteAddress ?? '')
    return peer !== '' && isTrusted(peer, 0)
  }
}
