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
    'Path that matches itself and everything below it, segment by segment; a segment may be a :parameter. The most specific route wins, whatever the order in the file. Becomes http.route.',
  type: 'string',
  pattern: PATH_PATTERN,
  examples: ['/api/orders', '/users/:id'],
})

export const matchSchema = z
  .strictObject({
    path: pathField,
    exact: field(parseFlag, {
      description: 'This path only, and nothing below it.',
      type: 'boolean',
    }).prefault(false),
    host: field(parseHostPattern, {
      description: 'Exact host name, or *.suffix for every name below it. Left out: any host.',
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
      .meta({ description: 'Methods that are let through; GET includes HEAD. Left out: every method but TRACE.' }),
    headers: z.record(headerName(parseConditionName), headerValue).optional().meta({
      description: 'Header fields that must be there once and with exactly this value; names in any case.',
    }),
  })
  .meta({ description: 'Which requests take this route.' })
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
