import { z } from 'zod'
import { accessLogField } from '../policies/access-log/schema'
import { accessListsSchema } from '../policies/access/schema'
import { maintenanceField } from '../policies/maintenance/schema'
import { telemetrySchema } from '../policies/telemetry/schema'
import { maxBodySizeField } from '../policies/max-body-size/schema'
import { DEFAULT_MIN_UPLOAD_RATE, minUploadRateField } from '../policies/min-upload-rate/schema'
import { errorPageField } from '../policies/error-page/schema'
import { parseProxyName, PROXY_NAME_PATTERN } from './values/proxy-name'
import { choice, parseFlag } from './values/choice'
import { field } from './values/field'
import { HEADER_NAME_PATTERN, parseIdHeaderName, parseProxyOnlyName, PROXY_ONLY_HEADERS } from './values/header'
import { parseCipher, parseTlsVersion } from './values/tls'
import { size, SIZE_PATTERN } from './values/size'
import { durationField, fileField, numberField, sizeField, trustedProxy } from './fields'

const overloadSchema = z
  .strictObject({
    maxRequests: numberField(
      'Maximum requests in flight, event streams included; above it 503, reason `shed`, with `Retry-After`. `0`: no bound.',
      {
        atLeast: 0,
        atMost: 1_000_000,
      },
    ).prefault(10_000),
    maxEventLoopDelay: durationField(
      'Maximum delay of the event loop. Above it, a growing share of all requests gets 503, reason `shed`; below it, the share shrinks again over seconds. `0s`: no bound.',
      { atLeast: '0s', atMost: '1m' },
    ).prefault('500ms'),
  })
  .meta({ description: 'Load at which the gateway sheds requests so that it can serve the others.' })

export const responseBufferSchema = z
  .strictObject({
    perResponse: sizeField('Maximum bytes of one response that wait for its client. `0B`: none.', {
      atLeast: '0B',
      atMost: '1GiB',
    }).prefault('1MiB'),
    total: sizeField('Maximum bytes of all responses together that wait for their clients.', {
      atLeast: '0B',
      atMost: '1024GiB',
    }).prefault('64MiB'),
  })
  .meta({
    description:
      'Buffer for responses whose clients read slowly. It frees the upstream connection for other requests. When it is full, the upstream waits for the client.',
  })

const CERT = 'PEM file with the certificate and its intermediate certificates'
const KEY = 'PEM file with its private key, without a passphrase.'

const clientCertificatesSchema = z
  .strictObject({
    ca: fileField(
      'PEM file with the authorities that sign certificates of clients. Authorities of the system are not trusted.',
    ),
    required: field(parseFlag, {
      description:
        'Whether a client without a certificate is refused in the handshake. `false`: it is served, and a route requires the certificate with `auth.certificate`. A certificate that is expired or of another authority is refused in both cases.',
      type: 'boolean',
    }).prefault(true),
    subject: field(choice(['cn', 'dn', 'uri', 'dns', 'email']), {
      description:
        'The part of the certificate that names its client: the common name, the whole distinguished name (RFC 4514), or the first URI, DNS name or email address of the subject alternative names ([more](tls.md#clients-with-a-certificate)).',
      type: 'string',
      enum: ['cn', 'dn', 'uri', 'dns', 'email'],
    }).prefault('cn'),
    forward: field(parseFlag, {
      description:
        'Whether upstreams get the certificate in `Client-Cert` (RFC 9440). `Client-Cert` and `Client-Cert-Chain` of clients are removed.',
      type: 'boolean',
    }).prefault(false),
  })
  .meta({ description: 'Certificates of clients (mutual TLS). Left out: clients are not asked for one.' })

const redirectHttpSchema = z
  .strictObject({
    port: numberField(
      'Port that answers plain HTTP with a redirect to https: 301 for GET and HEAD, else 308, with host, path and query kept. Requests below `/.well-known/acme-challenge/` are routed instead. It takes a tenth of `maxConnections`.',
      { atLeast: 1, atMost: 65_535 },
    ),
    httpsPort: numberField('Port of the https URL that clients are redirected to; 443 is left out of it.', {
      atLeast: 1,
      atMost: 65_535,
    }).prefault(443),
  })
  .meta({ description: 'A second port that redirects http to https.' })

