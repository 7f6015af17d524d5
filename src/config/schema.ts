import { z } from 'zod'
import { authSchema, consumerSchema, tokenSchema } from './identity-schema'
import { choice, parseFlag } from './values/choice'
import { CORS_ORIGIN_PATTERN, parseCorsOrigin } from './values/cors-origin'
import { MAX_COST, parseCost } from './values/cost'
import { field, notYet } from './values/field'
import {
  HEADER_NAME_PATTERN,
  HEADER_VALUE_PATTERN,
  parseBody,
  parseConditionName,
  parseCorsHeaderName,
  parseHeaderValue,
  parseRequestEditName,
  parseResponseEditName,
} from './values/header'
import { HOST_PATTERN, parseHostPattern } from './values/host-pattern'
import { parseMethod } from './values/method'
import { NAME_PATTERN, parseReference } from './values/name'
import type { Parse } from './values/parsed'
import { parseAddPrefix, parsePathTemplate, parseStripPrefix, PATH_PATTERN } from './values/path-template'
import { parseRateLimitKey } from './values/rate-limit-key'
import { parseRedirectStatus, parseRedirectTarget, REDIRECT_PATTERN, REDIRECT_STATUSES } from './values/redirect'
import { parseBypass } from './values/trusted-proxy'
import { DEFAULT_IDLE_TIMEOUT, parseWebSocketFlag } from './values/websocket'
import { MAX_LIMIT, parseTiers } from './values/tiers'
import {
  durationField,
  numberField,
  nameField,
  maxBodySize,
  accessSchema,
  maintenance,
  KEY_PART,
  responseTimeout,
  idleTimeout,
  totalTimeout,
} from './fields'
import { entrypointSchema } from './entrypoint-schema'
import { upstreamSchema } from './upstream-schema'

/**
 * The shape of `gateway.yaml`: keys, defaults and descriptions, in the order of the file. What holds between keys is in
 * `cross-checks.ts`. `npm run schema` writes the same as JSON Schema for editors.
 */

const ALGORITHM_SPELLINGS = {
  fixed: 'fixed-window',
  window: 'fixed-window',
  sliding: 'gcra',
  'sliding-window': 'gcra',
  'token-bucket': 'gcra',
  'leaky-bucket': 'gcra',
} as const

const TIER_LIMIT = {
  anyOf: [
    { type: 'integer', minimum: 1, maximum: MAX_LIMIT },
    { type: 'string', pattern: '\\$\\{' },
  ],
}
const COST = { type: 'integer', minimum: 1, maximum: MAX_COST }

const policyShape = {
  limit: numberField('Requests per window.', { atLeast: 1, atMost: MAX_LIMIT }),
  tiers: field(parseTiers, {
    description: 'In the place of limit, for consumers of these tiers: a map of tiers to limits.',
    anyOf: [{ type: 'object', additionalProperties: TIER_LIMIT }],
  }).prefault({}),
  window: durationField('How long they are counted.', { atLeast: '1s' }),
  algorithm: field(choice(['fixed-window', 'gcra'], ALGORITHM_SPELLINGS), {
    description:
      'fixed-window: the window begins with the first request and ends all at once. gcra: what is used comes back evenly, so that there is no double burst at the edge of a window.',
    type: 'string',
    enum: ['fixed-window', 'gcra'],
  }).prefault('fixed-window'),
  key: field(parseRateLimitKey, {
    description:
      "What is counted: the client's address (IPv6 by its /56 block), the consumer or its api-key where the route has auth, header:NAME, or a list whose combination counts. Without the header, the client's address.",
    anyOf: [KEY_PART, { type: 'array', items: KEY_PART, minItems: 1 }],
    examples: ['client', 'consumer', 'api-key', 'header:x-tenant', ['client', 'header:x-tenant']],
  }).prefault('client'),
  cost: field(parseCost, {
    description: 'What a request counts for: a number, or a map of methods to numbers; methods not named count for 1.',
    anyOf: [COST, { type: 'object', additionalProperties: COST }, { type: 'string', pattern: '\\$\\{' }],
  }).prefault(1),
  bypass: z
    .array(
      field(parseBypass, {
        description: 'An address or a CIDR block.',
        type: 'string',
        examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
      }),
    )
    .prefault([])
    .meta({ description: 'Clients that are not limited and not counted.' }),
  dryRun: field(parseFlag, {
    description: 'Counts and reports what it would limit, but never refuses: for finding the right limit.',
    type: 'boolean',
  }).prefault(false),
  legacyHeaders: field(parseFlag, {
    description: 'Send X-RateLimit-Limit, -Remaining and -Reset too, for clients that know nothing newer.',
    type: 'boolean',
  }).prefault(false),
  offenders: field(choice(['hashed', 'clear']), {
    description: 'How /offenders on the ops port shows whom this policy limits: as digests, or in clear.',
    type: 'string',
    enum: ['hashed', 'clear'],
  }).prefault('hashed'),
  onStoreFailure: field(choice(['local', 'open', 'closed']), {
    description:
      "When Redis fails: count here with this replica's share (local), let everything pass (open), or refuse (closed).",
    type: 'string',
    enum: ['local', 'open', 'closed'],
  }).prefault('local'),
}
const POLICY_NAME = 'Label of metrics, and name in the RateLimit headers.'

