import { z } from 'zod'
import { choice } from './values/choice'
import { FAILURE_KINDS, parseFailureKind } from './values/failure-kind'
import { COOKIE_NAME_PATTERN, parseAffinitySecret, parseOwnCookieName } from './values/cookie-name'
import { field } from './values/field'
import { parseRequestEditName, toFields } from './values/header'
import { parseHashKey } from './values/rate-limit-key'
import { notText, refuse, type Parsed } from './values/parsed'
import { parseProbePath, PROBE_PATH_PATTERN } from './values/probe-path'
import { size, SIZE_PATTERN } from './values/size'
import { parseServerName } from './values/tls'
import { parseResolver } from './values/resolver'
import { parseApiServer } from './values/api-server'
import { parseTargetOrSource, TARGET_OR_SOURCE_FORMS } from './values/target-source'
import {
  durationField,
  numberField,
  HASH_KEY_PART,
  responseTimeout,
  idleTimeout,
  totalTimeout,
  fileField,
  hostField,
  headerName,
  headerValue,
} from './fields'

const FAILURE_KIND = {
  description:
    'Kind of failure: no connection (`connect`), a broken connection, no response in time, an invalid response, a status.',
  anyOf: [{ enum: FAILURE_KINDS }, { type: 'string', pattern: '^50[0234]$|\\$\\{' }],
}

const retriesSchema = z
  .strictObject({
    attempts: numberField('Maximum calls for one request, including the first.', { atLeast: 1, atMost: 10 }),
    conditions: z.array(field(parseFailureKind, FAILURE_KIND)).min(1).prefault(['connect', 'reset', 502, 503]).meta({
      description:
        'Failures that are retried: `connect` (refused, unreachable, timeout, DNS failure, TLS failure), `reset`, `response_timeout`, `bad_response`, `500`, `502`, `503`, `504`.',
      value: 'list of failures',
    }),
  })
  .meta({
    description:
      'Retries failed calls, on another target if there is one. Only if that is safe, and before the first byte of a response was passed on. Retries add at most a fifth to the requests.',
  })

const SERVICE_PATTERN = '^$|^[A-Za-z_][A-Za-z0-9_.]*$'

function parseServiceName(found: unknown): Parsed<string> {
  const allowed = 'the full name of a service, such as shop.inventory.v1.Inventory'
  if (typeof found !== 'string') return notText(found, allowed)
  return new RegExp(SERVICE_PATTERN).test(found) ? { value: found } : refuse('is not the name of a service', allowed)
}

