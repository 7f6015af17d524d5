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
          'Origins whose pages may read the responses of this route: `https://shop.example`, `https://*.shop.example` for every name below it, `*` for all. [More](policies.md#cors).',
        value: 'list of origins',
      }),
    methods: z
      .array(field(parseMethod, { description: 'An HTTP method.', type: 'string', examples: ['GET', 'POST'] }))
      .min(1)
      .optional()
      .meta({
        description: 'Methods that these pages may use. Left out: the methods of the route.',
        value: 'list of methods',
      }),
    headers: z.array(corsHeaderName).optional().meta({
      description: 'Request header fields that they may set. Left out: all that they ask for.',
      value: 'list of field names',
    }),
    exposeHeaders: z.array(corsHeaderName).prefault([]).meta({
      description: 'Response header fields that they may read, besides those that browsers always expose.',
      value: 'list of field names',
    }),
    credentials: field(parseFlag, {
      description: 'Whether browsers may send credentials such as cookies. Not with `*` in `origins`.',
      type: 'boolean',
    }).prefault(false),
    maxAge: durationField(
      'How long a browser may cache the preflight response. Left out: the browser decides, usually 5 s.',
      {
        atLeast: '0s',
        atMost: '1d',
      },
    ).optional(),
  })
  .meta({
    description:
      "CORS: which pages of other origins may use the route. The gateway answers preflight requests before authentication and limits, and replaces the upstream's Access-Control-* fields.",
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
