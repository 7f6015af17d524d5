import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { createTokenCheck, hostOf, namesNearHost } from '../access/access'

/**
 * Paths that are open to every client of the port, for orchestrators and Prometheus. They reveal nothing about
 * requests.
 */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

/** Health paths, which reveal nothing and are allowed under any host name. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz'])

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** `forbidden`: refused until a token is configured. `foreign_host`: the host name may belong to another site. */
export type OpsAccess = 'granted' | 'unauthenticated' | 'forbidden' | 'foreign_host'

/**
 * Decides who may see the pages of the ops port, which show paths, addresses and errors of single requests. Without a
 * token, only a port on loopback is open; otherwise requests must present the token. The host name must always be one
 * that no other site can own. Without this check, a site that rebinds its name to this machine could open the pages
 * with a token that many installations share, such as the default of docker-compose.yml.
 */
export function createOpsAccess({
  host,
  token,
  allowedHosts = [],
}: {
  /** The address the port listens on. */
  readonly host: string
  readonly token: string | undefined
  /** Additional host names under which the port may be used, in lower case. */
  readonly allowedHosts?: readonly string[]
}): (request: IncomingMessage, path: string) => OpsAccess {
  const hasToken = createTokenCheck(token)
  const onLoopback = isLoopback(host)
  const needsToken = token !== undefined || !onLoopback
  return function opsAccess(request, path) {
    if (HEALTH_PATHS.has(path)) return 'granted'
    // Prometheus may use any name for this machine, but it does not scrape a loopback port by another name.
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