const healthCheckSchema = z
  .strictObject({
    path: field(parseProbePath, {
      description: 'Path of the check request (`GET`), with query. A status below 400 passes.',
      value: 'path',
      type: 'string',
      pattern: PROBE_PATH_PATTERN,
      examples: ['/healthz'],
    }).optional(),
    grpc: z
      .strictObject({
        service: field(parseServiceName, {
          description: 'Service whose health is checked. Left out: the whole server.',
          value: 'full name of a service',
          type: 'string',
          pattern: SERVICE_PATTERN,
          examples: ['shop.inventory.v1.Inventory'],
        }).prefault(''),
      })
      .optional()
      .meta({
        description:
          'Asks by the gRPC health checking protocol (`grpc.health.v1.Health/Check`) instead of `path`. SERVING passes. Needs `protocol` h2c, h2 or auto.',
      }),
    host: hostField(
      "What a target gets as `Host`: `target` or a name. Left out: the upstream's `host`; if that is `client`, the target's own.",
      '`target`, host name',
      ['shop.example'],
    ).optional(),
    headers: z
      .record(headerName(parseRequestEditName), headerValue)
      .prefault({})
      .transform(map => toFields(map))
      .meta({ description: 'Header fields of the request, by name.', value: 'map of names to values' }),
    interval: durationField('Interval between two checks, plus or minus a tenth.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('5s'),
    timeout: durationField('Timeout for the whole response.', { atLeast: '1ms', atMost: '1h' }).prefault('2s'),
    healthyAfter: numberField('Consecutive passed checks after which an unhealthy target is reinstated.', {
      atLeast: 1,
      atMost: 100,
    }).prefault(2),
    unhealthyAfter: numberField('Consecutive failed checks after which a target is ejected.', {
      atLeast: 1,
      atMost: 100,
    }).prefault(3),
  })
  .meta({ description: 'Checks the health of every target, over separate connections.' })

const circuitBreakerSchema = z
  .strictObject({
    failures: numberField('Consecutive failures that open the circuit: the target gets no requests.', {
      atLeast: 1,
      atMost: 1_000,
    }).prefault(5),
    openFor: durationField('How long the circuit stays open. Then one request at a time tests the target.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('10s'),
    conditions: z
      .array(field(parseFailureKind, FAILURE_KIND))
      .min(1)
      .prefault(['connect', 'reset', 'response_timeout', 'bad_response', 502, 503, 504])
      .meta({
        description:
          'What counts as a failure, as in `retries.conditions`. The default does not include `500`, because one broken page would then disable all others.',
        value: 'list of failures',
      }),
  })
  .meta({
    description:
      'Stops requests to a target that fails repeatedly, even to the last one; the answer is then 503, reason `circuit_open`.',
  })

const ejectionSchema = z
  .strictObject({
    failures: numberField(
      'Consecutive failures after which a target is ejected. A single refused connection also ejects it. `0`: no target is ejected.',
      { atLeast: 0, atMost: 1_000 },
    ).prefault(5),
    for: durationField('How long it is ejected. Then one request at a time tests the target.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('10s'),
    conditions: z
      .array(field(parseFailureKind, FAILURE_KIND))
      .min(1)
      .prefault(['connect', 'reset', 'response_timeout', 'bad_response', 500, 502, 503, 504])
      .meta({ description: 'What counts as a failure.' }),
  })
  .meta({
    description:
      'Ejects a target that fails while other targets do not. Has no effect with one target or with `circuitBreaker`.',
  })

const PROTOCOL_SPELLINGS = {
  http: 'http1',
  'http/1.1': 'http1',
  'http1.1': 'http1',
  http2: 'h2',
  'http/2': 'h2',
  grpc: 'h2c',
  grpcs: 'h2',
  alpn: 'auto',
} as const

export const http2UpstreamSchema = z
  .strictObject({
    maxConnections: numberField('Maximum connections to each target. Another one is opened when all are full.', {
      atLeast: 1,
      atMost: 1_000,
    }).prefault(4),
    maxStreams: numberField(
      'Requests at once on one connection; fewer where the target allows fewer (SETTINGS_MAX_CONCURRENT_STREAMS). Further requests wait, as with `maxConnections` of HTTP/1.1.',
      { atLeast: 1, atMost: 10_000 },
    ).prefault(100),
  })
  .meta({ description: 'Connections over HTTP/2. They replace `maxConnections`.' })

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

export const tlsSchema = z
  .strictObject({
    ca: fileField(
      'PEM file with the certificate authorities for https targets, instead of those that Node trusts. The gateway reads this file and the two below every 5 s and uses new contents for new connections ([more](tls.md#renewal)).',
    ).optional(),
    cert: fileField('PEM file with the client certificate, for mutual TLS. Needs `key`.').optional(),
    key: fileField('PEM file with its private key, without a passphrase.').optional(),
    serverName: field(parseServerName, {
      description: 'Server name for SNI and certificate verification. Left out: the host of the target.',
      value: 'host name',
      type: 'string',
      examples: ['orders.internal'],
    }).optional(),
  })
  .meta({ description: 'TLS to https targets. Paths of PEM files, relative to the working directory.' })

const affinitySchema = z
  .strictObject({
    cookie: z
      .strictObject({
        name: field(parseOwnCookieName, {
          description: 'Name of the cookie. Left out: `gateway-target-` and the name of the upstream.',
          type: 'string',
          pattern: COOKIE_NAME_PATTERN,
        }).optional(),
        ttl: durationField('How long it is valid. Left out: until the browser is closed.', {
          atLeast: '1s',
        }).optional(),
        secret: field(parseAffinitySecret, {
          description:
            'Key of the hash in the cookie, the same on all replicas. Without it, a client that knows the name of the upstream can test whether its target has a certain address.',
          value: 'text, at least 16 characters',
          type: 'string',
          examples: ['${AFFINITY_SECRET}'],
        }).optional(),
      })
      .prefault({})
      .meta({ description: 'A cookie with a hash of the target: `HttpOnly`, `SameSite=Lax`, and `Secure` over TLS.' }),
  })
  .meta({
    description:
      'Keeps a client at its target while that is in service ([more](canary.md#sticky-targets)). Other clients are balanced by `balance`.',
  })

const discoverySchema = z
  .strictObject({
    resolvers: z
      .array(
        field(parseResolver, {
          description: 'Address of a name server, with or without a port.',
          type: 'string',
          examples: ['127.0.0.1:8600'],
        }),
      )
      .min(1)
      .max(10)
      .optional()
      .meta({
        description: 'Name servers for `dns` and `srv`. Left out: those of the system.',
        value: 'list of addresses',
      }),
    refresh: durationField(
      'Maximum time between two questions to name servers. A shorter time to live (TTL) of the addresses counts, down to a second.',
      { atLeast: '10ms', atMost: '1h' },
    ).prefault('10s'),
    kubernetes: z
      .strictObject({
        server: field(parseApiServer, {
          description:
            'The API server. Left out: the one of the cluster that the gateway runs in (`KUBERNETES_SERVICE_HOST`). http only on this machine, for `kubectl proxy`.',
          value: 'origin',
          type: 'string',
          examples: ['https://10.96.0.1:443'],
        }).optional(),
        credentials: fileField(
          'Folder with `token`, `ca.crt` and `namespace`, read again before each request. Left out: `/var/run/secrets/kubernetes.io/serviceaccount`, where Kubernetes mounts those of a pod.',
        ).optional(),
      })
      .optional()
      .meta({ description: 'The cluster that `kubernetes` targets are found in.' }),
  })
  .meta({ description: 'How targets are found by `dns`, `srv` and `kubernetes` ([more](upstreams.md#discovery)).' })

export const upstreamSchema = z
  .strictObject({
    targets: z
      .array(
        field(parseTargetOrSource, {
          description:
            'Scheme, host and port; the path comes from the request. Optional weight, by default 1. Or a source of targets.',
          anyOf: TARGET_OR_SOURCE_FORMS,
          examples: ['http://127.0.0.1:9001'],
        }),
      )
      .min(1)
      .meta({
        description:
          'The servers of the upstream: scheme, host and port, or these with a weight from 1 to 1000: `{ url: http://127.0.0.1:9001, weight: 2 }`. Or where they are found: `{ dns: http://orders.internal:8080 }`, `{ srv: _http._tcp.orders.internal }`, `{ kubernetes: orders }`, `{ file: targets.yaml }` ([more](upstreams.md#discovery)).',
        value: 'list of origins and sources',
      }),
    discovery: discoverySchema.prefault({}),
    host: hostField(
      'What targets get as `Host`: their own (`target`), the one that the client asked for (`client`), or a name. `host` of a route overrides this ([more](#what-upstreams-are-told)).',
      '`target`, `client`, host name',
      ['target', 'client', 'shop.internal'],
    ).prefault('target'),
    balance: field(choice(['round-robin', 'least-requests', 'hash'], BALANCE_SPELLINGS), {
      description:
        'Load balancing: in turn (`round-robin`), the less busy of two random targets (`least-requests`), or always the same target for the same `hashKey` (`hash`). All use weights.',
      type: 'string',
      enum: ['round-robin', 'least-requests', 'hash'],
    }).prefault('round-robin'),
    hashKey: field(parseHashKey, {
      description:
        'Hash key for `balance: hash`. Adding or removing a target moves only the requests of that target. If the header is missing, the client address is used.',
      value: '`client`, `header:NAME`, or list',
      anyOf: [HASH_KEY_PART, { type: 'array', items: HASH_KEY_PART, minItems: 1 }],
      examples: ['client', 'header:x-tenant'],
    }).prefault('client'),
    affinity: affinitySchema.optional(),
    timeouts: z
      .strictObject({
        connect: durationField('Timeout for opening a connection; above it 504, reason `connect_timeout`.', {
          atLeast: '1ms',
          atMost: '1h',
        }).prefault('1s'),
        response: responseTimeout.prefault('30s'),
        idle: idleTimeout.optional(),
        total: totalTimeout.optional(),
      })
      .prefault({})
      .meta({ description: 'Timeouts of calls to the upstream.' }),
    protocol: field(choice(['http1', 'h2', 'h2c', 'auto'], PROTOCOL_SPELLINGS), {
      description:
        'Protocol of the connections: HTTP/1.1 (`http1`), HTTP/2 over TLS (`h2`), HTTP/2 without TLS (`h2c`), or what an https target chooses in the handshake (`auto`). gRPC needs HTTP/2 ([more](protocols.md#upstreams)).',
      type: 'string',
      enum: ['http1', 'h2', 'h2c', 'auto'],
    }).prefault('http1'),
    http2: http2UpstreamSchema.prefault({}),
    maxConnections: numberField(
      'Maximum connections to each target over HTTP/1.1. Further requests wait, at most for `timeouts.connect` plus `timeouts.response`, and at most ten times as many requests as connections (at least 100). Above either, 503, reason `overloaded`.',
      {
        atLeast: 1,
        atMost: 10_000,
      },
    ).prefault(128),
    maxHeaderSize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description: "Maximum size of a response's header section; above it 502, reason `bad_response`.",
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('16KiB'),
    fairness: z
      .strictObject({
        reserve: numberField(
          'Percentage of the connections reserved for clients below their share; with 8 connections or more at least one. `0`: none.',
          { atLeast: 0, atMost: 50 },
        ).prefault(10),
        streams: numberField(
          'Maximum percentage of the connections that event streams of one client may hold while other clients wait.',
          { atLeast: 1, atMost: 100 },
        ).prefault(50),
      })
      .prefault({})
      .meta({
        description:
          'How clients share the connections to each target. A client is a consumer, or else an address (IPv6: a /56 block).',
      }),
    connectionLifetime: durationField(
      'Maximum lifetime of a connection to a target with a host name, so that the name is resolved again. Connections to IP addresses are kept.',
      { atLeast: '10ms' },
    ).prefault('1m'),
    tls: tlsSchema.optional(),
    healthCheck: healthCheckSchema.optional(),
    retries: retriesSchema.optional(),
    circuitBreaker: circuitBreakerSchema.optional(),
    ejection: ejectionSchema.prefault({}),
    panicThreshold: numberField(
      'Percentage of targets in service below which all targets that accept connections get requests. `0`: never.',
      {
        atLeast: 0,
        atMost: 100,
      },
    ).prefault(50),
    without: z.array(z.string()).prefault([]).meta({
      description: 'Keys that the upstream does not take from `defaults.upstreams`.',
      value: 'list of keys',
    }),
  })
  .meta({ description: 'A backend: servers that answer the same requests.' })
