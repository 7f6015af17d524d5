import { z } from 'zod'
import { scope } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import type { TokenConfig } from '../../config/types'
import { parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { HEADER_NAME_PATTERN, parseCredentialName } from '../../config/values/header'
import { referenceTo } from '../../config/values/name'

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
      })
      .optional()
      .meta({ description: 'Require an API key of a consumer.' }),
    jwt: z
      .strictObject({
        tokens: field(referenceTo('an entry of "tokens"'), {
          description:
            'Entry of `tokens` whose tokens are accepted in `Authorization: Bearer`. If `apiKey` is set too, either is accepted.',
          value: 'name',
          type: 'string',
        }),
        forward: field(parseFlag, {
          description: 'Forward the token to the upstream.',
          type: 'boolean',
        }).prefault(true),
      })
      .optional()
      .meta({ description: 'Require a valid token: Authorization: Bearer (RFC 6750).' }),
    certificate: field(parseFlag, {
      description:
        'Accept the client certificate of the connection (`entrypoint.tls.clientCertificates`). If `apiKey` or `jwt` is set too, a key or token in the request takes precedence.',
      type: 'boolean',
    }).prefault(false),
    scopes: z.array(scope).prefault([]).meta({
      description: 'Scopes that the credential must have, all of them; otherwise 403.',
      value: 'list of scopes',
    }),
  })
  .meta({ description: 'Credentials that clients must send. Left out: no authentication.' })

type Written = Frozen<z.output<typeof authSchema>>

/** Authentication of a route, with the tokens that it names. */
export type AuthConfig = Omit<Written, 'jwt'> & {
  readonly jwt: (Omit<NonNullable<Written['jwt']>, 'tokens'> & { readonly tokens: TokenConfig }) | undefined
}
