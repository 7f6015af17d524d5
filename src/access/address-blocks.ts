import { BlockList, isIP } from 'node:net'
import { plainAddress } from '../exchange/peer'

/**
 * Creates a check whether an address is in one of the blocks; text that is not an address is in none. `::ffff:192.0.2.1`
 * counts as 192.0.2.1, in blocks and addresses.
 *
 * @param blocks addresses and CIDR blocks, as `values/trusted-proxy.ts` reads them
 */
export function createAddressBlocks(blocks: readonly string[]): (address: string) => boolean {
  if (blocks.length === 0) return () => false
  const list = new BlockList()
  for (const block of blocks) {
    const [network = '', prefix] = block.split('/')
    const address = plainAddress(network)
    const isV6 = isIP(address) === 6
    const longest = isV6 ? 128 : 32
    // The first 96 bits of an IPv4-mapped block are the fixed prefix.
    const bits = prefix === undefined ? longest : Number(prefix) - (address === network ? 0 : 96)
    list.addSubnet(address, bits, isV6 ? 'ipv6' : 'ipv4')
  }
  return function isInBlocks(address) {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}
