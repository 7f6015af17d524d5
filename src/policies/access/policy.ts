import { isIP } from 'node:net'
import { createAddressBlocks } from '../../access/address-blocks'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'
import { definePolicy, type Line } from '../define-policy'
import { accessSchema, type AccessConfig } from './schema'

/** Access lists. Each of them must let a client in: those of the entrypoint first, then the route's own. */
export const access = definePolicy({
  name: 'access',
  schema: accessSchema.optional().meta({
    description: "Which clients are let in, by address, of those that the entrypoint's lists let in; others get 403.",
  }),
  resolve: (own, { entrypoint }): readonly AccessConfig[] => [entrypoint.access ?? [], own ?? []].flat(),
  create(lists) {
    if (lists.length === 0) return {}
    const limit = limitAccess(lists)
    return { onRequest: limit, onPreflight: limit }
  },
  refuses: lists => (lists.length > 0 ? ['forbidden'] : []),
  describe: lists =>
    lists.flatMap(({ allow, deny }): Line[] => [
      ...(allow.length > 0 ? [{ about: 'clients', text: `only from ${allow.join(', ')}` } as const] : []),
      ...(deny.length > 0 ? [{ about: 'clients', text: `not from ${deny.join(', ')}` } as const] : []),
    ]),
})

/** Refuses clients by their address, as trusted proxies report it. Whom `deny` names stays out, whatever `allow` says. */
function limitAccess(lists: readonly AccessConfig[]): Stage {
  const isDenied = createAddressBlocks(lists.flatMap(({ deny }) => deny))
  const allowed = lists.filter(({ allow }) => allow.length > 0).map(({ allow }) => createAddressBlocks(allow))
  return function limitClientAccess({ clientAddress }) {
    // A proxy's word that is no address cannot be looked up in any list, and must not be a way around them.
    if (isIP(clientAddress) === 0 || isDenied(clientAddress)) throw refusal()
    for (const isAllowed of allowed) if (!isAllowed(clientAddress)) throw refusal()
  }
}

function refusal(): GatewayError {
  return new GatewayError('forbidden', { cause: new Error('the address is not let in') })
}
