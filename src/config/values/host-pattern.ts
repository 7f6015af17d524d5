import { domainToASCII } from 'node:url'
import { refuse, notText, type Parsed } from './parsed'

const ALLOWED = 'a host name such as shop.example, or *.example for every name below it; leave "host" out for any host'

export const HOST_PATTERN =
  '^(?:\\*\\.)?[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\\.[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?)*$'
const HOST = new RegExp(HOST_PATTERN)

/** An exact host name or `*.suffix`, compared with the `Host` header without its port. Returned in lower case. */
export function parseHostPattern(found: unknown): Parsed<string> {
  if (typeof found !== 'string') return notText(found, ALLOWED)
  const host = found.toLowerCase()
  if (host === '*' || host === '*.') return refuse('would be any host', ALLOWED)
  if (host.includes('://'))
    return refuse('is a URL, not a host name', ALLOWED, valid(host.replace(/^.*?:\/\/([^/:]*).*$/, '$1')))
  if (/:\d*$/.test(host))
    return refuse('has a port: hosts are compared without it', ALLOWED, valid(host.replace(/:\d*$/, '')))
  if (host.includes('/'))
    return refuse('has a path: that belongs under "path"', ALLOWED, valid(host.replace(/\/.*$/, '')))
  if (host.endsWith('.')) return refuse('ends with a dot', ALLOWED, valid(host.replace(/\.+$/, '')))
  if (host.startsWith('.')) return refuse('begins with a dot', ALLOWED, valid(`*${host}`))
  if (host.slice(1).includes('*') || (host.startsWith('*') && !host.startsWith('*.'))) {
    return refuse('has a "*" that is not a whole first label', ALLOWED)
  }
  // A browser sends the ASCII form (RFC 5891), so a Unicode name would never match.
  if (/[^\0-\x7f]/.test(host))
    return refuse('is not in the ASCII form that clients send', ALLOWED, valid(domainToASCII(host)))
  return valid(host) === undefined ? refuse('is not a host name', ALLOWED) : { value: host }
}

function valid(host: string): string | undefined {
  return host.length <= 253 && HOST.test(host) ? host : undefined
}