/** One of several policies; alone, it need not be named. */
export const policySchema = z.strictObject({ name: nameField(POLICY_NAME), ...policyShape })

const rateLimitSchema = z.union([
  z.strictObject({ name: nameField(POLICY_NAME).prefault('default'), ...policyShape }),
  z.array(policySchema).min(1),
])

const headerValue = field(parseHeaderValue, {
  description: 'The value of the field.',
  type: 'string',
  pattern: HEADER_VALUE_PATTERN,
})

function headerName(parse: Parse<string>): z.ZodType<string> {
  return field(parse, { description: 'The name of a field.', type: 'string', pattern: HEADER_NAME_PATTERN })
}

export const matchSchema = z
  .strictObject({
    path: field(parsePathTemplate, {
      description:
        'Path that matches itself and everything below it, segment by segment; a segment may be a :parameter. The most specific route wins, whatever the order in the file. Becomes http.route.',
      type: 'string',
      pattern: PATH_PATTERN,
      examples: ['/api/orders', '/users/:id'],
    }),
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

export const rewriteSchema = z
  .strictObject({
    stripPrefix: field(parseStripPrefix, {
      description:
        "Cut off the front of the path before it is forwarded: whole segments, as the route's path has them.",
      type: 'string',
      examples: ['/api'],
    }).optional(),
    addPrefix: field(parseAddPrefix, {
      description: 'Put in front of the path before it is forwarded. Together with stripPrefix it replaces the prefix.',
      type: 'string',
      examples: ['/v2'],
    }).optional(),
  })
  .meta({ description: 'What is changed of the path before the request is forwarded.' })

function headerEdits(parse: Parse<string>, whose: string) {
  return z
    .strictObject({
      set: z
        .record(headerName(parse), headerValue)
        .prefault({})
        .meta({ description: `Fields by name, in the place of those that ${whose} has.` }),
      add: z
        .record(headerName(parse), headerValue)
        .prefault({})
        .meta({ description: `Fields by name, beside those that ${whose} has.` }),
      remove: z.array(headerName(parse)).prefault([]).meta({ description: 'Names of fields that are left out.' }),
    })
    .optional()
}

const webSocketSchema = z.union([
  z.strictObject({
    idleTimeout: durationField('How long nothing may move in either direction. Pings are something.', {
      atLeast: '1s',
    }).prefault(DEFAULT_IDLE_TIMEOUT),
  }),
  field(parseWebSocketFlag, { description: 'Whether upgrades to WebSocket are let through.', type: 'boolean' }),
])

export const redirectSchema = z
  .strictObject({
    to: field(parseRedirectTarget, {
      description:
        "A path or an http(s) URL. With /* at its end, the rest of the path below the route's is put there. The query is kept.",
      type: 'string',
      pattern: REDIRECT_PATTERN,
      examples: ['/new/*', 'https://shop.example/'],
    }),
    status: field(parseRedirectStatus, {
      description: '301, 302 or 303; 307 and 308 have the client keep its method and body.',
      anyOf: [{ enum: REDIRECT_STATUSES }, { type: 'string', pattern: '^30[12378]$|\\$\\{' }],
    }).prefault(308),
  })
  .meta({ description: 'Sends clients elsewhere, in the place of an upstream.' })

export const respondSchema = z
  .strictObject({
    status: numberField('Status of the response.', { atLeast: 200, atMost: 599 }).prefault(200),
    headers: z
      .record(headerName(parseResponseEditName), headerValue)
      .prefault({})
      .meta({ description: 'Its header fields by name. Content-Type is text/plain unless it is here.' }),
    body: field(parseBody, { description: 'Its body.', type: 'string' }).optional(),
  })
  .meta({ description: 'Gives every request the same answer, in the place of an upstream.' })

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
      .meta({ description: 'Whose pages may read the answers of this route.' }),
    methods: z
      .array(field(parseMethod, { description: 'An HTTP method.', type: 'string', examples: ['GET', 'POST'] }))
      .min(1)
      .optional()
      .meta({ description: 'What these pages may send. Left out: the methods of the route.' }),
    headers: z
      .array(corsHeaderName)
      .optional()
      .meta({ description: 'Header fields that they may set. Left out: all that they ask for.' }),
    exposeHeaders: z
      .array(corsHeaderName)
      .prefault([])
      .meta({ description: 'Header fields of answers that they may read besides the usual ones.' }),
    credentials: field(parseFlag, {
      description: 'Whether cookies and the like may go along; not with * in origins.',
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

export const routeSchema = z
  .strictObject({
    name: nameField('Name of the route in logs and on the status page.'),
    match: matchSchema,
    upstream: field(parseReference, { description: 'Name of an upstream in this file.', type: 'string' }).optional(),
    redirect: redirectSchema.optional(),
    respond: respondSchema.optional(),
    maintenance: maintenance(
      'Turn every request of this route down with 503. false: also not while the entrypoint has maintenance.',
    ).optional(),
    rewrite: rewriteSchema.prefault({}),
    requestHeaders: headerEdits(parseRequestEditName, 'the request').meta({
      description: 'What is changed of the header section before the request is forwarded.',
    }),
    responseHeaders: headerEdits(parseResponseEditName, 'the response').meta({
      description:
        "What is changed of the response's header section. On what the gateway answers itself for this route, what is set and added is there too.",
    }),
    timeouts: z
      .strictObject({
        response: responseTimeout.optional(),
        idle: idleTimeout.optional(),
        total: totalTimeout.optional(),
      })
      .prefault({})
      .meta({
        description: "How long the upstream may take for this route, in the place of the upstream's own times.",
      }),
    retry: field(choice(['idempotent', 'always', 'never']), {
      description:
        'Which requests may reach the upstream more than once, where it has retries: those whose method allows it (idempotent), all (always), none (never). A request that never reached a target is tried again in any case but never.',
      type: 'string',
      enum: ['idempotent', 'always', 'never'],
    }).prefault('idempotent'),
    access: accessSchema.optional().meta({
      description: "Which clients are let in, by address, of those that the entrypoint's lists let in; others get 403.",
    }),
    cors: corsSchema.optional(),
    maxBodySize: maxBodySize(
      "Bytes of a request's body, at the most, in the place of the entrypoint's bound; above it 413.",
    ).optional(),
    websocket: webSocketSchema.prefault(true).meta({
      description:
        'Upgrades to WebSocket: true lets them through, false refuses them with 403, a map lets them through and says more.',
    }),
    rateLimit: rateLimitSchema.optional().meta({
      description:
        'How much one client may ask of this route: one policy, or a list of named ones that all must allow it.',
    }),
    auth: authSchema.optional(),
    slo: notYet('no rules would come of it'),
  })
  .meta({ description: 'Which requests go where, and under which limits.' })

export const fileSchema = z
  .strictObject({
    entrypoint: entrypointSchema.prefault({}),
    consumers: z
      .record(z.string(), consumerSchema)
      .prefault({})
      .meta({ description: 'Who may be let in, by name.', propertyNames: { pattern: NAME_PATTERN } }),
    tokens: z
      .record(z.string(), tokenSchema)
      .prefault({})
      .meta({
        description: 'Tokens that are taken, by a name for their issuer.',
        propertyNames: { pattern: NAME_PATTERN },
      }),
    upstreams: z
      .record(z.string(), upstreamSchema)
      .meta({ description: 'Backends by name.', minProperties: 1, propertyNames: { pattern: NAME_PATTERN } }),
    routes: z.array(routeSchema).min(1).meta({ description: 'Routes; their order does not matter.' }),
  })
  .meta({ title: 'gateway.yaml', description: 'Upstreams, routes and limits of the myesi-gateway.' })

export type FileContent = z.output<typeof fileSchema>
