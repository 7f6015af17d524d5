import { isIP } from 'node:net'
import { createAddressBlocks } from './address-blocks'

/** Addresses and CIDR blocks. */
export interface AccessList {
  /** Only these clients are admitted; empty: all. */
  readonly allow: readonly string[]
  readonly deny: readonly string[]
}

/**
 * Creates a check that every list admits an address. `deny` wins over `allow`. A client without an address is not
 * admitted, because it would bypass the lists.
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
