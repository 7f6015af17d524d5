import { isIPv6 } from 'node:net'
import { refuse, type Parsed } from './parsed'

const ALLOWED = 'redis://host, redis://host:6379/0 or rediss://user:password@host:6380/0 (rediss is TLS)'
/** Host and port and nothing more: the only text of a wrong URL that surely is no password. */
const HOST_AND_PORT = /^(?:https?:\/\/|tcp:\/\/)?([A-Za-z0-9.-]+:\d{1,5})\/?$/

/**
 * A Redis URL that ioredis reads as it is meant. Taken apart by hand, because `new URL` only says "Invalid URL" and
 * because no message may repeat the text: passwords stand in it, also and especially in malformed ones.
 */
export function parseRedisUrl(found: unknown): Parsed<string> {
  const text = String(found)
  if (/\s/.test(text)) return refuse('has white space in it', ALLOWED)
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? []
  const meant = HOST_AND_PORT.exec(text)?.[1]
  if (scheme === undefined || rest === undefined) return refuse('has no scheme', ALLOWED, meant && `redis://${meant}`)
  if (!/^rediss?$/i.test(scheme)) {
    return refuse('has a scheme that is neither redis nor rediss', ALLOWED, meant && `redis://${meant}`)
  }
  const fault = authorityFault(rest) ?? (URL.canParse(text) ? undefined : 'is not a valid URL')
  return fault === undefined ? { value: text } : refuse(fault, ALLOWED)
}

/** Everything behind `redis://`: credentials, host, port, database. */
function authorityFault(rest: string): string | undefined {
  // "/", "?" and "#" end the host, so that an unescaped one in a password cuts the URL in the middle of it.
  const [, authority = '', path = '', tail = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? []
  if (/@/.test(path + tail)) {
    return 'has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23'
  }
  const end = authority.lastIndexOf('@')
  const credentials = authority.slice(0, Math.max(end, 0))
  if (credentials.includes('@')) return 'has an "@" in its user name or password: write it as %40'
  if (!isDecodable(credentials)) return 'has a "%" in its user name or password that is no escape: write it as %25'
  if (tail.startsWith('?')) return 'has a query, which would change the connection behind the back of the gateway'
  if (tail !== '') return 'has a fragment'
  return hostFault(authority.slice(end + 1)) ?? databaseFault(path)
}

function hostFault(hostAndPort: string): string | undefined {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(hostAndPort) ?? []
  if (isIPv6(hostAndPort)) return 'has an IPv6 address without its brackets: write [::1]'
  if (host === '') return 'has no host'
  if (host.startsWith('[') ? !isIPv6(host.slice(1, -1)) : !/^[A-Za-z0-9_.-]+$/.test(host))
    return 'has a host that is no host name'
  if (port === undefined) return undefined
  if (!/^\d+$/.test(port)) return 'has a port that is not a number'
  return Number(port) >= 1 && Number(port) <= 65_535 ? undefined : 'has a port that is not from 1 to 65535'
}

function databaseFault(path: string): string | undefined {
  return path === '' || path === '/' || /^\/\d{1,5}$/.test(path) ? undefined : 'has a database that is not a number'
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
