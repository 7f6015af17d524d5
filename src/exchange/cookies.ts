import type { Exchange } from './exchange'
import { schemeOf } from './peer'

/** Returns the value of a cookie of the request, as sent; undefined without it. Of several, the first counts. */
export function cookieOf({ request }: Pick<Exchange, 'request'>, name: string): string | undefined {
  const cookies = request.headers.cookie
  if (cookies === undefined) return undefined
  for (let start = 0; start < cookies.length;) {
    const semicolon = cookies.indexOf(';', start)
    const end = semicolon === -1 ? cookies.length : semicolon
    while (cookies.charCodeAt(start) === SPACE) start++
    if (cookies.startsWith(name, start) && cookies[start + name.length] === '=') {
      return cookies.slice(start + name.length + 1, end).trim()
    }
    start = end + 1
  }
  return undefined
}

const SPACE = 0x20

/** A cookie of the gateway's own. */
export interface OwnCookie {
  readonly name: string
  /** Undefined: until the browser is closed. */
  readonly ttlMs: number | undefined
}

/**
 * Adds a cookie to the response, in place of an earlier one of the name. No script can read it (`HttpOnly`), requests that other sites cause do not carry it, except
 * links (`SameSite=Lax`), and if the client uses TLS it is sent over TLS only (`Secure`).
 */
export function setOwnCookie(exchange: Exchange, { name, ttlMs }: OwnCookie, value: string): void {
  let cookie = `${name}=${value}; Path=/; HttpOnly; SameSite=Lax`
  if (ttlMs !== undefined) cookie += `; Max-Age=${Math.round(ttlMs / 1_000)}`
  if (clientScheme(exchange) === 'https') cookie += '; Secure'
  const others = exchange.ownCookies?.filter(other => !other.startsWith(`${name}=`)) ?? []
  exchange.ownCookies = [...others, cookie]
}

/** Returns the scheme in the client's URL, which a trusted proxy in front knows. */
function clientScheme({ proxyForwarding, request }: Exchange): string {
  return proxyForwarding?.proto?.split(',', 1)[0]?.trim().toLowerCase() ?? schemeOf(request)
}
