import { z } from 'zod'
import type { Frozen } from '../../config/frozen'
import { field } from '../../config/values/field'
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

export const accessSchema = z.strictObject({
  allow: addresses.meta({ description: 'Only these clients are let in. Empty: everybody.' }),
  deny: addresses.meta({ description: 'These are kept out, whatever allow says.' }),
})

/** Addresses and CIDR blocks of clients. */
export type AccessConfig = Frozen<z.output<typeof accessSchema>>
