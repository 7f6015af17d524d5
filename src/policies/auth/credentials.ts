import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error'

/**
 * Returns the credential in a field; undefined if the field is missing.
 *
 * Reads the raw lines: Node joins two lines of one field or drops the second, and an upstream may do otherwise. A client
 * admitted by one credential must not be another client for the upstream by a second one.
 *
 * @param field lower case
 * @throws GatewayError `bad_request` if the field is repeated, or spelled with `_` for `-`
 */
export function credentialIn({ rawHeaders }: IncomingMessage, field: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== field.length || !isSpelledAs(name.toLowerCase(), field)) continue
    if (found !== undefined) throw new GatewayError('bad_request', { cause: `two ${field} fields` })
    if (name.toLowerCase() !== field) throw new GatewayError('bad_request', { cause: `${field} is spelled otherwise` })
    found = rawHeaders[i + 1] as string
  }
  return found === '' ? undefined : found
}

/** Compares names of fields; `x_api_key` equals `x-api-key` for CGI and its successors. */
function isSpelledAs(name: string, field: string): boolean {
  return name === field || name.replaceAll('_', '-') === field.replaceAll('_', '-')
}

/**
 * Returns the token of `Authorization: Bearer` (RFC 6750 §2.1); undefined if the field is missing or has another scheme.
 * The token's syntax is checked by the verifier.
 */
export function bearerTokenIn(request: IncomingMessage): string | undefined {
  const value = credentialIn(request, 'authorization')
  return value === undefined || !/^bearer\b/i.test(value) ? undefined : value.slice('bearer'.length).trim()
}
