import { hash } from 'node:crypto'
import { clientCertificateOf } from '../../certificates/client-certificate'
import type { RateLimitKey } from '../../config/values/rate-limit-key'
import { clientKey } from '../../exchange/client-key'
import type { Exchange } from '../../exchange/exchange'

/** Creates a function that returns the key of a request: about 100 characters at most, never a secret. */
export function createKeyOf(key: RateLimitKey): (exchange: Exchange) => string {
  const parts = key.map(keyOfPart)
  const [first = clientKey, ...others] = parts
  if (others.length === 0) return first
  return function compositeKey(exchange) {
    return parts.map(part => part(exchange)).join('+')
  }
}

/** Returns whether the key needs an authenticated consumer. */
export function countsConsumers(key: RateLimitKey): boolean {
  return key.includes('consumer') || key.includes('api-key')
}

function keyOfPart(part: RateLimitKey[number]): (exchange: Exchange) => string {
  if (part === 'client') return clientKey
  if (part === 'consumer' || part === 'api-key')
    return exchange => exchange.consumer?.countedAs[part] ?? clientKey(exchange)
  if (part === 'certificate') return certificateKey
  return headerKey(part.slice('header:'.length))
}

/** Returns the digest of the certificate's subject; without a certificate the client's address. */
function certificateKey(exchange: Exchange): string {
  const subject = clientCertificateOf(exchange.request)?.subject
  if (subject === undefined) return clientKey(exchange)
  return `certificate=${hash('sha256', subject, 'base64url').slice(0, 22)}`
}

/**
 * Returns the digest of a field's value: values may be long, and API keys must not be readable in Redis. Without the field
 * the client's address is used; otherwise omitting the field would bypass the limit.
 */
function headerKey(name: string): (exchange: Exchange) => string {
  return function keyOfHeader(exchange) {
    const value = exchange.request.headers[name]
    if (value === undefined || value === '') return clientKey(exchange)
    return `${name}=${hash('sha256', String(value), 'base64url').slice(0, 22)}`
  }
}
