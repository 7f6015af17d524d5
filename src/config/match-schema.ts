import { z } from 'zod'
import { headerName, headerValue } from './fields'
import type { Frozen } from './frozen'
import { parseFlag } from './values/choice'
import { field } from './values/field'
import { parseConditionName, toFields } from './values/header'
import { HOST_PATTERN, parseHostPattern } from './values/host-pattern'
import { parseMethod } from './values/method'
import { parsePathTemplate, PATH_PATTERN } from './values/path-template'

export const pathField = field(parsePathTemplate, {
  description:
    'Path prefix, by segments: `/api/orders` matches `/api/orders` and `/api/orders/7`, not `/api/orders2`. A segment may be a parameter: `/users/:id`. Becomes `http.route`.',
  value: 'path',
  type: 'string',
  pattern: PATH_PATTERN,
  examples: ['/api/orders', '/users/:id'],
})

export const matchSchema = z
  .strictObject({
    path: pathField,
    exact: field(parseFlag, {
      description: 'Match only this path: no paths below it, and no trailing slash.',
      type: 'boolean',
    }).prefault(false),
    host: field(parseHostPattern, {
      description:
        'Only requests to this host, or to any name below the suffix (`*.shop.example` is not `shop.example` itself). Without port. Left out: any host.',
      value: 'host name, `*.suffix`',
      type: 'string',
      pattern: HOST_PATTERN,
      examples: ['shop.example', '*.shop.example'],
    }).optional(),
    methods: z
      .array(
        field(parseMethod, {
          description: 'An HTTP method.',
          type: 'string',
          examples: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
        }),
      )
      .min(1)
      .optional()
      .meta({
        description: 'Only these; `GET` includes `HEAD`. Left out: every method but `TRACE`, which is never forwarded.',
        value: 'list of methods',
      }),
    headers: z.record(headerName(parseConditionName), headerValue).optional().meta({
      description:
        'Header fields that the request must have, once and with exactly this value: `{ x-tenant: acme }`. Names match in any case. Requests without them can match a less specific route.',
      value: 'map of names to values',
    }),
  })
  .meta({ description: 'Which requests this route matches.' })
  .transform(({ path, exact, host, methods, headers }) => ({
    path,
    exact,
    host,
    methods: methods && [...new Set(methods)],
    /** Sorted by name; lower case. */
    headers: toFields(headers),
  }))

/** Which requests a route takes: path template, and undefined for any host or any method (HEAD goes where GET goes). */
export type MatchConfig = Frozen<z.output<typeof matchSchema>>
