import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange } from '../../exchange/exchange'

/**
 * Returns the value of a query parameter; undefined without it or if it is empty. Compares decoded names, because an
 * upstream may decode `access%5Ftoken`.
 *
 * @throws GatewayError `bad_request` if it is repeated or not valid percent-encoding
 */
export function queryParameter(query: string, name: string): string | undefined {
  if (query.length < 2) return undefined
  let found: string | undefined
  for (const part of query.slice(1).split('&')) {
    if (!isNamed(part, name)) continue
    if (found !== undefined) throw new GatewayError('bad_request', { cause: `two ${name} parameters` })
    const equals = part.indexOf('=')
    found = equals === -1 ? '' : decoded(part.slice(equals + 1), name)
  }
  return found === '' ? undefined : found
}

/** Returns the query without the parameter: `''`, or with its `?`. The other parameters stay exactly as received. */
export function withoutParameter(query: string, name: string): string {
  if (query.length < 2) return query
  const parts = query.slice(1).split('&')
  const kept = parts.filter(part => !isNamed(part, name))
  if (kept.length === parts.length) return query
  return kept.length === 0 ? '' : `?${kept.join('&')}`
}

function isNamed(part: string, name: string): boolean {
  const equals = part.indexOf('=')
  const raw = equals === -1 ? part : part.slice(0, equals)
  if (raw === name) return true
  if (!raw.includes('%')) return false
  try {
    return decodeURIComponent(raw) === name
  } catch {
    return false
  }
}

function decoded(value: string, name: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new GatewayError('bad_request', { cause: `${name} is not valid percent-encoding` })
  }
}

/**
 * Returns the value of a cookie; undefined without it or if it is empty.
 *
 * @throws GatewayError `bad_request` if there are two: a page of a sibling domain can plant a second one
 */
export function cookieCredential({ headers }: IncomingMessage, name: string): string | undefined {
  const { cookie } = headers
  if (cookie === undefined || !cookie.includes(name)) return undefined
  let found: string | undefined
  for (const pair of cookie.split(';')) {
    if (nameOf(pair) !== name) continue
    if (found !== undefined) throw new GatewayError('bad_request', { cause: `two ${name} cookies` })
    found = pair.slice(pair.indexOf('=') + 1).trim()
  }
  if (found?.length !== undefined && found.length > 1 && found.startsWith('"') && found.endsWith('"')) {
    found = found.slice(1, -1)
  }
  return found === '' ? undefined : found
}

/** Returns a `Cookie` field without the named cookies; undefined if none is left. */
export function withoutCookies(cookie: string, names: ReadonlySet<string>): string | undefined {
  const pairs = cookie.split(';')
  const kept = pairs.filter(pair => !names.has(nameOf(pair)))
  if (kept.length === pairs.length) return cookie
  const left = kept.map(pair => pair.trim()).filter(pair => pair !== '')
  return left.length === 0 ? undefined : left.join('; ')
}

function nameOf(pair: string): string {
  const equals = pair.indexOf('=')
  return (equals === -1 ? pair : pair.slice(0, equals)).trim()
}

/**
 * Returns whether a page of another origin sends the request, by its `Origin`. Browsers add cookies to such requests, so a
 * cookie does not prove that its owner wants them (CSRF, cross-site WebSocket hijacking). Origins that the route's CORS
 * policy names are accepted.
 */
export function isFromAnotherOrigin({ request, proxyForwarding, corsFields }: Exchange): boolean {
  const { origin, host } = request.headers
  if (origin === undefined) return false
  if (corsFields !== undefined && corsFields[0] === 'Access-Control-Allow-Origin' && corsFields[1] === origin)
    return false
  const asked = proxyForwarding?.host?.split(',', 1)[0]?.trim() ?? host
  return URL.parse(origin)?.host !== asked?.toLowerCase().replace(/:(?:80|443)$/, '')
}
