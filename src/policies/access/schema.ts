import { z } from 'zod'
import type { Frozen } from '../../config/frozen'
import { field } from '../../config/values/field'
import { parseClaimText } from '../../config/values/tokens'
import { parseAccess } from '../../config/values/trusted-proxy'

const addresses = z
  .array(
    field(parseAccess, {
      description: 'An address or a CIDR block.',
      type: 'string',
      examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
    }),
  )
  .prefault([])

/** @param allow description of `allow` */
export function accessListsSchema(allow: string) {
  return z.strictObject({
    allow: addresses.meta({ description: allow, value: VALUE }),
    deny: addresses.meta({ description: 'These clients get 403, even if `allow` lists them.', value: VALUE }),
    certificates: z
      .array(field(parseClaimText, { description: 'A subject of a client certificate.', type: 'string' }))
      .prefault([])
      .meta({
        description:
          'Only clients whose certificate has one of these subjects (`entrypoint.tls.clientCertificates.subject`), at an allowed address; others get 403. Empty: all clients.',
        value: 'list of texts',
      }),
  })
}

const VALUE = 'list of addresses and CIDR blocks'

/** Addresses and CIDR blocks of clients. */
export type AccessConfig = Frozen<z.output<ReturnType<typeof accessListsSchema>>>
