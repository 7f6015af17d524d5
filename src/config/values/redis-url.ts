import { isIPv6 } from 'node:net'
import { refuse, type Parsed } from './parsed'

const ALLOWED =
  'redis://host:6379/0, rediss://user:password@host:6380 (TLS), redis+sentinel://host:26379,host:26379/master-name or redis+cluster://host:6379,host:6379'
/** Host and port only: the only text of an invalid URL that is certainly not a password. */
const HOST_AND_PORT = /^(?:https?:\/\/|tcp:\/\/)?([A-Za-z0-9.-]+:\d{1,5})\/?$/

/** The parts of a Redis URL. */
export interface RedisTarget {
  readonly topology: 'single' | 'sentinel' | 'cluster'
  readonly tls: boolean
  /** The server; or some of the sentinels or cluster nodes, which know the others. */
  readonly hosts: readonly { readonly host: string; readonly port: number }[]
  readonly username: string | undefined
  readonly password: string | undefined
  /** The name by which the sentinels know the server. */
  readonly masterName: string | undefined
  readonly database: number
}

const DEFAULT_PORT = { single: 6379, sentinel: 26379, cluster: 6379 } as const

/** Parses a URL that `redisTarget` accepts. */
export function parseRedisUrl(found: unknown): Parsed<string> {
  const parsed = readTarget(String(found))
  return 'value' in parsed ? { value: String(found) } : parsed
}

/** @throws Error on a URL that `parseRedisUrl` rejects; the message omits the URL, which may hold a password */
export function redisTarget(url: string): RedisTarget {
  const parsed = readTarget(url)
  if ('value' in parsed) return parsed.value
  throw new Error(`the Redis URL ${parsed.mistake.problem}`)
}

/**
 * Parses the URL by hand: `new URL` supports only one host and reports only "Invalid URL". No message repeats the text,
 * because it may hold a password, especially if it is malformed.
 */
function readTarget(text: string): Parsed<RedisTarget> {
  if (/\s/.test(text)) return refuse('contains white space', ALLOWED)
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(text) ?? []
  const meant = HOST_AND_PORT.exec(text)?.[1]
  if (scheme === undefined || rest === undefined) return refuse('has no scheme', ALLOWED, meant && `redis://${meant}`)
  const [, base, topology = 'single'] = /^(rediss?)(?:\+(sentinel|cluster))?$/.exec(scheme.toLowerCase()) ?? []
  if (base === undefined) {
    return refuse('has a scheme that is neither redis nor rediss', ALLOWED, meant && `redis://${meant}`)
  }
  return readRest(rest, base === 'rediss', topology as RedisTarget['topology'])
}

/** Parses the part after `redis://`: credentials, hosts, master name, database. */
function readRest(rest: string, tls: boolean, topology: RedisTarget['topology']): Parsed<RedisTarget> {
  // "/", "?" and "#" end the host, so an unescaped one in a password would cut the URL.
  const [, authority = '', path = '', tail = ''] = /^([^/?#]*)([^?#]*)(.*)$/s.exec(rest) ?? []
  if (/@/.test(path + tail)) {
    return refuse('has a "/", "?" or "#" in its user name or password: write them as %2F, %3F and %23', ALLOWED)
  }
  const end = authority.lastIndexOf('@')
  const credentials = authority.slice(0, Math.max(end, 0))
  const fault = credentialsFault(credentials) ?? tailFault(tail)
  if (fault !== undefined) return refuse(fault, ALLOWED)
  const texts = authority.slice(end + 1).split(',')
  if (topology === 'single' && texts.length > 1) {
    return refuse('has several hosts: that is redis+sentinel or redis+cluster', ALLOWED)
  }
  const hostFault = texts.map(findHostFault).find(fault => fault !== undefined)
  if (hostFault !== undefined) return refuse(hostFault, ALLOWED)
  const place = readPath(path, topology)
  if ('mistake' in place) return place
  const [username, password] = readCredentials(credentials)
  const hosts = texts.map(host => readHost(host, DEFAULT_PORT[topology]))
  return { value: { topology, tls, hosts, username, password, ...place.value } }
}

function credentialsFault(credentials: string): string | undefined {
  if (credentials.includes('@')) return 'has an "@" in its user name or password: write it as %40'
  return isDecodable(credentials)
    ? undefined
    : 'has a "%" in its user name or password that is no escape: write it as %25'
}

function tailFault(tail: string): string | undefined {
  if (tail.startsWith('?')) return 'has a query, which would override settings of the gateway'
  return tail === '' ? undefined : 'has a fragment'
}

function findHostFault(hostAndPort: string): string | undefined {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(hostAndPort) ?? []
  if (isIPv6(hostAndPort)) return 'has an IPv6 address without its brackets: write [::1]'
  if (host === '') return 'has no host'
  if (host.startsWith('[') ? !isIPv6(host.slice(1, -1)) : !/^[A-Za-z0-9_.-]+$/.test(host))
    return 'has an invalid host name'
  if (port === undefined) return undefined
  if (!/^\d+$/.test(port)) return 'has a port that is not a number'
  return Number(port) >= 1 && Number(port) <= 65_535 ? undefined : 'has a port that is not from 1 to 65535'
}

type Place = Pick<RedisTarget, 'masterName' | 'database'>

function readPath(path: string, topology: RedisTarget['topology']): Parsed<Place> {
  if (topology === 'sentinel') {
    const [, masterName, database] = /^\/([A-Za-z0-9._-]+)(?:\/(\d{1,5}))?\/?$/.exec(path) ?? []
    if (masterName === undefined) return refuse('has no name of the master behind its sentinels', ALLOWED)
    return { value: { masterName, database: Number(database ?? 0) } }
  }
  const [, database] = /^\/?(\d{1,5})?$/.exec(path === '' ? '/' : path) ?? []
  if (path !== '' && path !== '/' && database === undefined) {
    return refuse('has a database that is not a number', ALLOWED)
  }
  if (topology === 'cluster' && Number(database ?? 0) !== 0) {
    return refuse('has a database: a cluster has only one', ALLOWED)
  }
  return { value: { masterName: undefined, database: Number(database ?? 0) } }
}

function readCredentials(credentials: string): [string | undefined, string | undefined] {
  const colon = credentials.indexOf(':')
  const username = decodeURIComponent(colon === -1 ? credentials : credentials.slice(0, colon))
  const password = colon === -1 ? '' : decodeURIComponent(credentials.slice(colon + 1))
  return [username === '' ? undefined : username, password === '' ? undefined : password]
}

function readHost(text: string, defaultPort: number): { host: string; port: number } {
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(text) ?? []
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port ?? defaultPort) }
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}
