import { isIPv6 } from 'node:net'
import { ipKeyGenerator } from 'express-rate-limit'
import type { Exchange } from './exchange'

/** IPv6 addresses whose block is remembered: finding it costs more than everything else that is done for a key. */
const MAX_KNOWN_BLOCKS = 10_000

const blocks = new Map<string, string>()

/** The client as limits and shares count it: its IPv4 address, or the /56 block of its IPv6 address. */
export function clientKey({ clientAddress }: Pick<Exchange, 'clientAddress'>): string {
  return addressKey(clientAddress)
}

/** The same for an address alone. */
export function addressKey(address: string): string {
  return address.includes(':') && isIPv6(address) ? blockOf(address) : address
}

/** The consumer where a credential named one, else the client's address. */
export function consumerOrClientKey(exchange: Exchange): string {
  return exchange.consumer?.countedAs.consumer ?? clientKey(exchange)
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
