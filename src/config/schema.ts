import { z } from 'zod'
import { authSchema, consumerSchema, tokenSchema } from './identity-schema'
import type { MaintenanceConfig } from './types'
import { choice, parseFlag } from './values/choice'
import { CORS_ORIGIN_PATTERN, parseCorsOrigin } from './values/cors-origin'
import { MAX_COST, parseCost } from './values/cost'
import { duration, DURATION_PATTERN } from './values/duration'
import { FAILURE_KINDS, parseFailureKind } from './values/failure-kind'
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
import { MAINTENANCE_FORMS, parseMaintenance } from './values/maintenance'
import { NAME_PATTERN, parseName, parseReference } from './values/name'
import type { Parse } from './values/parsed'
import { parseAddPrefix, parsePathTemplate, parseStripPrefix, PATH_PATTERN } from './values/path-template'
import { HASH_KEY_PATTERN, KEY_PATTERN, parseHashKey, parseRateLimitKey } from './values/rate-limit-key'
import { parseProbePath, PROBE_PATH_PATTERN } from './values/probe-path'
import { parseRedirectStatus, parseRedirectTarget, REDIRECT_PATTERN, REDIRECT_STATUSES } from './values/redirect'
import { parseFilePath, parseServerName, parseTlsVersion } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { parseTarget, TARGET_FORMS } from './values/target'
import { parseAccess, parseBypass, parseTrustedProxy } from './values/trusted-proxy'
import { DEFAULT_IDLE_TIMEOUT, parseWebSocketFlag } from './values/websocket'
import { MAX_LIMIT, parseTiers } from './values/tiers'
import { wholeNumber } from './values/whole-number'

/**
 * The shape of `gateway.yaml`: keys, defaults and descriptions, in the order of the file. What holds between keys is in
 * `cross-checks.ts`. `npm run schema` writes the same as JSON Schema for editors.
 */

function durationField(description: string, bounds: { atLeast: string; atMost?: string }): z.ZodType<number> {
  return field(duration(bounds), { description, type: 'string', pattern: DURATION_PATTERN })
}

function numberField(description: string, bounds: { atLeast: number; atMost: number }): z.ZodType<number> {
  return field(wholeNumber(bounds), { description, type: 'integer', minimum: bounds.atLeast, maximum: bounds.atMost })
}

function nameField(description: string): z.ZodType<string> {
  return field(parseName, { description, type: 'string', pattern: NAME_PATTERN })
}

function maxBodySize(description: string): z.ZodType<number> {
  return field(size({ atLeast: '0B', atMost: '1024GiB' }), { description, type: 'string', pattern: SIZE_PATTERN })
}

const trustedProxy = field(parseTrustedProxy, {
  description: 'An address or a CIDR block. Never a hop count: a client can make up as many hops as it likes.',
  type: 'string',
  examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
})

const accessList = z
  .array(
    field(parseAccess, {
      description: 'An address or a CIDR block.',
      type: 'string',
      examples: ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'],
    }),
  )
  .prefault([])

const accessSchema = z.strictObject({
  allow: accessList.meta({ description: 'Only these clients are let in. Empty: everybody.' }),
  deny: accessList.meta({ description: 'These are kept out, whatever allow says.' }),
})

const overloadSchema = z
  .strictObject({
    maxRequests: numberField('Requests in flight, event streams included; above it 503. 0: no bound.', {
      atLeast: 0,
      atMost: 1_000_000,
    }).prefault(10_000),
    maxEventLoopDelay: durationField(
      'How late the event loop may be; while it is later, a growing share of the requests gets 503. 0s: no bound.',
      { atLeast: '0s', atMost: '1m' },
    ).prefault('500ms'),
  })
  .meta({ description: 'From when on requests are turned away, so that the others can be served.' })

function maintenance(description: string): z.ZodType<MaintenanceConfig | false> {
  return field(parseMaintenance, { description, anyOf: MAINTENANCE_FORMS })
}

export const entrypointTlsSchema = z
  .strictObject({
    cert: fileField('The certificate, followed by those that lead to an authority that clients know.'),
    key: fileField('Its private key.'),
    minVersion: field(parseTlsVersion, {
      description: 'The oldest version of TLS that is spoken.',
      anyOf: [{ enum: ['1.2', '1.3', 1.2, 1.3] }, { type: 'string', pattern: '\\$\\{' }],
    }).prefault('1.2'),
  })
  .meta({
    description:
      'HTTPS in place of HTTP. Paths of PEM files, relative to the working directory, read again when they change.',
  })

