import { z } from 'zod'
import { durationField } from '../../config/fields'
import type { Frozen } from '../../config/frozen'
import { parseFlag } from '../../config/values/choice'
import { field } from '../../config/values/field'
import { HEADER_NAME_PATTERN, parseCorsHeaderName } from '../../config/values/header'
import { parseMethod } from '../../config/values/method'
import { CORS_ORIGIN_PATTERN, parseCorsOrigin } from './cors-origin'

const corsHeaderName = field(parseCorsHeaderName, {
  description: 'The name of a header field.',
  type: 'string',
  pattern: HEADER_NAME_PATTERN,
  examples: ['x-request-id'],
})

export const corsSchema = z
  .strictObject({
    origins: z
      .array(
        field(parseCorsOrigin, {
          description: 'An origin, https://*.suffix for every name below it, or * for all.',
          type: 'string',
          pattern: CORS_ORIGIN_PATTERN,
          examples: ['https://shop.example', 'https://*.shop.example', '*'],
        }),
      )
      .min(1)
      .meta({
        description:
          'Whose pages may read the answers of this route: `https://shop.example`, `https://*.shop.example` for every name below it, `*` for all. [More](policies.md#cors).',
        value: 'list of origins',
      }),
    methods: z
      .array(field(parseMethod, { description: 'An HTTP method.', type: 'string', examples: ['GET', 'POST'] }))
      .min(1)
      .optional()
      .meta({
        description: 'What these pages may send. Left out: the methods of the route.',
        value: 'list of methods',
      }),
    headers: z.array(corsHeaderName).optional().meta({
      description: 'Header fields that they may set. Left out: all that they ask for.',
      value: 'list of field names',
    }),
    exposeHeaders: z.array(corsHeaderName).prefault([]).meta({
      description: 'Header fields of answers that they may read, besides the few that browsers always show.',
      value: 'list of field names',
    }),
    credentials: field(parseFlag, {
      description: 'Whether cookies and the like may go along. Not with `*` in `origins`.',
      type: 'boolean',
    }).prefault(false),
    maxAge: durationField('How long a browser need not ask again. Left out: as it thinks best, mostly 5 s.', {
      atLeast: '0s',
      atMost: '1d',
    }).optional(),
  })
  .meta({
    description:
      "Which pages of other origins may use the route. Answered by the gateway, before authentication and limits; in the place of the upstream's Access-Control-* fields.",
  })
  .transform(({ origins, methods, headers, exposeHeaders, credentials, maxAge }) => ({
    origins,
    methods: methods && [...new Set(methods)],
    headers,
    exposeHeaders,
    credentials,
    maxAgeSeconds: maxAge === undefined ? undefined : Math.floor(maxAge / 1_000),
  }))

/** Origins as `https://shop.example`, `https://*.shop.example` for every name below it, or `*` for all; names in lower case. */
export type CorsConfig = Frozen<z.output<typeof corsSchema>>
