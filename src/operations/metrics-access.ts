import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { createHash, timingSafeEqual } from 'node:crypto'

/** Loopback and private addresses (RFC 1918, RFC 4193, link-local). */
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
 * Who may read `/metrics` on the port that faces the clients: whoever shows the token; without it, direct requests from
 * private and loopback addresses. A forwarding header means that somebody else is behind the peer.
 */
export function createMetricsAccess(token: string | undefined): (request: IncomingMessage) => boolean {
  const expected = token === undefined ? undefined : digest(token)
  return function mayReadMetrics(request) {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    if (expected && bearer !== undefined && timingSafeEqual(digest(bearer), expected)) return true
    return !isForwarded(request) && isPrivate(request.socket.remoteAddress ?? '')
  }
}

function isForwarded(request: IncomingMessage): boolean {
  const { headers } = request
  return ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'].some(
    name => headers[name] !== undefined,
  )
}

function isPrivate(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && PRIVATE.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/** Of equal length whatever was sent, as a comparison in constant time needs it. */
function digest(value: string): Buffer {
  return createHash('sha256').update(value).digest()
}
