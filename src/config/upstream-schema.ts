import { z } from 'zod'
import { choice } from './values/choice'
import { FAILURE_KINDS, parseFailureKind } from './values/failure-kind'
import { field } from './values/field'
import { parseHashKey } from './values/rate-limit-key'
import { parseProbePath, PROBE_PATH_PATTERN } from './values/probe-path'
import { size, SIZE_PATTERN } from './values/size'
import { parseServerName } from './values/tls'
import { parseTarget, TARGET_FORMS } from './values/target'
import {
  durationField,
  numberField,
  HASH_KEY_PART,
  responseTimeout,
  idleTimeout,
  totalTimeout,
  fileField,
} from './fields'

const FAILURE_KIND = {
  description:
    'How a call fails: no connection (connect), a connection that breaks, no answer in time, none that is valid, a status.',
  anyOf: [{ enum: FAILURE_KINDS }, { type: 'string', pattern: '^50[0234]$|\\$\\{' }],
}

const retriesSchema = z
  .strictObject({
    attempts: numberField('Calls for one request in all, the first included.', { atLeast: 1, atMost: 10 }),
    conditions: z.array(field(parseFailureKind, FAILURE_KIND)).min(1).prefault(['connect', 'reset', 502, 503]).meta({
      description:
        'After which failures (`on`, its older name, works with a warning): `connect` (refused, out of reach, too slow, name unknown, no TLS), `reset`, `response_timeout`, `bad_response`, `500`, `502`, `503`, `504`.',
      value: 'list of failures',
    }),
  })
  .meta({
    description:
      'Failed calls are tried again, on another target where there is one: only where that is safe, and only before the first byte of a response was passed on. Retries add at most a fifth to the requests.',
  })

const healthCheckSchema = z
  .strictObject({
    path: field(parseProbePath, {
      description:
        'What every target is asked for with `GET`; below 400 the check has passed. Sent as it is written, query and all.',
      value: 'path',
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
    openFor: durationField('For how long it is not asked. Then one request at a time shows whether it is back.', {
      atLeast: '10ms',
      atMost: '1h',
    }).prefault('10s'),
    conditions: z
      .array(field(parseFailureKind, FAILURE_KIND))
      .min(1)
      .prefault(['connect', 'reset', 'response_timeout', 'bad_response', 502, 503, 504])
      .meta({
        description:
          'What counts as a failure, in the words of `retries.conditions`. `500` is not there by default: one broken page would take the others with it.',
        value: 'list of failures',
      }),
  })
  .meta({
    description:
      'Spares a target that fails again and again, also the last one: requests are then answered with 503 circuit_open.',
  })

const ejectionSchema = z
  .strictObject({
    failures: numberField(
      'Failures in a row after which a target gets no requests. A refused connection is enough by itself. 0: no target is ejected.',
      { atLeast: 0, atMost: 1_000 },
    ).prefault(5),
    for: durationField('For how long; then one request at a time shows whether the target is back.', {
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
      'Takes a target that fails out of service while others of the upstream do not fail. Without effect with one target, and with circuitBreaker.',
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

export const tlsSchema = z
  .strictObject({
    ca: fileField(
      'Who may have signed the certificate of an https target, in the place of the authorities Node knows. PEM, as the other files; read at the start.',
    ).optional(),
    cert: fileField("The gateway's own certificate, for targets that ask for one. With `key`.").optional(),
    key: fileField('Its private key, without a passphrase.').optional(),
    serverName: field(parseServerName, {
      description:
        "The name that is asked for (SNI) and that the certificate must be for. Left out: the target's host.",
      value: 'host name',
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
      .meta({
        description:
          'The servers that answer, each scheme, host and port alone, or that with a weight from 1 to 1000: `{ url: http://127.0.0.1:9001, weight: 2 }`. Requests are spread over them.',
        value: 'list of origins',
      }),
    balance: field(choice(['round-robin', 'least-requests', 'hash'], BALANCE_SPELLINGS), {
      description:
        'Which target gets a request: each in its turn; the less busy of two that are drawn; or the same for the same `hashKey`. Weights count with each of them.',
      type: 'string',
      enum: ['round-robin', 'least-requests', 'hash'],
    }).prefault('round-robin'),
    hashKey: field(parseHashKey, {
      description:
        "With `hash`: what always goes to the same target. A target that goes or comes moves only its own share. Without the header, the client's address.",
      value: '`client`, `header:NAME`, or list',
      anyOf: [HASH_KEY_PART, { type: 'array', items: HASH_KEY_PART, minItems: 1 }],
      examples: ['client', 'header:x-tenant'],
    }).prefault('client'),
    timeouts: z
      .strictObject({
        connect: durationField('How long opening a connection may take; above it 504, reason `connect_timeout`.', {
          atLeast: '1ms',
          atMost: '1h',
        }).prefault('1s'),
        response: responseTimeout.prefault('30s'),
        idle: idleTimeout.optional(),
        total: totalTimeout.optional(),
      })
      .prefault({})
      .meta({ description: 'How long the upstream may take.' }),
    maxConnections: numberField(
      'Connections to each target; requests above it wait their turn: for `timeouts.connect` and `timeouts.response` together, ten times as many requests as connections (at least 100). Above either 503, reason `overloaded`.',
      {
        atLeast: 1,
        atMost: 10_000,
      },
    ).prefault(128),
    maxHeaderSize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description: "Bytes of a response's header section; above it 502 bad_response.",
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('16KiB'),
    fairness: z
      .strictObject({
        reserve: numberField(
          'Percent of the connections that only clients below their share may take; with 8 connections or more at least one. 0: none.',
          { atLeast: 0, atMost: 50 },
        ).prefault(10),
        streams: numberField(
          'Percent of the connections that event streams of one client may keep while other clients wait.',
          { atLeast: 1, atMost: 100 },
        ).prefault(50),
      })
      .prefault({})
      .meta({
        description:
          'How clients share the connections to each target. A client is a consumer, or else an address (IPv6: its /56 block).',
      }),
    connectionLifetime: durationField(
      'How long a connection to a target that is a name is used, so that the name is looked up again. One to an address is kept.',
      { atLeast: '10ms' },
    ).prefault('1m'),
    tls: tlsSchema.optional(),
    healthCheck: healthCheckSchema.optional(),
    retries: retriesSchema.optional(),
    circuitBreaker: circuitBreakerSchema.optional(),
    ejection: ejectionSchema.prefault({}),
    panicThreshold: numberField(
      'Percent of the targets: when fewer are in service, all that take connections are asked. `0`: never.',
      {
        atLeast: 0,
        atMost: 100,
      },
    ).prefault(50),
  })
  .meta({ description: 'One backend: servers that can stand in for each other.' })
