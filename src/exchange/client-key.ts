import { isIPv6 } from 'node:net'
import { ipKeyGenerator } from 'express-rate-limit'
import type { Exchange } from './exchange'

/** Number of IPv6 addresses whose block is cached: computing it is the most expensive part of a key. */
const MAX_KNOWN_BLOCKS = 10_000

const blocks = new Map<string, string>()

/** Returns the key by which limits and shares count a client: its IPv4 address, or the /56 block of its IPv6 address. */
export function clientKey({ clientAddress }: Pick<Exchange, 'clientAddress'>): string {
  return addressKey(clientAddress)
}

/** Returns the client key of an address. */
export function addressKey(address: string): string {
  return address.includes(':') && isIPv6(address) ? blockOf(address) : address
}

/** Returns the consumer's key if a credential named one, else the client key. */
export function consumerOrClientKey(exchange: Exchange): string {
  return exchange.consumer?.countedAs.consumer ?? clientKey(exchange)
}

/** Returns the /56 block of an IPv6 address. One client has too many IPv6 addresses to count each. */
function blockOf(address: string): string {
  const known = blocks.get(address)
  if (known !== undefined) return known
  const block = ipKeyGenerator(address)
  if (blocks.size >= MAX_KNOWN_BLOCKS) blocks.clear()
  blocks.set(address, block)
  return block
}