export const certificateSchema = z.strictObject({ cert: fileField(`${CERT}.`), key: fileField(KEY) })

export const entrypointTlsSchema = z
  .strictObject({
    cert: fileField(
      `${CERT}. With \`tls\` the port serves HTTPS instead of HTTP. The gateway reads certificate files every 5 s and uses a new certificate without a restart ([more](tls.md#renewal)).`,
    ),
    key: fileField(KEY),
    certificates: z.array(certificateSchema).prefault([]).meta({
      description:
        'Further certificates. The client gets the one for the server name that it asks for (SNI): an exact DNS name of the certificate, else a wildcard. The first one in the file wins.',
    }),
    unknownNames: field(choice(['default', 'refuse']), {
      description:
        'What happens to a client that asks for a server name without a certificate: it gets the certificate above (`default`), or the handshake fails (`refuse`). A client that sends no server name gets the certificate above.',
      type: 'string',
      enum: ['default', 'refuse'],
    }).prefault('default'),
    minVersion: field(parseTlsVersion, {
      description: 'The oldest TLS version accepted. The timeout of a handshake is `headersTimeout`.',
      value: '`1.2`, `1.3`',
      anyOf: [{ enum: ['1.2', '1.3', 1.2, 1.3] }, { type: 'string', pattern: '\\$\\{' }],
    }).prefault('1.2'),
    profile: field(choice(['modern', 'intermediate']), {
      description:
        'Cipher suites for TLS 1.2: with forward secrecy and authenticated encryption only (`modern`), or also with CBC for clients from before about 2015 (`intermediate`) ([list](tls.md#versions-and-cipher-suites)).',
      type: 'string',
      enum: ['modern', 'intermediate'],
    }).prefault('modern'),
    ciphers: z
      .array(field(parseCipher, { description: "A suite by OpenSSL's name.", type: 'string' }))
      .min(1)
      .optional()
      .meta({
        description: 'Cipher suites for TLS 1.2 instead of those of `profile`. TLS 1.3 has its own suites.',
      }),
    clientCertificates: clientCertificatesSchema.optional(),
    redirectHttp: redirectHttpSchema.optional(),
  })
  .meta({
    description:
      'HTTPS instead of HTTP. Paths of PEM files, relative to the working directory; changed files are read again.',
  })

const http2Schema = z
  .strictObject({
    tls: field(parseFlag, {
      description:
        'Whether HTTP/2 is offered beside HTTP/1.1 where the port speaks TLS; the client chooses (ALPN). Without `tls` it has no effect ([more](protocols.md)).',
      type: 'boolean',
    }).prefault(true),
    cleartext: field(parseFlag, {
      description:
        'Whether a connection without TLS that begins with the preface of HTTP/2 speaks it (prior knowledge); all others speak HTTP/1.1. For clients behind a proxy or inside a cluster: browsers speak HTTP/2 over TLS only.',
      type: 'boolean',
    }).prefault(false),
    maxStreams: numberField('Maximum open requests on one connection. One more is refused with REFUSED_STREAM.', {
      atLeast: 1,
      atMost: 10_000,
    }).prefault(128),
    maxResets: numberField(
      'Maximum streams within 10 s that the client resets or that end because of its mistake. One more ends the connection with ENHANCE_YOUR_CALM (protection from rapid reset).',
      { atLeast: 1, atMost: 100_000 },
    ).prefault(200),
    maxControlFrames: numberField(
      'Maximum PING and SETTINGS frames of a client within 10 s. One more ends the connection with ENHANCE_YOUR_CALM.',
      { atLeast: 10, atMost: 1_000_000 },
    ).prefault(1_000),
    streamWindow: sizeField(
      'Bytes of a body that a client may send ahead of what the upstream takes, for each stream. A larger window makes uploads over long distances faster. One connection may use this much memory times `maxStreams`.',
      { atLeast: '16KiB', atMost: '16MiB' },
    ).prefault('64KiB'),
    connectionWindow: sizeField('The same for all streams of a connection together.', {
      atLeast: '64KiB',
      atMost: '64MiB',
    }).prefault('1MiB'),
    maxMemory: sizeField(
      'Maximum memory of one connection for streams, header sections and frames. Above it, new streams are refused. Rounded up to whole megabytes.',
      { atLeast: '1MiB', atMost: '1GiB' },
    ).prefault('10MiB'),
  })
  .meta({ description: 'HTTP/2 for clients, and the limits of one connection.' })

