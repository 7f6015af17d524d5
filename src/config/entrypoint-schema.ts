import { z } from 'zod'
import { accessSchema } from '../policies/access/schema'
import { maintenanceField } from '../policies/maintenance/schema'
import { maxBodySizeField } from '../policies/max-body-size/schema'
import { choice } from './values/choice'
import { field } from './values/field'
import { parseTlsVersion } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { durationField, fileField, numberField, sizeField, trustedProxy } from './fields'

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

export const responseBufferSchema = z
  .strictObject({
    perResponse: sizeField('Bytes of one response that may wait for its client. 0B: none.', {
      atLeast: '0B',
      atMost: '1GiB',
    }).prefault('1MiB'),
    total: sizeField('Bytes of all responses together that may wait for their clients.', {
      atLeast: '0B',
      atMost: '1024GiB',
    }).prefault('64MiB'),
  })
  .meta({
    description:
      'What waits in the gateway of responses whose clients read slowly, so that the connection to the upstream is free for other requests. Above a bound the upstream waits for the client.',
  })

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
    minDownloadRate: sizeField(
      'Bytes a second that a client must read, over stallTimeout, while bytes of a response wait for it; a slower client is disconnected. 0B: any.',
      { atLeast: '0B', atMost: '1GiB' },
    ).prefault('1KiB'),
    responseBuffer: responseBufferSchema.prefault({}),
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
    maxBodySize: maxBodySizeField(
      "Bytes of a request's body, at the most; above it 413. A route may have a bound of its own. Left out: no bound.",
    ).optional(),
    overload: overloadSchema.prefault({}),
    access: accessSchema.optional().meta({
      description: 'Which clients are let in, by address; all others get 403. /metrics has rules of its own.',
    }),
    maintenance: maintenanceField(
      'Turn the requests of every route down with 503, those aside that say maintenance: false.',
    ).prefault(false),
    tls: entrypointTlsSchema.optional(),
    maxConnections: numberField('Client connections open at once, at the most; more are closed at once.', {
      atLeast: 1,
      atMost: 1_000_000,
    }).prefault(10_000),
    maxConnectionsPerClient: numberField(
      'Connections open at once from one address (IPv6: one /56 block); more are closed at once. trustedProxies have no such bound. Left out: 90 % of maxConnections.',
      { atLeast: 1, atMost: 1_000_000 },
    ).optional(),
  })
  .meta({ description: 'The port clients connect to, and its limits.' })
