import { z } from 'zod'
import { scope } from './fields'
import { API_KEY_HASH_PATTERN, parseApiKeyHash } from './values/api-key-hash'
import { parseFlag } from './values/choice'
import { duration, DURATION_PATTERN } from './values/duration'
import { field } from './values/field'
import { NAME_PATTERN, parseName } from './values/name'
import {
  ALGORITHMS,
  parseAlgorithm,
  parseAudience,
  parseClaimText,
  parseKeySource,
  parseTokenType,
} from './values/tokens'

/** The part of `gateway.yaml` that says who is let in. */

export const consumerSchema = z
  .strictObject({
    tier: field(parseName, {
      description: 'What limits may differ by: `rateLimit.tiers`.',
      value: 'name',
      type: 'string',
      pattern: NAME_PATTERN,
      examples: ['gold'],
    }).optional(),
    scopes: z.array(scope).prefault([]).meta({
      description:
        "What the consumer's API keys may be used for; compared with `auth.scopes` of the route. A token brings its own.",
      value: 'list of scopes',
    }),
    apiKeys: z
      .array(
        field(parseApiKeyHash, {
          description: 'sha256: and the hash of a key, as "npm run hash-key" prints it. Never the key itself.',
          type: 'string',
          pattern: API_KEY_HASH_PATTERN,
        }),
      )
      .prefault([])
      .meta({
        description:
          "`sha256:` and the hash of each of the consumer's keys, as `npm run hash-key` prints it. Several, so that a new key can be handed out before the old one goes.",
        value: 'list of hashes',
      }),
    subjects: z
      .array(field(parseClaimText, { description: 'A subject, or TOKENS/SUBJECT.', type: 'string' }))
      .prefault([])
      .meta({
        description:
          'What tokens call the consumer: the value of their `consumerClaim`. With several `tokens`, their name and a slash in front: `sso/alice`.',
        value: 'list of texts',
      }),
  })
  .meta({ description: 'Somebody who may be let in.' })

export const tokenSchema = z
  .strictObject({
    issuer: field(parseClaimText, {
      description: 'Who makes them: the claim `iss`, character by character.',
      type: 'string',
      examples: ['https://login.example/'],
    }),
    audience: field(parseAudience, {
      description: 'Who they are for: one of these must be in the claim `aud`.',
      value: 'text, or list of texts',
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
      examples: ['orders-api'],
    }),
    jwks: field(parseKeySource, {
      description: "The issuer's public keys (JWKS): fetched every five minutes, or read with the file.",
      value: 'URL or path',
      type: 'string',
      examples: ['https://login.example/.well-known/jwks.json'],
    }),
    algorithms: z
      .array(field(parseAlgorithm, { description: 'A signature with a public key.', type: 'string', enum: ALGORITHMS }))
      .min(1)
      .prefault([...ALGORITHMS])
      .meta({
        description: 'How they may be signed. `none` and shared secrets (`HS256`) are refused.',
        value: 'list of algorithms',
      }),
    types: z
      .array(field(parseTokenType, { description: 'The typ of a token, in any case.', type: 'string' }))
      .min(1)
      .prefault(['at+jwt', 'jwt'])
      .meta({
        description:
          'What the header typ may be (RFC 8725 §3.11). Tokens without it are taken where jwt is among them.',
        examples: [['at+jwt']],
      }),
    idTokens: field(parseFlag, {
      description:
        'Whether ID tokens are taken: they tell an application who signed in, and were not made to call an API with.',
      type: 'boolean',
    }).prefault(false),
    clockSkew: field(duration({ atLeast: '0s', atMost: '10m' }), {
      description: "By how much the issuer's clock may differ.",
      value: '`0s` to `10m`',
      type: 'string',
      pattern: DURATION_PATTERN,
    }).prefault('30s'),
    consumerClaim: field(parseClaimText, {
      description: 'Who asks.',
      value: 'name of a claim',
      type: 'string',
      examples: ['sub', 'client_id', 'azp'],
    }).prefault('sub'),
    scopeClaim: field(parseClaimText, {
      description: 'What for: words with spaces between them, or a list.',
      value: 'name of a claim',
      type: 'string',
      examples: ['scope', 'scp', 'permissions'],
    }).prefault('scope'),
  })
  .meta({ description: 'Tokens (JWT) of one issuer.' })
