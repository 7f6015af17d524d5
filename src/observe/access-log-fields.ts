import type { TLSSocket } from 'node:tls'
import { bodyBytesOf } from '../entrypoint/express-messages'
import { errorCode, toError } from '../errors/error-code'
import { STANDARD_FIELDS, type AccessLogField, type AccessLogSettings } from '../exchange/access-log-settings'
import type { Exchange } from '../exchange/exchange'
import { schemeOf } from '../exchange/peer'
import { eventLoopDelay } from '../process/event-loop-delay'
import * as semconv from '../telemetry/semconv'
import { rpcStatusOf } from './rpc'

/** Maximum characters of a text that the client chose. */
const MAX_CHARACTERS = 1_024

/** Writes the fields of a line as JSON members, each with a comma before it. */
export type WriteFields = (exchange: Exchange) => string

type Value = string | number | object | undefined

/** A field: its short name, its name in the conventions, its value. */
interface Field {
  /** Undefined: only in lines with the names of the conventions. */
  readonly name: string | undefined
  /** Undefined: only in lines with short names. */
  readonly semconv: string | undefined
  readonly valueOf: (exchange: Exchange) => Value
}

type Single = Exclude<AccessLogField, 'default'>

const FIELDS: Readonly<Record<Single, readonly Field[]>> = {
  request_id: one('request_id', semconv.ATTR_REQUEST_ID, ({ requestId }) => requestId || undefined),
  method: one('method', semconv.ATTR_HTTP_REQUEST_METHOD, ({ request }) => request.method),
  path: one('path', semconv.ATTR_URL_PATH, ({ path }) => path),
  route: one('route', semconv.ATTR_HTTP_ROUTE, ({ route }) => route?.template),
  upstream: one('upstream', semconv.ATTR_UPSTREAM_NAME, ({ route }) => route?.upstreamName),
  variant: one('variant', semconv.ATTR_VARIANT, ({ route }) => route?.variant),
  status: one('status', semconv.ATTR_HTTP_RESPONSE_STATUS_CODE, ({ statusCode }) => statusCode),
  outcome: one('outcome', semconv.ATTR_OUTCOME, ({ outcome }) => outcome),
  reason: one('reason', semconv.ATTR_REASON, ({ reason }) => reason),
  grpc_status: one('grpc_status', semconv.ATTR_RPC_STATUS_CODE, exchange =>
    exchange.grpc === undefined ? undefined : rpcStatusOf(exchange, exchange.grpc),
  ),
  consumer: one('consumer', semconv.ATTR_CONSUMER_NAME, ({ consumer }) => consumer?.name),
  external_auth: one('external_auth', semconv.ATTR_EXTERNAL_AUTH_RESULT, ({ authorizerFailed }) =>
    authorizerFailed ? 'failed_open' : undefined,
  ),
  client: one('client', semconv.ATTR_CLIENT_ADDRESS, ({ clientAddress }) => clientAddress || undefined),
  stream: [
    field('stream', semconv.ATTR_STREAM, ({ stream }) => stream),
    field('ended_by', semconv.ATTR_STREAM_ENDED_BY, ({ tunnel }) => tunnel && (tunnel.endedBy ?? 'gateway')),
    field('bytes_in', semconv.ATTR_STREAM_BYTES_IN, ({ tunnel }) => tunnel?.bytesIn),
    field('bytes_out', semconv.ATTR_STREAM_BYTES_OUT, ({ tunnel }) => tunnel?.bytesOut),
  ],
  // The conventions have durations in seconds, as metrics; the name says what the number is.
  duration_ms: one('duration_ms', 'gateway.request.duration_ms', ({ startedAt }) =>
    rounded(performance.now() - startedAt),
  ),
  event_loop_delay_ms: one('event_loop_delay_ms', 'gateway.event_loop.delay_ms', ({ startedAt }) => {
    return eventLoopDelay.during(startedAt, performance.now()) || undefined
  }),
  error: [
    {
      name: 'error',
      semconv: undefined,
      valueOf: ({ cause }) => (cause === undefined ? undefined : { code: errorCode(cause), message: messageOf(cause) }),
    },
    {
      name: undefined,
      semconv: semconv.ATTR_ERROR_TYPE,
      valueOf: ({ outcome, reason }) => (outcome === 'fault' ? reason : undefined),
    },
    { name: undefined, semconv: 'exception.message', valueOf: ({ cause }) => messageOf(cause) },
  ],
  target: one('target', 'gateway.upstream.target', ({ target }) => target),
  attempts: one('attempts', 'gateway.upstream.attempts', ({ attempts }) => attempts),
  upstream_ms: one('upstream_ms', 'gateway.upstream.duration_ms', ({ upstreamMs }) =>
    upstreamMs === undefined ? undefined : rounded(upstreamMs),
  ),
  host: one('host', semconv.ATTR_SERVER_ADDRESS, ({ host }) => host || undefined),
  scheme: one('scheme', semconv.ATTR_URL_SCHEME, ({ request }) => schemeOf(request)),
  protocol: one('protocol', semconv.ATTR_NETWORK_PROTOCOL_VERSION, ({ request }) => versionOf(request.httpVersion)),
  tls: one('tls', 'tls.protocol.version', ({ request }) => tlsVersionOf(request.socket as Partial<TLSSocket>)),
  bytes: one('bytes', 'http.response.body.size', bytesOf),
  request_bytes: one('request_bytes', 'http.request.body.size', ({ request }) => bodyBytesOf(request)),
  user_agent: one('user_agent', semconv.ATTR_USER_AGENT_ORIGINAL, ({ request }) =>
    request.headers['user-agent']?.slice(0, MAX_CHARACTERS),
  ),
  referer: one('referer', 'http.request.header.referer', refererOf),
  peer: one('peer', 'network.peer.address', ({ request }) => request.socket.remoteAddress),
}

