import { hash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { ipKeyGenerator } from 'express-rate-limit'
import type { RateLimitKey } from '../../config/values/rate-limit-key'
import type { Exchange } from '../../exchange/exchange'

/** IPv6 addresses whose block is remembered: to find it costs more than all else that is done for a key. */
const MAX_KNOWN_BLOCKS = 10_000

const blocks = new Map<string, string>()

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

/** Clients that a trusted proxy does not know share one count: each could otherwise choose a fresh one. */
const UNKNOWN_CLIENT = 'unknown'

function clientKey({ clientAddress }: Exchange): string {
  if (clientAddress === '') return UNKNOWN_CLIENT
  return isIPv6(clientAddress) ? blockOf(clientAddress) : clientAddress
}

/** One client has more IPv6 addresses than can be counted. */
function blockOf(address: string): string {
  const known = blocks.get(address)
  if (known !== undefined) return known
  const block = ipKeyGenerator(address)
  if (blocks.size >= MAX_KNOWN_BLOCKS) blocks.clear()
  blocks.set(address, block)
  return block
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
