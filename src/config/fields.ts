import type { z } from 'zod'
import { duration, DURATION_PATTERN, LONGEST } from './values/duration'
import { field } from './values/field'
import { HOST_SENT_PATTERN, parseHostSent, type HostSent } from './values/host-sent'
import { HEADER_NAME_PATTERN, HEADER_VALUE_PATTERN, parseHeaderValue } from './values/header'
import { NAME_PATTERN, parseName } from './values/name'
import type { Parse } from './values/parsed'
import { HASH_KEY_PATTERN, KEY_PATTERN } from './values/rate-limit-key'
import { parseFilePath } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { parseScope, SCOPE_PATTERN } from './values/scope'
import { parseTrustedProxy } from './values/trusted-proxy'
import { wholeNumber } from './values/whole-number'

export function durationField(description: string, bounds: { atLeast: string; atMost?: string }): z.ZodType<number> {
  const { atLeast, atMost = LONGEST } = bounds
  const value = `\`${atLeast}\` to \`${atMost}\``
  return field(duration(bounds), { description, value, type: 'string', pattern: DURATION_PATTERN })
}

export function numberField(description: string, bounds: { atLeast: number; atMost: number }): z.ZodType<number> {
  const { atLeast, atMost } = bounds
  const value = `${atLeast} to ${atMost}`
  return field(wholeNumber(bounds), { description, value, type: 'integer', minimum: atLeast, maximum: atMost })
}

export function sizeField(description: string, bounds: { atLeast: string; atMost: string }): z.ZodType<number> {
  return field(size(bounds), { description, type: 'string', pattern: SIZE_PATTERN })
}

export function nameField(description: string): z.ZodType<string> {
  return field(parseName, { description, value: 'name', type: 'string', pattern: NAME_PATTERN })
}

export const trustedProxy = field(parseTrustedProxy, {
  description: 'An address or a CIDR block. Never a hop count: a client can make up as many hops as it likes.',
  type: 'string',
  examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
})

export const KEY_PART = { type: 'string', pattern: KEY_PATTERN }
export const HASH_KEY_PART = { type: 'string', pattern: HASH_KEY_PATTERN }

export const responseTimeout = durationField(
  'Timeout from the last byte of the request to the header section of the response; above it 504, reason `response_timeout`.',
  { atLeast: '1ms' },
)
export const idleTimeout = durationField(
  'Timeout between two chunks of a response; above it the response is aborted. Increase it for streams that are silent for longer. Left out: same as `response`.',
  { atLeast: '1ms' },
)
export const totalTimeout = durationField(
  'Timeout for the whole exchange, from the header section of the request to the last byte of its response, with upload, retries and streams; above it 504, or the response is aborted. Left out: no bound.',
  { atLeast: '1ms' },
)

export function fileField(description: string): z.ZodType<string> {
  return field(parseFilePath, { description, value: 'path', type: 'string', examples: ['/etc/gateway/ca.pem'] })
}

/** The `Host` that targets get. */
export function hostField(description: string, value: string, examples: readonly string[]): z.ZodType<HostSent> {
  return field(parseHostSent, { description, value, type: 'string', pattern: HOST_SENT_PATTERN, examples })
}

/** One scope that a credential grants. */
export const scope = field(parseScope, {
  description: 'One word, such as orders:read (RFC 6749 §3.3).',
  type: 'string',
  pattern: SCOPE_PATTERN,
})

export const headerValue = field(parseHeaderValue, {
  description: 'The value of the field.',
  type: 'string',
  pattern: HEADER_VALUE_PATTERN,
})

export function headerName(parse: Parse<string>): z.ZodType<string> {
  return field(parse, { description: 'The name of a field.', type: 'string', pattern: HEADER_NAME_PATTERN })
}
