import { isIP } from 'node:net'
import { createAddressBlocks } from '../../access/address-blocks'
import type { AccessConfig } from '../../config/types'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'

/** Refuses clients by their address, as trusted proxies report it. Whom `deny` names stays out, whatever `allow` says. */
export function limitAccess({ allow, deny }: AccessConfig): Stage {
  const isAllowed = allow.length === 0 ? () => true : createAddressBlocks(allow)
  const isDenied = createAddressBlocks(deny)
  return function limitClientAccess({ clientAddress }) {
    // A proxy's word that is no address cannot be looked up in any list, and must not be a way around them.
    if (isIP(clientAddress) === 0 || isDenied(clientAddress) || !isAllowed(clientAddress)) {
      throw new GatewayError('forbidden', { cause: new Error('the address is not let in') })
    }
  }
}
