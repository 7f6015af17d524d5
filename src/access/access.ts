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
 * A direct request from this machine or network. A forwarding header means that somebody else is behind the peer, a Host that
 * is a public name that a page of another site may be.
 *
 * @param ownHost the name that people use for this service, where it has one
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
 * Whether Host is one that no other site can have: an address, a name of one label (`localhost`, a compose service), or none.
 * A page whose own name is made to resolve to 127.0.0.1 (DNS rebinding) would otherwise have its visitor's browser read here
 * what is meant for this machine alone; the name it was opened by is the one thing it cannot change.
 */
export function namesNearHost({ headers }: IncomingMessage, ownHost?: string): boolean {
  const { host = '' } = headers
  if (host === '') return true
  const [, bracketed, name = ''] = HOST.exec(host) ?? []
  if (bracketed !== undefined) return isIP(bracketed) === 6
  return isIP(name) === 4 || /^[\w-]+$/.test(name) || (name !== '' && name.toLowerCase() === ownHost?.toLowerCase())
}

/** The name that a request was sent to, in lower case and without its port; empty where Host is not a name. */
export function hostOf({ headers }: IncomingMessage): string {
  return HOST.exec(headers.host ?? '')?.[2]?.toLowerCase() ?? ''
}

const HOST = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/

/** RFC 7239, RFC 9110 §7.6.3, and what reverse proxies, load balancers and content delivery networks write instead. */
const FORWARDING_HEADER =
  /^(?:forwarded|via|x-(?:original-)?forwarded(?:-.*)?|x-real-ip|x-(?:cluster-)?client-ip|(?:true|cf|fastly)-(?:client|connecting)-ip|x-envoy-external-address)$/

/**
 * Whether a request shows the token: `Authorization: Bearer` (RFC 6750 §2.1), or `Basic` with the token as password under any
 * name, which is what a browser can be asked for (RFC 7617 §2). Without a token none does.
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

/** Of equal length whatever was sent, as a comparison in constant time needs it. */
function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}
