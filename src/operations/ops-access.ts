import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { createTokenCheck, hostOf, namesNearHost } from '../access/access'

/** What everybody may ask who reaches the port: what orchestrators and Prometheus ask, and nothing about any request. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

/** What tells nothing at all, and what whoever asks for the health of a process may ask by any name. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz'])

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** `forbidden`: refused as long as there is no token. `foreign_host`: the name it was asked by may be another site's. */
export type OpsAccess = 'granted' | 'unauthenticated' | 'forbidden' | 'foreign_host'

/**
 * Decides who may see the pages of the ops port, which show paths, addresses and errors of single requests. On loopback every
 * request; where the port listens on more, and wherever a token is set, requests that show the token. In every case only
 * requests by a host name that no other site can have: a token that many installations share, such as the default of
 * docker-compose.yml, would otherwise open the pages to a site that rebinds its own name to this machine.
 */
export function createOpsAccess({
  host,
  token,
  allowedHosts = [],
}: {
  /** The address the port listens on. */
  readonly host: string
  readonly token: string | undefined
  /** Longer names that the port may be asked by, in lower case. */
  readonly allowedHosts?: readonly string[]
}): (request: IncomingMessage, path: string) => OpsAccess {
  const hasToken = createTokenCheck(token)
  const onLoopback = isLoopback(host)
  const needsToken = token !== undefined || !onLoopback
  return function opsAccess(request, path) {
    if (HEALTH_PATHS.has(path)) return 'granted'
    // Prometheus may know this machine by any name; a port of this machine alone, it does not.
    if (OPEN_PATHS.has(path) && !onLoopback) return 'granted'
    if (!namesNearHost(request) && !allowedHosts.includes(hostOf(request))) return 'foreign_host'
    if (!needsToken || OPEN_PATHS.has(path) || hasToken(request)) return 'granted'
    return token === undefined ? 'forbidden' : 'unauthenticated'
  }
}

function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