export const entrypointSchema = z
  .strictObject({
    trustedProxies: z
      .array(trustedProxy)
      .prefault([])
      .meta({ description: "Whose X-Forwarded-* and Forwarded headers are believed. Empty: nobody's." }),
    traceContext: field(choice(['all', 'trusted', 'none']), {
      description:
        "Whose trace is continued, with its baggage and its wish to be sampled: every caller's (all), that of trustedProxies (trusted), or nobody's (none). Of all others a new one begins.",
      type: 'string',
      enum: ['all', 'trusted', 'none'],
    }).prefault('all'),
    headersTimeout: durationField('How long a client may take to send its header section.', {
      atLeast: '1ms',
      atMost: '1h',
    }).prefault('15s'),
    requestTimeout: durationField(
      'How long a client may take to send a whole request, body included. 0s: no bound, for uploads and streams of any length.',
      { atLeast: '0s' },
    ).prefault('0s'),
    stallTimeout: durationField(
      'How long a client may send nothing of a body that it owes, or read nothing of a response that is there for it. A body whose length is known has to come with 100 bytes a second over that time.',
      { atLeast: '100ms', atMost: '1h' },
    ).prefault('1m'),
    keepAliveTimeout: durationField(
      'How long an idle connection is kept. Longer than the idle timeout of a load balancer in front, or it sends requests into connections that are just closing.',
      { atLeast: '1ms' },
    ).prefault('65s'),
    maxHeaderSize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description: "Bytes of a request's header section, at the most; above it 431.",
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('16KiB'),
    maxHeaderFields: numberField("Fields of a request's header section, at the most; above it 431.", {
      atLeast: 10,
      atMost: 10_000,
    }).prefault(100),
    maxUrlLength: field(size({ atLeast: '64B', atMost: '1MiB' }), {
      description:
        'Bytes of a URL as it stands in the request line, at the most; above it 414. Less than maxHeaderSize, which the URL is part of.',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('8KiB'),
    maxBodySize: maxBodySize(
      "Bytes of a request's body, at the most; above it 413. A route may have a bound of its own. Left out: no bound.",
    ).optional(),
    overload: overloadSchema.prefault({}),
    access: accessSchema.optional().meta({
      description: 'Which clients are let in, by address; all others get 403. /metrics has rules of its own.',
    }),
    maintenance: maintenance(
      'Turn the requests of every route down with 503, those aside that say maintenance: false.',
    ).prefault(false),
    tls: entrypointTlsSchema.optional(),
    maxConnections: numberField('Client connections open at once, at the most; more are closed at once.', {
      atLeast: 1,
      atMost: 1_000_000,
    }).prefault(10_000),
  })
  .meta({ description: 'The port clients connect to, and its limits.' })

const FAILURE_KIND = {
  description:
    'How a call fails: no connection (connect), a connection that breaks, no answer in time, none that is valid, a status.',
  anyOf: [{ enum: FAILURE_KINDS }, { type: 'string', pattern: '^50[0234]$|\\$\\{' }],
}

const retriesSchema = z
  .strictObject({
    attempts: numberField('Calls for one request in all, the first included.', { atLeast: 1, atMost: 10 }),
    on: z
      .array(field(parseFailureKind, FAILURE_KIND))
      .min(1)
      .prefault(['connect', 'reset', 502, 503])
      .meta({ description: 'The failures after which a call is tried again.' }),
  })
  .meta({
    description:
      'Failed calls are tried again, on another target where there is one: only where that is safe, and only before the first byte of a response was passed on. Retries add at most a fifth to the requests.',
  })

const healthCheckSchema = z
  .strictObject({
    path: field(parseProbePath, {
      description: 'What is asked for with GET; below 400 the check has passed.',
      type: 'string',
      pattern: PROBE_PATH_PATTERN,
      examples: ['/healthz'],
    }),
    interval: durationField('How long from one check to the next, give or take a tenth.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('5s'),
    timeout: durationField('How long the whole answer may take.', { atLeast: '1ms', atMost: '1h' }).prefault('2s'),
    healthyAfter: numberField('Checks in a row that must pass before a target that was not well gets requests again.', {
      atLeast: 1,
      atMost: 100,
    }).prefault(2),
    unhealthyAfter: numberField('Checks in a row that must fail before a target gets none.', {
      atLeast: 1,
      atMost: 100,
    }).prefault(3),
  })
  .meta({ description: 'Asks every target how it is, over connections of its own.' })

const circuitBreakerSchema = z
  .strictObject({
    failures: numberField('Failures in a row after which a target is not asked.', {
      atLeast: 1,
      atMost: 1_000,
    }).prefault(5),
    openFor: durationField('For how long it is not asked; then one request at a time shows whether it is back.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('10s'),
    on: z
      .array(field(parseFailureKind, FAILURE_KIND))
      .min(1)
      .prefault(['connect', 'reset', 'response_timeout', 'bad_response', 502, 503, 504])
      .meta({ description: 'What counts as a failure.' }),
  })
  .meta({
    description:
      'Spares a target that fails again and again, also the last one: requests are then answered with 503 circuit_open.',
  })

const BALANCE_SPELLINGS = {
  'least-connections': 'least-requests',
  'least-conn': 'least-requests',
  p2c: 'least-requests',
  random: 'least-requests',
  'consistent-hash': 'hash',
  sticky: 'hash',
  rr: 'round-robin',
  weighted: 'round-robin',
} as const

const KEY_PART = { type: 'string', pattern: KEY_PATTERN }
const HASH_KEY_PART = { type: 'string', pattern: HASH_KEY_PATTERN }

const responseTimeout = durationField(
  'From the last byte of the request to the header section of the response; above it 504 response_timeout.',
  { atLeast: '1ms' },
)
const idleTimeout = durationField(
  'Between two chunks of a response; above it the response breaks off. Left out: as long as response.',
  { atLeast: '1ms' },
)
const totalTimeout = durationField(
  'From the header section of the request to the last byte of its response, uploads, retries and streams included; above it 504 response_timeout, or the response breaks off. Left out: no bound.',
  { atLeast: '1ms' },
)

function fileField(description: string): z.ZodType<string> {
  return field(parseFilePath, { description, type: 'string', examples: ['/etc/gateway/ca.pem'] })
}

export const tlsSchema = z
  .strictObject({
    ca: fileField(
      "Who may have signed the target's certificate, in the place of the authorities Node knows.",
    ).optional(),
    cert: fileField("The gateway's own certificate, for targets that ask for one.").optional(),
    key: fileField('Its private key.').optional(),
    serverName: field(parseServerName, {
      description: "Name that is asked for (SNI) and that the certificate must be for. Left out: the target's host.",
      type: 'string',
      examples: ['orders.internal'],
    }).optional(),
  })
  .meta({ description: 'TLS with https targets. Paths of PEM files, relative to the working directory.' })

export const upstreamSchema = z
  .strictObject({
    targets: z
      .array(
        field(parseTarget, {
          description: 'Scheme, host and port; the path comes from the request. With a weight, which is 1 otherwise.',
          anyOf: TARGET_FORMS,
          examples: ['http://127.0.0.1:9001'],
        }),
      )
      .min(1)
      .meta({ description: 'The servers that answer; requests are spread over them.' }),
    balance: field(choice(['round-robin', 'least-requests', 'hash'], BALANCE_SPELLINGS), {
      description:
        'Which target gets a request: each in its turn (round-robin), the less busy of two that are drawn (least-requests), or the same one for the same hashKey (hash). Weights count with each of them.',
      type: 'string',
      enum: ['round-robin', 'least-requests', 'hash'],
    }).prefault('round-robin'),
    hashKey: field(parseHashKey, {
      description: "With hash: what is always sent to the same target, the client's address, header:NAME, or a list.",
      anyOf: [HASH_KEY_PART, { type: 'array', items: HASH_KEY_PART, minItems: 1 }],
      examples: ['client', 'header:x-tenant'],
    }).prefault('client'),
    timeouts: z
      .strictObject({
        connect: durationField('How long opening a connection may take; above it 504 connect_timeout.', {
          atLeast: '1ms',
          atMost: '1h',
        }).prefault('1s'),
        response: responseTimeout.prefault('30s'),
        idle: idleTimeout.optional(),
        total: totalTimeout.optional(),
      })
      .prefault({})
      .meta({ description: 'How long the upstream may take.' }),
    maxConnections: numberField('Connections to each target, at the most; requests above it wait their turn.', {
      atLeast: 1,
      atMost: 10_000,
    }).prefault(128),
    connectionLifetime: durationField(
      'How long a connection to a target that is a name is used, so that the name is looked up again. One to an address is kept.',
      { atLeast: '10ms' },
    ).prefault('1m'),
    tls: tlsSchema.optional(),
    healthCheck: healthCheckSchema.optional(),
    retries: retriesSchema.optional(),
    circuitBreaker: circuitBreakerSchema.optional(),
    panicThreshold: numberField('Percent of the targets: when fewer are well, all of them are asked. 0: never.', {
      atLeast: 0,
      atMost: 100,
    }).prefault(50),
  })
  .meta({ description: 'One backend: servers that can stand in for each other.' })

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
