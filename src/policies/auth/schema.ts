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
          description: 'Who shows the API key of a consumer in this field passes, nobody else. `apiKey: {}` will do.',
          value: 'field name',
          type: 'string',
          pattern: HEADER_NAME_PATTERN,
        }).prefault('x-api-key'),
        forward: field(parseFlag, {
          description: 'Send the key on to the upstream.',
          type: 'boolean',
        }).prefault(false),
      })
      .optional()
      .meta({ description: 'Let in who shows the API key of a consumer.' }),
    jwt: z
      .strictObject({
        tokens: field(referenceTo('an entry of "tokens"'), {
          description:
            'Who shows a valid token of these `tokens` passes: `Authorization: Bearer`. With `apiKey` beside it, one of the two will do.',
          value: 'name',
          type: 'string',
        }),
        forward: field(parseFlag, {
          description: 'Send the token on to the upstream.',
          type: 'boolean',
        }).prefault(true),
      })
      .optional()
      .meta({ description: 'Let in who shows a valid token: Authorization: Bearer (RFC 6750).' }),
    scopes: z
      .array(scope)
      .prefault([])
      .meta({ description: 'What the credential must be good for: all of them, else 403.', value: 'list of scopes' }),
  })
  .meta({ description: 'What clients must show; nobody else passes. Left out: everybody passes.' })

type Written = Frozen<z.output<typeof authSchema>>

/** What a route wants to be shown before it forwards: with the tokens that it names. */
export type AuthConfig = Omit<Written, 'jwt'> & {
  readonly jwt: (Omit<NonNullable<Written['jwt']>, 'tokens'> & { readonly tokens: TokenConfig }) | undefined
}
