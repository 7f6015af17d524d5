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
      'In the place of `limit`, for consumers of these tiers: `{ gold: 1000 }`. Needs a `key` with `consumer` or `api-key`.',
    value: 'map of tiers to limits',
    anyOf: [{ type: 'object', additionalProperties: TIER_LIMIT }],
  }).prefault({}),
  window: durationField('How long they are counted.', { atLeast: '1s' }),
  algorithm: field(choice(['fixed-window', 'gcra'], ALGORITHM_SPELLINGS), {
    description:
      '`fixed-window` begins with the first request and ends all at once; `gcra` gives back what was used evenly. [What each does](rate-limits.md#algorithms).',
    type: 'string',
    enum: ['fixed-window', 'gcra'],
  }).prefault('fixed-window'),
  key: field(parseRateLimitKey, {
    description:
      'What is counted: the address of the client, IPv6 by its /56 block; who it is, where the route has `auth`; the value of a field; or the combination of several. [More](rate-limits.md#keys).',
    value: '`client`, `consumer`, `api-key`, `header:NAME`, or list',
    anyOf: [KEY_PART, { type: 'array', items: KEY_PART, minItems: 1 }],
    examples: ['client', 'consumer', 'api-key', 'header:x-tenant', ['client', 'header:x-tenant']],
  }).prefault('client'),
  cost: field(parseCost, {
    description:
      'What a request counts for: `5`, or `{ POST: 5 }`, where methods that are not named count for 1. Never more than `limit`.',
    value: '1 to 1000000, or map of methods',
    anyOf: [COST, { type: 'object', additionalProperties: COST }, { type: 'string', pattern: '\\$\\{' }],
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
    description: 'Counts what it would limit (`would_limit` in the metric), refuses nobody and tells clients nothing.',
    type: 'boolean',
  }).prefault(false),
  legacyHeaders: field(parseFlag, {
    description: 'Send `X-RateLimit-Limit`, `-Remaining` and `-Reset` too.',
    type: 'boolean',
  }).prefault(false),
  offenders: field(choice(['hashed', 'clear']), {
    description: 'How `/offenders` on the ops port shows whom the policy limits.',
    type: 'string',
    enum: ['hashed', 'clear'],
  }).prefault('hashed'),
  onStoreFailure: field(choice(['local', 'open', 'closed']), {
    description: "When Redis fails: count here with this replica's share, let everything pass, or refuse with 503.",
    type: 'string',
    enum: ['local', 'open', 'closed'],
  }).prefault('local'),
}
const POLICY_NAME = 'Label of metrics, and name in the `RateLimit` headers. In a list every policy needs one.'

/** One of several policies; alone, it need not be named. */
export const policySchema = z.strictObject({ name: nameField(POLICY_NAME), ...policyShape })

export const rateLimitSchema = z
  .union([
    z.strictObject({ name: nameField(POLICY_NAME).prefault('default'), ...policyShape }),
    z.array(policySchema).min(1),
  ])
  .transform(policies => [policies].flat().map(({ window, ...policy }) => ({ ...policy, windowMs: window })))
  .optional()
  .meta({
    description:
      'How much one client may ask of this route. Of several policies all must allow it. Left out: no limit.',
    value: 'policy, or list of policies',
  })

/** One of the policies of a route, as its hooks know it. */
export type RateLimitPolicy = Frozen<NonNullable<z.output<typeof rateLimitSchema>>[number]>
