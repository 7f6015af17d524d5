import { z } from 'zod'
import { API_KEY_HASH_PATTERN, parseApiKeyHash } from './values/api-key-hash'
import { parseFlag } from './values/choice'
import { field } from './values/field'
import { HEADER_NAME_PATTERN, parseCredentialName } from './values/header'
import { NAME_PATTERN, parseName } from './values/name'
import { parseScope, SCOPE_PATTERN } from './values/scope'

/** The part of `gateway.yaml` that says who is let in. */

const scope = field(parseScope, {
  description: 'One word, such as orders:read (RFC 6749 §3.3).',
  type: 'string',
  pattern: SCOPE_PATTERN,
})

export const consumerSchema = z
  .strictObject({
    tier: field(parseName, {
      description: 'What limits may differ by: rateLimit.tiers names the limit of each.',
      type: 'string',
      pattern: NAME_PATTERN,
      examples: ['gold'],
    }).optional(),
    scopes: z.array(scope).prefault([]).meta({ description: "What the consumer's API keys may be used for." }),
    apiKeys: z
      .array(
        field(parseApiKeyHash, {
          description: 'sha256: and the hash of a key, as "npm run hash-key" prints it. Never the key itself.',
          type: 'string',
          pattern: API_KEY_HASH_PATTERN,
        }),
      )
      .prefault([])
      .meta({ description: 'Keys that name this consumer; several, so that one can follow another.' }),
  })
  .meta({ description: 'Somebody who may be let in.' })

export const authSchema = z
  .strictObject({
    apiKey: z
      .strictObject({
        header: field(parseCredentialName, {
          description: 'The field in which clients send their key.',
          type: 'string',
          pattern: HEADER_NAME_PATTERN,
        }).prefault('x-api-key'),
        forward: field(parseFlag, {
          description: 'Send the key on to the upstream, which mostly has no use for it.',
          type: 'boolean',
        }).prefault(false),
      })
      .optional()
      .meta({ description: 'Let in who shows the API key of a consumer.' }),
    scopes: z.array(scope).prefault([]).meta({ description: 'What the credential must be good for: all of them.' }),
  })
  .meta({ description: 'What clients must show; nobody else passes. Left out: everybody passes.' })