/** Of the standard line: only faults have it, because it says where to look. */
const TARGET_OF_FAULT = field('target', 'gateway.upstream.target', ({ outcome, target }) =>
  outcome === 'fault' ? target : undefined,
)

/** Creates the writer of the fields that the configuration names. */
export function fieldWriter({ format, fields, sample }: AccessLogSettings): WriteFields {
  const chosen = [...new Set((fields ?? ['default']).flatMap(name => (name === 'default' ? STANDARD_FIELDS : [name])))]
  const isStandard = fields === undefined || fields.includes('default')
  const written = chosen.flatMap(name => FIELDS[name])
  if (isStandard && !chosen.includes('target')) written.push(TARGET_OF_FAULT)
  const named = written.flatMap(({ name: short, semconv: long, valueOf }) => {
    const name = format === 'semconv' ? long : short
    return name === undefined ? [] : [{ beginning: `,${JSON.stringify(name)}:`, valueOf }]
  })
  return function writeFields(exchange) {
    let line = format === 'semconv' ? ',"event.name":"request"' : ',"event":"request"'
    for (const { beginning, valueOf } of named) {
      const value = valueOf(exchange)
      if (value !== undefined) line += beginning + JSON.stringify(value)
    }
    return sample < 1 && exchange.outcome === 'ok' ? `${line},"sample":${sample}` : line
  }
}

/** Writes a line in the combined format of web servers. The path is without its query, as in every other line. */
export function combinedLine(exchange: Exchange): string {
  const { request, clientAddress, consumer, path, statusCode } = exchange
  const asked = `${request.method ?? '-'} ${path} HTTP/${versionOf(request.httpVersion)}`
  const agent = request.headers['user-agent']?.slice(0, MAX_CHARACTERS)
  const who = consumer === undefined ? '-' : consumer.name.replaceAll(/[\s"]/g, '_')
  const end = `${quoted(refererOf(exchange))} ${quoted(agent)}`
  return `${clientAddress || '-'} - ${who} [${combinedTime()}] ${quoted(asked)} ${statusCode} ${bytesOf(exchange)} ${end}\n`
}

function one(name: string, long: string, valueOf: Field['valueOf']): readonly Field[] {
  return [field(name, long, valueOf)]
}

function field(name: string, long: string, valueOf: Field['valueOf']): Field {
  return { name, semconv: long, valueOf }
}

function messageOf(cause: unknown): string | undefined {
  return cause === undefined ? undefined : toError(cause).message
}

function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000
}

/** `2.0` is `2` in the conventions. */
function versionOf(httpVersion: string): string {
  return httpVersion === '2.0' ? '2' : httpVersion
}

function tlsVersionOf(socket: Partial<TLSSocket>): string | undefined {
  try {
    return socket.getProtocol?.() ?? undefined
  } catch {
    return undefined // the session of the request has ended
  }
}

function bytesOf({ request, response, tunnel }: Exchange): number {
  if (tunnel !== undefined) return tunnel.bytesOut
  const hasNoBody = request.method === 'HEAD' || response.statusCode === 204 || response.statusCode === 304
  return hasNoBody ? 0 : bodyBytesOf(response)
}

/** The page that the request came from, without the query, which may hold secrets. */
function refererOf({ request }: Exchange): string | undefined {
  return request.headers.referer?.replace(/[?#].*$/s, '').slice(0, MAX_CHARACTERS)
}

/** Escapes as Apache does, so that no client can forge a line. */
function quoted(text: string | undefined): string {
  if (text === undefined) return '"-"'
  const escaped = text.replaceAll(/["\\]|[^ -~]/g, found =>
    found === '"' || found === '\\'
      ? `\\${found}`
      : [...Buffer.from(found)].map(byte => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  )
  return `"${escaped}"`
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** `30/Nov/2026:22:11:19 +0000`. */
function combinedTime(): string {
  const now = new Date()
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = `${two(now.getUTCDate())}/${MONTHS[now.getUTCMonth()]}/${now.getUTCFullYear()}`
  return `${day}:${two(now.getUTCHours())}:${two(now.getUTCMinutes())}:${two(now.getUTCSeconds())} +0000`
}
