import { z } from 'zod'
import { accessListsSchema } from '../policies/access/schema'
import { maintenanceField } from '../policies/maintenance/schema'
import { maxBodySizeField } from '../policies/max-body-size/schema'
import { DEFAULT_MIN_UPLOAD_RATE, minUploadRateField } from '../policies/min-upload-rate/schema'
import { choice, parseFlag } from './values/choice'
import { field } from './values/field'
import { HEADER_NAME_PATTERN, parseProxyOnlyName, PROXY_ONLY_HEADERS } from './values/header'
import { parseCipher, parseTlsVersion, TLS_12_CIPHERS } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { durationField, fileField, numberField, sizeField, trustedProxy } from './fields'

const overloadSchema = z
  .strictObject({
    maxRequests: numberField(
      'Requests in flight, event streams included; above it 503, reason `shed`, with `Retry-After`. `0`: no bound.',
      {
        atLeast: 0,
        atMost: 1_000_000,
      },
    ).prefault(10_000),
    maxEventLoopDelay: durationField(
      'How late the event loop may be. While it is later, a share of all requests gets 503 `shed`, and the share grows until it is not; then it shrinks again, over seconds. `0s`: no bound.',
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
    cert: fileField(
      'With `tls` the port speaks HTTPS in place of HTTP. The certificate, followed by those that lead to an authority that clients know; PEM. Both files are read again every 5 s, and a new certificate is used without a restart ([more](operations.md#certificates)).',
    ),
    key: fileField('Its private key, without a passphrase; PEM.'),
    minVersion: field(parseTlsVersion, {
      description: 'The oldest version of TLS that is spoken. A handshake may take as long as `headersTimeout`.',
      value: '`1.2`, `1.3`',
      anyOf: [{ enum: ['1.2', '1.3', 1.2, 1.3] }, { type: 'string', pattern: '\\$\\{' }],
    }).prefault('1.2'),
    ciphers: z
      .array(field(parseCipher, { description: "A suite by OpenSSL's name.", type: 'string' }))
      .min(1)
      .prefault([...TLS_12_CIPHERS])
      .meta({
        description:
          'Suites for TLS 1.2. By default those with forward secrecy and authenticated encryption. TLS 1.3 has its own.',
      }),
  })
  .meta({
    description:
      'HTTPS in place of HTTP. Paths of PEM files, relative to the working directory, read again when they change.',
  })

export const entrypointSchema = z
  .strictObject({
    trustedProxies: z.array(trustedProxy).prefault([]).meta({
      description:
        "Whose `X-Forwarded-*` and `Forwarded` headers are believed. By default nobody's: the client is whoever opened the connection. Otherwise it is the last address in `X-Forwarded-For`, or where there is none in the `for=` of `Forwarded`, that is not one of these; what stands before something that is no address (`unknown`) is not looked at. Where both fields are there, `X-Forwarded-For` counts: a proxy that writes `Forwarded` has to remove what clients send of the other. A hop count, `true` and `0.0.0.0/0` are refused, because with them a client could choose its own address and so its own limits.",
      value: 'list of addresses and CIDR blocks',
    }),
    proxyOnlyHeaders: z
      .array(field(parseProxyOnlyName, { description: 'A field name.', type: 'string', pattern: HEADER_NAME_PATTERN }))
      .prefault([...PROXY_ONLY_HEADERS])
      .meta({
        description:
          'Header fields that upstreams believe and only a proxy should write: removed from requests that do not come from trustedProxies. X-Forwarded-*, X-Real-IP and Forwarded always are.',
      }),
    underscoreHeaders: field(parseFlag, {
      description:
        'Whether fields with _ in their names are forwarded from clients that are not trustedProxies. Many upstreams read Content_Length as Content-Length.',
      type: 'boolean',
    }).prefault(false),
    traceContext: field(choice(['all', 'trusted', 'none']), {
      description:
        "Whose trace is continued (`traceparent`, `tracestate`, `baggage`, B3 with `OTEL_PROPAGATORS`): every caller's, that of `trustedProxies`, or nobody's. Whoever is believed chooses the trace id and whether the trace is sampled, and its baggage reaches the upstream; of all others a new trace begins. With `TELEMETRY_HTTP_INSTRUMENTATION=stock` only `all` is possible.",
      type: 'string',
      enum: ['all', 'trusted', 'none'],
    }).prefault('all'),
    headersTimeout: durationField('How long a client may take to send its header section; above it 408.', {
      atLeast: '1ms',
      atMost: '1h',
    }).prefault('15s'),
    requestTimeout: durationField(
      'How long a client may take to send a whole request, body included; above it 408. `0s` is no bound: uploads and streams may take as long as they like, as long as `stallTimeout` and `minUploadRate` allow. Otherwise at least `headersTimeout`.',
      { atLeast: '0s' },
    ).prefault('0s'),
    stallTimeout: durationField(
      'How long a client may send nothing of a body that it owes (408, reason `request_timeout`), or read nothing of a response that is there for it (the connection is closed, reason `client_stalled`). Looked at as often as `timeouts.response` and `timeouts.idle`.',
      { atLeast: '100ms', atMost: '1h' },
    ).prefault('1m'),
    minUploadRate: minUploadRateField(
      'Bytes a second that a client must send of a body that it owes, with `Content-Length` or in chunks, on average over each `stallTimeout`; below it 408, reason `request_timeout`. An upload holds a connection to the upstream, and one that trickles would hold it for ever. Time in which the upstream does not take what has come is not counted. `0B`: no bound but `stallTimeout`.',
    ).prefault(DEFAULT_MIN_UPLOAD_RATE),
    minDownloadRate: sizeField(
      'Bytes a second that a client must read, over stallTimeout, while bytes of a response wait for it; a slower client is disconnected. 0B: any.',
      { atLeast: '0B', atMost: '1GiB' },
    ).prefault('1KiB'),
    responseBuffer: responseBufferSchema.prefault({}),
    keepAliveTimeout: durationField(
      'How long an idle connection is kept. Longer than the idle timeout of a load balancer in front (often 60 s), which would otherwise send requests into connections that are just closing.',
      { atLeast: '1ms' },
    ).prefault('65s'),
    maxHeaderSize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description: "Size of a request's header section, at the most; above it 431.",
      value: '`1KiB` to `1MiB`',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('16KiB'),
    maxHeaderFields: numberField("Fields of a request's header section, at the most; above it 431.", {
      atLeast: 10,
      atMost: 10_000,
    }).prefault(100),
    maxUrlLength: field(size({ atLeast: '64B', atMost: '1MiB' }), {
      description:
        'Length of a URL as it stands in the request line, at the most; above it 414. The URL is part of the header section: less than `maxHeaderSize`.',
      value: '`64B` to `1MiB`',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('8KiB'),
    maxBodySize: maxBodySizeField(
      "Size of a request's body, at the most; above it 413. Left out: no bound.",
    ).optional(),
    overload: overloadSchema.prefault({}),
    access: accessListsSchema(
      'Only these clients are let in, all others get 403. Empty: everybody. A client is who `trustedProxies` say it is. `/metrics` has further [rules of its own](#near-requests).',
    )
      .optional()
      .meta({
        description: 'Which clients are let in, by address; all others get 403. /metrics has further rules of its own.',
      }),
    metrics: field(parseFlag, {
      description: 'Whether /metrics is answered on this port. false: 404; the ops port always answers it.',
      type: 'boolean',
    }).prefault(true),
    maintenance: maintenanceField(
      'Turn the requests of every route down with 503, reason `maintenance`. A route with `maintenance: false` stays open.',
    ).prefault(false),
    tls: entrypointTlsSchema.optional(),
    maxConnections: numberField(
      'Client connections open at once; more are closed as they come, counted and logged. Fewer where the process may not open that many (`ulimit -n`): the start says so, and room is kept for upstreams and the ops port.',
      {
        atLeast: 1,
        atMost: 1_000_000,
      },
    ).prefault(10_000),
    maxConnectionsPerClient: numberField(
      'Connections open at once from one address (IPv6: one /56 block); more are closed at once. trustedProxies have no such bound. Left out: 90 % of maxConnections.',
      { atLeast: 1, atMost: 1_000_000 },
    ).optional(),
  })
  .meta({ description: 'The port clients connect to, and its limits.' })
