import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import { createTokenCheck, namesNearHost } from '../access/access'

/** What everybody may ask who reaches the port: what orchestrators and Prometheus ask, and nothing about any request. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics'])

/** What tells nothing at all, and what whoever asks for the health of a process may ask by any name. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz'])

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

/** `forbidden`: nobody may, as long as there is no token. `foreign_host`: the name it was asked by may be another site's. */
export type OpsAccess = 'granted' | 'unauthenticated' | 'forbidden' | 'foreign_host'

/**
 * Who may see what the ops port tells of single requests: their paths, addresses and errors. On loopback everybody who is
 * there already and asks by a name that no other site can have; where it listens on more, and wherever a token is set, who
 * shows it.
 */
export function createOpsAccess({
  host,
  token,
}: {
  /** The address the port listens on. */
  readonly host: string
  readonly token: string | undefined
}): (request: IncomingMessage, path: string) => OpsAccess {
  const hasToken = createTokenCheck(token)
  const onLoopback = isLoopback(host)
  const needsToken = token !== undefined || !onLoopback
  return function opsAccess(request, path) {
    if (HEALTH_PATHS.has(path) || hasToken(request)) return 'granted'
    if (onLoopback && !namesNearHost(request)) return token === undefined ? 'foreign_host' : 'unauthenticated'
    if (!needsToken || OPEN_PATHS.has(path)) return 'granted'
    return token === undefined ? 'forbidden' : 'unauthenticated'
  }
}

function isLoopback(host: string): boolean {
  const family = isIP(host)
  if (family === 0) return host.toLowerCase() === 'localhost'
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4')
}
