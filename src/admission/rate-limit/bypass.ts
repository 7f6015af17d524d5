import { BlockList, isIP } from 'node:net'
import type { Exchange } from '../../exchange'

/** Whether a client's address is in one of the blocks; nobody is limited who is. */
export function createBypass(blocks: readonly string[]): (exchange: Exchange) => boolean {
  if (blocks.length === 0) return () => false
  const list = new BlockList()
  for (const block of blocks) {
    const [address = '', prefix] = block.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, prefix === undefined ? (family === 'ipv6' ? 128 : 32) : Number(prefix), family)
  }
  return function bypassesLimit({ clientAddress }) {
    const family = isIP(clientAddress)
    return family !== 0 && list.check(clientAddress, family === 6 ? 'ipv6' : 'ipv4')
  }
}
