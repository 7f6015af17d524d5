import type { IncomingMessage } from 'node:http'
import { GatewayError } from '../../errors/gateway-error'

/**
 * What a client shows in a field; undefined when it shows nothing.
 *
 * Read from the lines as they came: Node joins two lines of one field, or drops the second, and an upstream may do
 * otherwise. Whoever is let in by one credential must not be somebody else behind the gateway by another.
 *
 * @param field lower case
 * @throws GatewayError `bad_request` when the field is there twice, or with `_` in the place of `-`
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

/** `x_api_key` is the same field as `x-api-key` to CGI and what came after it. */
function isSpelledAs(name: string, field: string): boolean {
  return name === field || name.replaceAll('_', '-') === field.replaceAll('_', '-')
}

/**
 * The token of `Authorization: Bearer` (RFC 6750 §2.1); undefined where the field is not there or of another scheme. What
 * follows the word is the token, whatever it looks like: that it is none is found out by whoever checks it.
 */
export function bearerTokenIn(request: IncomingMessage): string | undefined {
  const value = credentialIn(request, 'authorization')
  return value === undefined || !/^bearer\b/i.test(value) ? undefined : value.slice('bearer'.length).trim()
}
