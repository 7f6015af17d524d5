import { isIP } from 'node:net'
import type { Exchange } from '../exchange/exchange'
import { schemeOf } from '../exchange/peer'
import { firstOf } from './request-headers'

/**
 * Replaces the upstream's host by the client's in `Location`, `Content-Location` and the `Domain` of cookies. The
 * client may not reach the upstream's host and would reject a cookie for it.
 *
 * @param sent the `Host` that the upstream received
 */
export function translateHost(
  fields: string[],
  headers: Exchange['request']['headers'],
  sent: string,
  exchange: Exchange,
): void {
  // Most responses have none of them.
  if (
    headers['location'] === undefined &&
    headers['set-cookie'] === undefined &&
    headers['content-location'] === undefined
  ) {
    return
  }
  const own = firstOf(exchange.proxyForwarding?.host) ?? exchange.request.headers.host
  if (own === undefined || !AUTHORITY.test(own)) return
  const scheme = firstOf(exchange.proxyForwarding?.proto) ?? schemeOf(exchange.request)
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    const value = fields[i + 1] as string
    if (name === 'location' || name === 'content-location') fields[i + 1] = translatedUrl(value, sent, scheme, own)
    else if (name === 'set-cookie') fields[i + 1] = translatedCookie(value, sent, own)
  }
}

const AUTHORITY = /^[\w.:[\]-]+$/
const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#]*)/i

/**
 * Translates a URL of any scheme: an upstream that trusts `X-Forwarded-Proto` combines the client's scheme with its own
 * host.
 */
function translatedUrl(url: string, sent: string, scheme: string, own: string): string {
  const found = ABSOLUTE.exec(url)
  if (found === null) return url
  const [start, written = '', authority = ''] = found
  if (withoutDefaultPort(authority, written) !== withoutDefaultPort(sent, written)) return url
  return `${scheme}://${own}${url.slice(start.length)}`
}

function withoutDefaultPort(authority: string, scheme: string): string {
  const lower = authority.toLowerCase()
  const port = scheme.toLowerCase() === 'https' ? ':443' : ':80'
  return lower.endsWith(port) ? lower.slice(0, -port.length) : lower
}

const DOMAIN = /;[\t ]*domain[\t ]*=[\t ]*\.?([^;]*)/i

/**
 * Translates the `Domain` of a cookie. A cookie for an IP address is valid for that address only, even without
 * `Domain`.
 */
function translatedCookie(cookie: string, sent: string, own: string): string {
  const found = DOMAIN.exec(cookie)
  if (found === null || found[1]?.trim().toLowerCase() !== nameOf(sent)) return cookie
  const name = nameOf(own)
  const isAddress = isIP(name) !== 0 || name.startsWith('[')
  return cookie.replace(DOMAIN, isAddress ? '' : `; Domain=${name}`)
}

function nameOf(authority: string): string {
  return authority.replace(/:\d+$/, '').toLowerCase()
}