const requestIdSchema = z
  .strictObject({
    header: field(parseIdHeaderName, {
      description:
        'Field with the id of the request, in every response and in every call to an upstream. It replaces a field of this name that the client or the upstream wrote. An id from `trustedProxies` is kept; other requests get `TRACE-SPAN`, the ids of trace and span.',
      value: 'field name',
      type: 'string',
      pattern: HEADER_NAME_PATTERN,
    }).prefault('x-request-id'),
    traceHeader: field(parseIdHeaderName, {
      description: 'Field of the response that names its trace, in the form of `traceparent`.',
      value: 'field name',
      type: 'string',
      pattern: HEADER_NAME_PATTERN,
    }).prefault('traceresponse'),
    traceFor: field(choice(['all', 'trusted', 'none']), {
      description: 'Which clients get `traceHeader`: all, only `trustedProxies`, or none.',
      type: 'string',
      enum: ['all', 'trusted', 'none'],
    }).prefault('trusted'),
  })
  .meta({ description: 'Header fields of responses by which a request can be found later.' })

export const entrypointSchema = z
  .strictObject({
    trustedProxies: z.array(trustedProxy).prefault([]).meta({
      description:
        'Proxies whose `X-Forwarded-*` and `Forwarded` header fields are trusted. By default none: the client is the peer of the connection. Otherwise the client is the last address in `X-Forwarded-For` that is not one of these; without that field, in `for=` of `Forwarded`. Entries before one that is not an address (`unknown`) are ignored. If both fields are present, `X-Forwarded-For` is used, so a proxy that writes only `Forwarded` must remove the `X-Forwarded-For` of clients. A hop count, `true` and `0.0.0.0/0` are refused: with them a client could choose its own address, and thereby its limits.',
      value: 'list of addresses and CIDR blocks',
    }),
    proxyOnlyHeaders: z
      .array(field(parseProxyOnlyName, { description: 'A field name.', type: 'string', pattern: HEADER_NAME_PATTERN }))
      .prefault([...PROXY_ONLY_HEADERS])
      .meta({
        description:
          'Header fields that only a proxy should set, because upstreams trust them. They are removed from requests that do not come from `trustedProxies`. `X-Forwarded-*`, `X-Real-IP` and `Forwarded` are always removed from such requests.',
      }),
    underscoreHeaders: field(parseFlag, {
      description:
        'Whether header fields with `_` in their names are forwarded from clients that are not `trustedProxies`. Many upstreams read `Content_Length` as `Content-Length`.',
      type: 'boolean',
    }).prefault(false),
    traceContext: field(choice(['all', 'trusted', 'none']), {
      description:
        "Which callers' traces are continued (`traceparent`, `tracestate`, `baggage`, B3 with `OTEL_PROPAGATORS`): those of all callers, of `trustedProxies`, or none. For these callers the gateway keeps their trace id, their sampling decision and their baggage. Other callers start a new trace. With `TELEMETRY_HTTP_INSTRUMENTATION=stock` only `all` is possible.",
      type: 'string',
      enum: ['all', 'trusted', 'none'],
    }).prefault('all'),
    requestId: requestIdSchema.prefault({}),
    errorPage: errorPageField(
      'HTML file for browsers when the gateway answers with an error. Left out: a plain page of the gateway ([more](errors.md#the-answer)).',
    ).optional(),
    accessLog: accessLogField(
      'How requests are logged on standard output: `true` (a line of JSON for each), `false`, or `format`, `fields` and `sample` ([more](telemetry.md#fields-of-the-access-log)).',
    ).optional(),
    proxyStatus: field(parseProxyName, {
      description:
        'Name of this gateway in `Proxy-Status` (RFC 9209), which says why it answered with an error. `true`: `myesi-gateway`. `false`: the field is not sent.',
      value: '`true`, `false`, or token',
      anyOf: [{ type: 'boolean' }, { type: 'string', pattern: PROXY_NAME_PATTERN }],
    }).prefault(false),
    headersTimeout: durationField('Maximum time for a client to send the header section; above it 408.', {
      atLeast: '1ms',
      atMost: '1h',
    }).prefault('15s'),
    requestTimeout: durationField(
      'Maximum time for a client to send a whole request with its body; above it 408. At least `headersTimeout`. `0s`: no bound; `stallTimeout` and `minUploadRate` still apply. `timeouts.total` sets a bound for a single route.',
      { atLeast: '0s' },
    ).prefault('0s'),
    stallTimeout: durationField(
      'How long a client may send nothing of an unfinished body (then 408, reason `request_timeout`) or read nothing of a waiting response (then the connection is closed, reason `client_stalled`). Checked as often as `timeouts.response` and `timeouts.idle`.',
      { atLeast: '100ms', atMost: '1h' },
    ).prefault('1m'),
    minUploadRate: minUploadRateField(
      'Minimum bytes per second that a client must send of a request body, averaged over each `stallTimeout`; below it 408, reason `request_timeout`. It keeps slow uploads from holding upstream connections. Time in which the upstream does not read is not counted. `0B`: no minimum.',
    ).prefault(DEFAULT_MIN_UPLOAD_RATE),
    minDownloadRate: sizeField(
      'Minimum bytes per second that a client must read while a response waits for it, averaged over `stallTimeout`. A slower client is disconnected. `0B`: no minimum.',
      { atLeast: '0B', atMost: '1GiB' },
    ).prefault('1KiB'),
    responseBuffer: responseBufferSchema.prefault({}),
    keepAliveTimeout: durationField(
      'How long an idle client connection is kept. Use more than the idle timeout of a load balancer in front (often 60 s); otherwise it sends requests on connections that are closing.',
      { atLeast: '1ms' },
    ).prefault('65s'),
    maxHeaderSize: field(size({ atLeast: '1KiB', atMost: '1MiB' }), {
      description: "Maximum size of a request's header section; above it 431.",
      value: '`1KiB` to `1MiB`',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('16KiB'),
    maxHeaderFields: numberField('Maximum number of header fields of a request; above it 431.', {
      atLeast: 10,
      atMost: 10_000,
    }).prefault(100),
    maxUrlLength: field(size({ atLeast: '64B', atMost: '1MiB' }), {
      description:
        'Maximum length of the URL in the request line; above it 414. Must be less than `maxHeaderSize`, because the URL is part of the header section.',
      value: '`64B` to `1MiB`',
      type: 'string',
      pattern: SIZE_PATTERN,
    }).prefault('8KiB'),
    maxBodySize: maxBodySizeField("Maximum size of a request's body; above it 413. Left out: no bound.").optional(),
    overload: overloadSchema.prefault({}),
    access: accessListsSchema(
      'Only these clients are allowed; others get 403. Empty: all clients. Behind `trustedProxies` the client is the address that they report. `/metrics` has [additional rules](#near-requests).',
    )
      .optional()
      .meta({
        description: 'Which client addresses are allowed; others get 403. /metrics has additional rules.',
      }),
    metrics: field(parseFlag, {
      description: 'Whether this port serves `/metrics`. `false`: 404; the ops port always serves it.',
      type: 'boolean',
    }).prefault(true),
    telemetry: telemetrySchema('Sampling of routes without a `telemetry` key of their own.').optional(),
    maintenance: maintenanceField(
      'Answers requests to all routes with 503, reason `maintenance`, except routes with `maintenance: false`.',
    ).prefault(false),
    tls: entrypointTlsSchema.optional(),
    http2: http2Schema.prefault({}),
    maxConnections: numberField(
      'Maximum open client connections. Further ones are closed, counted and logged. If the process may open fewer (`ulimit -n`), the limit is lower, to leave room for upstreams and the ops port; a log line at start says so.',
      {
        atLeast: 1,
        atMost: 1_000_000,
      },
    ).prefault(10_000),
    maxConnectionsPerClient: numberField(
      'Maximum open connections from one address (IPv6: one /56 block). Further ones are closed. Does not apply to `trustedProxies`. Left out: 90 % of `maxConnections`.',
      { atLeast: 1, atMost: 1_000_000 },
    ).optional(),
    maxWebSocketsPerClient: numberField(
      'Maximum open WebSockets of one client (IPv6: one /56 block), also behind `trustedProxies` and on one HTTP/2 connection; further ones get 429, reason `limited`. Left out: same as `maxConnectionsPerClient`.',
      { atLeast: 1, atMost: 1_000_000 },
    ).optional(),
  })
  .meta({ description: 'The port for clients, and its limits.' })
