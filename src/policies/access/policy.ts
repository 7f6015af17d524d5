import { createAccessCheck } from '../../access/access-check'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'
import { definePolicy, type Line } from '../define-policy'
import { accessListsSchema, type AccessConfig } from './schema'

/** Access lists: the entrypoint's and the route's must all admit a client. */
export const access = definePolicy({
  name: 'access',
  schema: accessListsSchema(
    'Only these clients are allowed, among those that `entrypoint.access` allows. Empty: all of them.',
  )
    .optional()
    .meta({
      description: 'Which of the clients that the entrypoint allows may use this route, by address; others get 403.',
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

/** Refuses clients by their address, as trusted proxies report it. */
function limitAccess(lists: readonly AccessConfig[]): Stage {
  const isLetIn = createAccessCheck(lists)
  return function limitClientAccess({ clientAddress }) {
    if (!isLetIn(clientAddress)) throw new GatewayError('forbidden', { cause: new Error('the address is not let in') })
  }
}
