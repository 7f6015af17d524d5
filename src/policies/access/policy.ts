import type { IncomingMessage } from 'node:http'
import { createAccessCheck } from '../../access/access-check'
import { clientCertificateOf } from '../../certificates/client-certificate'
import type { Stage } from '../../exchange/exchange'
import { GatewayError } from '../../errors/gateway-error'
import { checkCertificates } from '../certificate-checks'
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
  check: (written, context) =>
    written !== undefined && written.certificates.length > 0 ? checkCertificates(context, ['certificates']) : [],
  create(lists) {
    if (lists.length === 0) return {}
    const limit = limitAccess(lists)
    return { onRequest: limit, onPreflight: limit }
  },
  refuses: lists => (lists.length > 0 ? ['forbidden'] : []),
  describe: lists =>
    lists.flatMap(({ allow, deny, certificates }): Line[] => [
      ...(allow.length > 0 ? [{ about: 'clients', text: `only from ${allow.join(', ')}` } as const] : []),
      ...(deny.length > 0 ? [{ about: 'clients', text: `not from ${deny.join(', ')}` } as const] : []),
      ...(certificates.length > 0
        ? [{ about: 'clients', text: `only with a certificate of ${certificates.join(', ')}` } as const]
        : []),
    ]),
})

/** Refuses clients by their address, as trusted proxies report it, and by the certificate of their connection. */
function limitAccess(lists: readonly AccessConfig[]): Stage {
  const isLetIn = createAccessCheck(lists)
  const hasCertificate = createCertificateCheck(lists)
  return function limitClientAccess({ clientAddress, request }) {
    if (!isLetIn(clientAddress)) throw new GatewayError('forbidden', { cause: new Error('the address is not let in') })
    if (hasCertificate !== undefined && !hasCertificate(request)) {
      throw new GatewayError('forbidden', { cause: new Error('the certificate is not let in') })
    }
  }
}

/** Creates a check that every list admits the certificate of a client; undefined if no list names certificates. */
export function createCertificateCheck(
  lists: readonly AccessConfig[],
): ((request: IncomingMessage) => boolean) | undefined {
  const allowed = lists.flatMap(({ certificates }) => (certificates.length > 0 ? [new Set(certificates)] : []))
  if (allowed.length === 0) return undefined
  return function hasCertificate(request) {
    const subject = clientCertificateOf(request)?.subject
    return subject !== undefined && allowed.every(subjects => subjects.has(subject))
  }
}
