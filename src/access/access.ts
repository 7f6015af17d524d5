import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'

/** Loopback, private and link-local addresses (RFC 1918, RFC 4193, RFC 3927, RFC 4291). */
const PRIVATE = new BlockList()
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv4')
}
PRIVATE.addAddress('::1', 'ipv6')
PRIVATE.addSubnet('fc00::', 7, 'ipv6')
PRIVATE.addSubnet('fe80::', 10, 'ipv6')

/**
 * Returns whether a request comes directly from this machine or a private network. A forwarding header means that the peer
 * is a proxy for another client; a public name in Host means that the request may come from a page of another site.
 *
 * @param ownHost the public name of this service, if it has one
 */
export function isNear(request: IncomingMessage, ownHost?: string): boolean {
  const { headers, socket } = request
  const isForwarded = Object.keys(headers).some(name => FORWARDING_HEADER.test(name))
  const address = socket.remoteAddress ?? ''
  const family = isIP(address)
  return (
    !isForwarded &&
    namesNearHost(request, ownHost) &&
    family !== 0 &&
    PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4')
  )
}

/**
 * Returns whether Host is a name that no other site can have: an address, a name of one label (`localhost`, a compose
 * service), or missing. This prevents DNS rebinding: a page whose name resolves to 127.0.0.1 could otherwise read local
 * data through its visitor's browser, but it cannot change the Host that the browser sends.
 */
export function namesNearHost({ headers }: IncomingMessage, ownHost?: string): boolean {
  const { host = '' } = headers
  if (host === '') return true
  const [, bracketed, name = ''] = HOST.exec(host) ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6
  return isIP(name) === 4 || /^[\w-]+$/.test(name) || (name !== '' && name.toLowerCase() === ownHost?.toLowerCase())
}

/** Returns the host of a request in lower case, without port; empty if Host is not a valid name. */
export function hostOf({ headers }: IncomingMessage): string {
  return HOST.exec(headers.host ?? '')?.[2]?.toLowerCase() ?? ''
}

const HOST = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/

/** Forwarding headers: RFC 7239, RFC 9110 §7.6.3, and those of common reverse proxies, load balancers and CDNs. */
const FORWARDING_HEADER =
  /^(?:forwarded|via|x-(?:original-)?forwarded(?:-.*)?|x-real-ip|x-(?:cluster-)?client-ip|(?:true|cf|fastly)-(?:client|connecting)-ip|x-envoy-external-address)$/

/**
 * Creates a check that a request carries the token: as `Authorization: Bearer` (RFC 6750 §2.1), or as the password of
 * `Basic` with any user name, which browsers can prompt for (RFC 7617 §2). Without a configured token it always fails.
 */
export function createTokenCheck(token: string | undefined): (request: IncomingMessage) => boolean {
  if (token === undefined) return () => false
  const expected = digest(token)
  return function hasToken({ headers }) {
    const shown = shownToken(headers.authorization ?? '')
    return shown !== undefined && timingSafeEqual(digest(shown), expected)
  }
}

function shownToken(authorization: string): string | undefined {
  const [, scheme = '', credentials = ''] = /^(Bearer|Basic) +(.+)$/i.exec(authorization) ?? []
  if (scheme.toLowerCase() !== 'basic') return credentials === '' ? undefined : credentials
  const pair = Buffer.from(credentials, 'base64').toString()
  const colon = pair.indexOf(':')
  return colon === -1 ? undefined : pair.slice(colon + 1)
}

/** Hashes a value, so that both sides of a constant-time comparison have the same length. */
function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}
