import { z } from 'zod'
import { durationField, KEY_PART, nameField, numberField } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import { choice, parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { parseRateLimitKey } from '../../config/values/rate-limit-key'
import { parseBypass } from '../../config/values/trusted-proxy'
import { MAX_COST, parseCost } from './cost'
import { MAX_LIMIT, parseTiers } from './tiers'

const ALGORITHM_SPELLINGS = {
  fixed: 'fixed-window',
  window: 'fixed-window',
  sliding: 'gcra',
  'sliding-window': 'gcra',
  'token-bucket': 'gcra',
  'leaky-bucket': 'gcra',
} as const

const TIER_LIMIT = {
  anyOf: [
    { type: 'integer', minimum: 1, maximum: MAX_LIMIT },
    { type: 'string', pattern: '\\$\\{' },
  ],
}
const COST = { type: 'integer', minimum: 1, maximum: MAX_COST }

const policyShape = {
  limit: numberField('Requests per window.', { atLeast: 1, atMost: MAX_LIMIT }),
  tiers: field(parseTiers, {
    description:
      'Other limits for consumers of these tiers: `{ gold: 1000 }`. Needs a `key` with `consumer` or `api-key`.',
    value: 'map of tiers to limits',
    anyOf: [{ type: 'object', additionalProperties: TIER_LIMIT }],
  }).prefault({}),
  window: durationField('Length of the window.', { atLeast: '1s' }),
  algorithm: field(choice(['fixed-window', 'gcra'], ALGORITHM_SPELLINGS), {
    description:
      '`fixed-window` starts with the first request and resets all at once; `gcra` refills evenly. [Comparison](rate-limits.md#algorithms).',
    type: 'string',
    enum: ['fixed-window', 'gcra'],
  }).prefault('fixed-window'),
  key: field(parseRateLimitKey, {
    description:
      'What identifies a client: its address (IPv6: /56 block), the consumer or API key (needs `auth`), the subject of its certificate, a header field, or a combination. [More](rate-limits.md#keys).',
    value: '`client`, `consumer`, `api-key`, `certificate`, `header:NAME`, or list',
    anyOf: [KEY_PART, { type: 'array', items: KEY_PART, minItems: 1 }],
    examples: ['client', 'consumer', 'api-key', 'header:x-tenant', ['client', 'header:x-tenant']],
  }).prefault('client'),
  cost: field(parseCost, {
    description:
      'How much a request counts: `5`, or by method `{ POST: 5 }`; other methods count 1. At most `limit`. `{ responseHeader: x-cost }`: what the upstream reports, charged after the response; `forward: true` leaves the field in the response. [More](rate-limits.md#costs-that-the-upstream-reports).',
    value: '1 to 1000000, or map of methods',
    anyOf: [
      COST,
      {
        type: 'object',
        properties: {
          responseHeader: { description: 'Response field with the cost, such as x-cost.', type: 'string' },
          forward: { description: 'Whether clients get the field.', type: 'boolean', default: false },
        },
        additionalProperties: COST,
      },
      { type: 'string', pattern: '\\$\\{' },
    ],
  }).prefault(1),
  bypass: z
    .array(
      field(parseBypass, {
        description: 'An address or a CIDR block.',
        type: 'string',
        examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
      }),
    )
    .prefault([])
    .meta({ description: 'Clients that are neither limited nor counted.', value: 'list of addresses and CIDR blocks' }),
  dryRun: field(parseFlag, {
    description:
      'Counts the requests it would refuse (`would_limit` in the metric) but refuses none and sends no header fields.',
    type: 'boolean',
  }).prefault(false),
  legacyHeaders: field(parseFlag, {
    description: 'Also send `X-RateLimit-Limit`, `-Remaining` and `-Reset`.',
    type: 'boolean',
  }).prefault(false),
  offenders: field(choice(['hashed', 'clear']), {
    description: 'How `/offenders` on the ops port shows limited clients: as digests or in clear.',
    type: 'string',
    enum: ['hashed', 'clear'],
  }).prefault('hashed'),
  onStoreFailure: field(choice(['local', 'open', 'closed']), {
    description:
      'When Redis is unavailable: count in this replica with its share of the limit (`local`), allow everything (`open`), or refuse with 503 (`closed`).',
    type: 'string',
    enum: ['local', 'open', 'closed'],
  }).prefault('local'),
}
const POLICY_NAME = 'Name in metrics and `RateLimit` header fields. In a list every policy needs one.'

/** One of several policies; alone, it need not be named. */
export const policySchema = z.strictObject({ name: nameField(POLICY_NAME), ...policyShape })

/** A limit that several routes share; its key in the file is its name. */
export const sharedLimitSchema = z
  .strictObject(policyShape)
  .meta({ description: 'A rate limit that counts the requests of all routes that name it in `sharedLimits` together.' })

export const rateLimitSchema = z
  .union([
    z.strictObject({ name: nameField(POLICY_NAME).prefault('default'), ...policyShape }),
    z.array(policySchema).min(1),
  ])
  .transform(policies => [policies].flat().map(({ window, ...policy }) => ({ ...policy, windowMs: window })))
  .optional()
  .meta({
    description:
      'Rate limit per client: one policy or a list. With several, all must allow a request. Left out: no limit.',
    value: 'policy, or list of policies',
  })

/** One of the policies of a route, as its hooks know it. */
export type RateLimitPolicy = Frozen<NonNullable<z.output<typeof rateLimitSchema>>[number]>
