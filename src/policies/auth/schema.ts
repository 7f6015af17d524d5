import { z } from 'zod'
import { scope } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import type { TokenConfig } from '../../config/types'
import { parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { HEADER_NAME_PATTERN, parseCredentialName } from '../../config/values/header'
import { parseClaimHeaders } from './claim-headers'
import { externalSchema, type ExternalConfig } from './external-schema'
import { CREDENTIAL_NAME_PATTERN, parseCookieCredential, parseQueryCredential, parseTokenNames } from './schema-values'

const query = field(parseQueryCredential, {
  description:
    'Also accept the credential in this query parameter, for clients that cannot set header fields. It is not forwarded unless `forward: true`. [What it costs](authentication.md#query-parameters-and-cookies).',
  value: 'name',
  type: 'string',
  pattern: CREDENTIAL_NAME_PATTERN,
  examples: ['access_token'],
}).optional()

const cookie = field(parseCookieCredential, {
  description:
    'Also accept the credential in this cookie, if the request has no other credential. It is not forwarded unless `forward: true`. Unsafe requests and WebSockets from pages of other origins are refused.',
  value: 'name',
  type: 'string',
  pattern: CREDENTIAL_NAME_PATTERN,
  examples: ['session'],
}).optional()

export const authSchema = z
  .strictObject({
    apiKey: z
      .strictObject({
        header: field(parseCredentialName, {
          description:
            "Header field with the API key. Requests without a consumer's key get 401. `apiKey: {}` uses the default.",
          value: 'field name',
          type: 'string',
          pattern: HEADER_NAME_PATTERN,
        }).prefault('x-api-key'),
        forward: field(parseFlag, {
          description: 'Forward the key to the upstream.',
          type: 'boolean',
        }).prefault(false),
        query,
        cookie,
      })
      .optional()
      .meta({ description: 'Require an API key of a consumer.' }),
    jwt: z
      .strictObject({
        tokens: field(parseTokenNames, {
          description:
            'Entry of `tokens` whose tokens are accepted in `Authorization: Bearer`, or a list of entries: the claim `iss` selects one. If `apiKey` is set too, either is accepted.',
          value: 'name, or list of names',
          anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1 }],
          examples: ['sso'],
        }),
        forward: field(parseFlag, {
          description:
            'Forward the token to the upstream. Left out: a token in `Authorization` is forwarded, one in a query parameter or cookie is not.',
          type: 'boolean',
        }).optional(),
        query,
        cookie,
        claimHeaders: field(parseClaimHeaders, {
          description:
            'Request fields for the upstream with values of claims: `{ x-user-email: email, x-roles: realm_access.roles }`. A dot enters a claim. Fields of these names from clients are removed. [More](authentication.md#claims-for-the-upstream).',
          value: 'map of field names to claims',
          anyOf: [{ type: 'object', additionalProperties: { type: 'string' } }],
        }).prefault({}),
      })
      .optional()
      .meta({ description: 'Require a valid token: Authorization: Bearer (RFC 6750).' }),
    certificate: field(parseFlag, {
      description:
        'Accept the client certificate of the connection (`entrypoint.tls.clientCertificates`). If `apiKey` or `jwt` is set too, a key or token in the request takes precedence.',
      type: 'boolean',
    }).prefault(false),
    basic: z
      .strictObject({
        forward: field(parseFlag, {
          description: 'Forward user and password to the upstream.',
          type: 'boolean',
        }).prefault(false),
      })
      .optional()
      .meta({
        description:
          "Require a user and password (RFC 7617): one of the consumers' `users`. `basic: {}` uses the default.",
      }),
    external: externalSchema.optional(),
    scopes: z.array(scope).prefault([]).meta({
      description: 'Scopes that the credential must have, all of them; otherwise 403.',
      value: 'list of scopes',
    }),
  })
  .meta({ description: 'Credentials that clients must send. Left out: no authentication.' })

type Written = Frozen<z.output<typeof authSchema>>

/** Authentication of a route, with the tokens that it names. */
export type AuthConfig = Omit<Written, 'jwt' | 'external'> & {
  readonly external: ExternalConfig | undefined
  readonly jwt: (Omit<NonNullable<Written['jwt']>, 'tokens'> & { readonly tokens: readonly TokenConfig[] }) | undefined
}
