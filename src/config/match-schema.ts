import { z } from 'zod'
import { headerName, headerValue } from './fields'
import type { Frozen } from './frozen'
import { parseFlag } from './values/choice'
import { field } from './values/field'
import { parseConditionName, toFields } from './values/header'
import { HOST_PATTERN, parseHostPattern } from './values/host-pattern'
import { parseMethod } from './values/method'
import { parsePathPattern } from './values/path-pattern'
import { parsePathTemplate, PATH_PATTERN } from './values/path-template'

export const pathField = field(parsePathTemplate, {
  description:
    'Matches itself and everything below it, segment by segment: `/api/orders` matches `/api/orders/7`, not `/api/orders2`; `/` matches every path. A segment may be a parameter: `/users/:id`. Becomes `http.route`.',
  value: 'path',
  type: 'string',
  pattern: PATH_PATTERN,
  examples: ['/api/orders', '/users/:id', '/'],
})

export const matchSchema = z
  .strictObject({
    path: pathField,
    exact: field(parseFlag, {
      description: 'Match only this path: no paths below it, and no trailing slash.',
      type: 'boolean',
    }).prefault(false),
    pattern: field(parsePathPattern, {
      description:
        'A regular expression ([RE2 syntax](https://github.com/google/re2/wiki/Syntax), linear time) that the whole path must match, in addition to `path`, which remains the name of the route in telemetry: `{ path: /articles, pattern: "/articles/(?<id>[0-9]+)-.*" }`. Comes before routes of the same path without one; of several on one path the first in the file is chosen. Named groups can be used in `rewrite.path`.',
      value: 'regular expression',
      type: 'string',
      pattern: '^\\^?(?:\\(\\?[a-z]+\\))?/|\\$\\{',
      examples: ['/articles/(?<id>[0-9]+)-.*'],
    }).optional(),
    ignoreCase: field(parseFlag, {
      description:
        'Whether upper and lower case are the same in `path` and `pattern`: for upstreams that read `/Admin` as `/admin`. A route of the same path with `false` comes first.',
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
  .meta({ description: 'Which requests take this route.' })
  .transform(({ path, exact, pattern, ignoreCase, host, methods, headers }) => ({
    path,
    exact,
    ...(pattern !== undefined && { pattern }),
    ...(ignoreCase && { ignoreCase }),
    host,
    methods: methods && [...new Set(methods)],
    /** Sorted by name; lower case. */
    headers: toFields(headers),
  }))

/**
 * The requests a route matches: path template, host and method; undefined for any host or method (HEAD is routed as
 * GET).
 */
export type MatchConfig = Frozen<z.output<typeof matchSchema>>
