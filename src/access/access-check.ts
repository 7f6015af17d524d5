import { isIP } from 'node:net'
import { createAddressBlocks } from './address-blocks'

/** Addresses and CIDR blocks. */
export interface AccessList {
  /** Only these are let in; empty: all. */
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/**
 * Whether every list lets an address in. `deny` wins over `allow`. A client without an address is not let in: it cannot be
 * looked up in any list, and must not be a way around them.
 */
export function createAccessCheck(lists: readonly AccessList[]): (clientAddress: string) => boolean {
  const isDenied = createAddressBlocks(lists.flatMap(({ deny }) => deny))
  const allowed = lists.filter(({ allow }) => allow.length > 0).map(({ allow }) => createAddressBlocks(allow))
  return function isLetIn(clientAddress) {
    if (isIP(clientAddress) === 0 || isDenied(clientAddress)) return false
    for (const isAllowed of allowed) if (!isAllowed(clientAddress)) return false
    return true
  }
}
