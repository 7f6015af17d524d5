import { isIP } from 'node:net'
import type { Exchange } from '../exchange/exchange'
import { schemeOf } from '../exchange/peer'
import { firstOf } from './request-headers'

/**
 * Has fields that name the host that the upstream was asked by name the one that the client asked for: `Location`,
 * `Content-Location` and the `Domain` of cookies. The client may not reach the other one, and no cookie is kept for it.
 *
 * @param sent what the upstream got as `Host`
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
  const own = firstOf(exchange.said?.host) ?? exchange.request.headers.host
  if (own === undefined || !AUTHORITY.test(own)) return
  const scheme = firstOf(exchange.said?.proto) ?? schemeOf(exchange.request)
  for (let i = 0; i < fields.length; i += 2) {
    const name = (fields[i] as string).toLowerCase()
    const value = fields[i + 1] as string
    if (name === 'location' || name === 'content-location') fields[i + 1] = translatedUrl(value, sent, scheme, own)
    else if (name === 'set-cookie') fields[i + 1] = translatedCookie(value, sent, own)
  }
}

const AUTHORITY = /^[\w.:[\]-]+$/
const ABSOLUTE = /^(?:(https?):)?\/\/([^/?#]*)/i

/** Whatever the scheme: an upstream that believes `X-Forwarded-Proto` writes the client's before its own name. */
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

/** A cookie for an address is for that address alone, with or without `Domain`. */
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
