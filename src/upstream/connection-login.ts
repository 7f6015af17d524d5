import { joined } from './request-headers'
import type { ParsedHeaders } from './response-headers'

/**
 * Logins that hold for a connection and not for a request (NTLM, and Negotiate as IIS uses it): whoever sends the next
 * request over that connection is served as the one who logged in. Such a connection carries no other request, so these
 * logins work through the gateway only where one request is enough (Negotiate with Kerberos).
 */
const CONNECTION_SCHEME = /(?:^|,)[\t ]*(?:ntlm|negotiate)(?:[\t ,]|$)/i

export function isConnectionLogin(authorization: string | undefined): boolean {
  return authorization !== undefined && CONNECTION_SCHEME.test(authorization)
}

export function asksForConnectionLogin(headers: ParsedHeaders): boolean {
  const challenges = headers['www-authenticate']
  return challenges !== undefined && CONNECTION_SCHEME.test(joined(challenges) ?? '')
}
