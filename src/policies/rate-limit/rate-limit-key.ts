import { hash } from 'node:crypto'
import type { RateLimitKey } from '../../config/values/rate-limit-key'
import { clientKey } from '../../exchange/client-key'
import type { Exchange } from '../../exchange/exchange'

/** Makes the text that a policy counts by out of a request: never longer than some 100 characters, never a secret. */
export function createKeyOf(key: RateLimitKey): (exchange: Exchange) => string {
  const parts = key.map(keyOfPart)
  const [first = clientKey, ...others] = parts
  if (others.length === 0) return first
  return function compositeKey(exchange) {
    return parts.map(part => part(exchange)).join('+')
  }
}

/** Whether it must be known who asks before the request can be counted. */
export function countsConsumers(key: RateLimitKey): boolean {
  return key.includes('consumer') || key.includes('api-key')
}

function keyOfPart(part: RateLimitKey[number]): (exchange: Exchange) => string {
  if (part === 'client') return clientKey
  if (part === 'consumer' || part === 'api-key')
    return exchange => exchange.consumer?.countedAs[part] ?? clientKey(exchange)
  return headerKey(part.slice('header:'.length))
}

/**
 * The field's value as a digest: it may be of any length, and a key for Redis that holds an API key would be one more
 * place to steal it from. Without the field the client's address counts, or leaving it out would lift the limit.
 */
function headerKey(name: string): (exchange: Exchange) => string {
  return function keyOfHeader(exchange) {
    const value = exchange.request.headers[name]
    if (value === undefined || value === '') return clientKey(exchange)
    return `${name}=${hash('sha256', String(value), 'base64url').slice(0, 22)}`
  }
}
