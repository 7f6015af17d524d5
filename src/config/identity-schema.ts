import { z } from 'zod'
import { scope } from './fields'
import { API_KEY_HASH_PATTERN, parseApiKeyHash } from './values/api-key-hash'
import { parseFlag } from './values/choice'
import { duration, DURATION_PATTERN } from './values/duration'
import { field } from './values/field'
import { NAME_PATTERN, parseName } from './values/name'
import { PASSWORD_HASH_PATTERN } from './values/password-hash'
import {
  ALGORITHMS,
  parseAlgorithm,
  parseAudience,
  parseClaimText,
  parseKeySource,
  parseTokenType,
} from './values/tokens'
import { parseUsers } from './values/user-names'

/** The part of `gateway.yaml` that defines consumers and tokens. */

export const consumerSchema = z
  .strictObject({
    tier: field(parseName, {
      description: "Name of the consumer's tier, for `rateLimit.tiers`.",
      value: 'name',
      type: 'string',
      pattern: NAME_PATTERN,
      examples: ['gold'],
    }).optional(),
    scopes: z.array(scope).prefault([]).meta({
      description:
        "Scopes of the consumer's API keys and client certificates; a route requires them with `auth.scopes`. A token has its own scopes.",
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
          "`sha256:` and the hash of each of the consumer's keys, as `npm run hash-key` prints it. With several, a new key can be handed out before the old one is removed.",
        value: 'list of hashes',
      }),
    users: field(parseUsers, {
      description:
        "The consumer's users for Basic authentication: `{ alice: $scrypt$… }`, hashes as `npm run hash-key -- --password` prints them. Never a password.",
      value: 'map of user names to hashes',
      anyOf: [{ type: 'object', additionalProperties: { type: 'string', pattern: `${PASSWORD_HASH_PATTERN}|\\$\\{` } }],
    }).prefault({}),
    subjects: z
      .array(field(parseClaimText, { description: 'A subject, or TOKENS/SUBJECT.', type: 'string' }))
      .prefault([])
      .meta({
        description:
          'Values of `consumerClaim` in tokens that identify the consumer. If there are several `tokens`, prefix their name: `sso/alice`.',
        value: 'list of texts',
      }),
    certificates: z
      .array(field(parseClaimText, { description: 'A subject of a client certificate.', type: 'string' }))
      .prefault([])
      .meta({
        description:
          'Subjects of client certificates that identify the consumer, as `entrypoint.tls.clientCertificates.subject` says.',
        value: 'list of texts',
        examples: [['orders-client']],
      }),
  })
  .meta({ description: 'A consumer: a user or application that may call routes.' })

export const tokenSchema = z
  .strictObject({
    issuer: field(parseClaimText, {
      description: 'The issuer: the claim `iss` must be exactly this.',
      type: 'string',
      examples: ['https://login.example/'],
    }),
    audience: field(parseAudience, {
      description: 'The audience: one of these must be in the claim `aud`.',
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
        description: 'Accepted signature algorithms. `none` and shared secrets (`HS256`) are refused.',
        value: 'list of algorithms',
      }),
    types: z
      .array(field(parseTokenType, { description: 'The typ of a token, in any case.', type: 'string' }))
      .min(1)
      .prefault(['at+jwt', 'jwt'])
      .meta({
        description:
          'Accepted values of the header `typ` (RFC 8725 §3.11). If `JWT` is among them, tokens without `typ` are accepted too.',
        examples: [['at+jwt']],
      }),
    idTokens: field(parseFlag, {
      description:
        'Whether ID tokens are accepted. They tell an application who signed in, and are not meant for calling an API.',
      type: 'boolean',
    }).prefault(false),
    clockSkew: field(duration({ atLeast: '0s', atMost: '10m' }), {
      description: "Allowed difference to the issuer's clock.",
      value: '`0s` to `10m`',
      type: 'string',
      pattern: DURATION_PATTERN,
    }).prefault('30s'),
    consumerClaim: field(parseClaimText, {
      description: 'Claim that identifies the consumer.',
      value: 'name of a claim',
      type: 'string',
      examples: ['sub', 'client_id', 'azp'],
    }).prefault('sub'),
    scopeClaim: field(parseClaimText, {
      description: 'Claim with the scopes: words separated by spaces, or a list.',
      value: 'name of a claim',
      type: 'string',
      examples: ['scope', 'scp', 'permissions'],
    }).prefault('scope'),
  })
  .meta({ description: 'Tokens (JWT) of one issuer.' })
