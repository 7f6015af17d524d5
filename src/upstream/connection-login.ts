import { joined } from './request-headers'
import type { ParsedHeaders } from './response-headers'

/**
 * Matches authentication schemes that log in a connection instead of a request (NTLM, and Negotiate as IIS uses it).
 * The next request on that connection would be served as the logged-in user, so the connection carries no other
 * request. Such a login therefore works through the gateway only if one request is enough (Negotiate with Kerberos).
 */
const CONNECTION_SCHEME = /(?:^|,)[\t ]*(?:ntlm|negotiate)(?:[\t ,]|$)/i

export function isConnectionLogin(authorization: string | undefined): boolean {
  return authorization !== undefined && CONNECTION_SCHEME.test(authorization)
}

export function asksForConnectionLogin(headers: ParsedHeaders): boolean {
  const challenges = headers['www-authenticate']
  return challenges !== undefined && CONNECTION_SCHEME.test(joined(challenges) ?? '')
}
