import { z } from 'zod'
import type { MaintenanceConfig } from './types'
import { duration, DURATION_PATTERN } from './values/duration'
import { field } from './values/field'
import { MAINTENANCE_FORMS, parseMaintenance } from './values/maintenance'
import { NAME_PATTERN, parseName } from './values/name'
import { HASH_KEY_PATTERN, KEY_PATTERN } from './values/rate-limit-key'
import { parseFilePath } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { parseAccess, parseTrustedProxy } from './values/trusted-proxy'
import { wholeNumber } from './values/whole-number'

export function durationField(description: string, bounds: { atLeast: string; atMost?: string }): z.ZodType<number> {
  return field(duration(bounds), { description, type: 'string', pattern: DURATION_PATTERN })
}

export function numberField(description: string, bounds: { atLeast: number; atMost: number }): z.ZodType<number> {
  return field(wholeNumber(bounds), { description, type: 'integer', minimum: bounds.atLeast, maximum: bounds.atMost })
}

export function nameField(description: string): z.ZodType<string> {
  return field(parseName, { description, type: 'string', pattern: NAME_PATTERN })
}

export function maxBodySize(description: string): z.ZodType<number> {
  return field(size({ atLeast: '0B', atMost: '1024GiB' }), { description, type: 'string', pattern: SIZE_PATTERN })
}

export const trustedProxy = field(parseTrustedProxy, {
  description: 'An address or a CIDR block. Never a hop count: a client can make up as many hops as it likes.',
  type: 'string',
  examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
})

export const accessList = z
  .array(
    field(parseAccess, {
      description: 'An address or a CIDR block.',
      type: 'string',
      examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
    }),
  )
  .prefault([])

export const accessSchema = z.strictObject({
  allow: accessList.meta({ description: 'Only these clients are let in. Empty: everybody.' }),
  deny: accessList.meta({ description: 'These are kept out, whatever allow says.' }),
})

export function maintenance(description: string): z.ZodType<MaintenanceConfig | false> {
  return field(parseMaintenance, { description, anyOf: MAINTENANCE_FORMS })
}

export const KEY_PART = { type: 'string', pattern: KEY_PATTERN }
export const HASH_KEY_PART = { type: 'string', pattern: HASH_KEY_PATTERN }

export const responseTimeout = durationField(
  'From the last byte of the request to the header section of the response; above it 504 response_timeout.',
  { atLeast: '1ms' },
)
export const idleTimeout = durationField(
  'Between two chunks of a response; above it the response breaks off. Left out: as long as response.',
  { atLeast: '1ms' },
)
export const totalTimeout = durationField(
  'From the header section of the request to the last byte of its response, uploads, retries and streams included; above it 504 response_timeout, or the response breaks off. Left out: no bound.',
  { atLeast: '1ms' },
)

export function fileField(description: string): z.ZodType<string> {
  return field(parseFilePath, { description, type: 'string', examples: ['/etc/gateway/ca.pem'] })
}
