import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIPv6 } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { trace, TraceFlags, type Context } from '@opentelemetry/api'
import { ipKeyGenerator } from 'express-rate-limit'
import { bodyBytesSent } from '../../entrypoint/express-messages'
import type { Exchange } from '../../exchange/exchange'
import { methodLabel } from '../../telemetry/http-method'
import { SAMPLED_HEADERS } from '../../telemetry/sampled-headers'
import { pathShape } from './path-shape'
import { userAgentFamily } from './user-agent'

/** Properties of one request that failing requests may have in common. Absent fields are undefined. */
export interface RequestSample {
  /** Milliseconds since the epoch, when it ended. */
  readonly timeMs: number
  readonly durationMs: number
  /** Trace id, if the upstream was told to record the trace too: a trace backend may then have the upstream's spans. */
  readonly traceId: string | undefined
  readonly routeName: string | undefined
  readonly upstream: string | undefined
  /** Variant of a split. */
  readonly variant: string | undefined
  /** `address:port` of the target that failed first, else of the one that answered. */
  readonly target: string | undefined
  readonly attempts: number
  readonly method: string
  readonly host: string | undefined
  readonly path: string
  readonly query: 'present' | 'absent'
  readonly status: number
  readonly reason: string | undefined
  readonly consumer: string | undefined
  readonly tier: string | undefined
  /** The /24 or /56 of the client. */
  readonly clientNetwork: string
  readonly userAgent: string
  readonly protocol: string
  readonly tls: string
  readonly contentType: string
  readonly requestSize: string
  readonly responseSize: string
  /** The fields of `SAMPLED_HEADERS` that the request had. */
  readonly headers: readonly string[]
}

/** Maximum length of a value that the client chose. */
const MAX_CHARACTERS = 64

/** Creates a sample. Runs for few requests only, so its cost does not affect the hot path. */
export function toSample(exchange: Exchange, timeMs: number, durationMs: number): RequestSample {
  const { request, response, route, consumer } = exchange
  const { headers } = request
  return {
    timeMs,
    durationMs: Math.round(durationMs * 10) / 10,
    traceId: sampledTraceId(exchange.context),
    routeName: route?.name,
    upstream: route?.upstreamName,
    variant: route?.variant,
    target: withoutScheme(exchange.failedTarget ?? exchange.target),
    attempts: exchange.attempts,
    method: methodLabel(request.method),
    host: exchange.host === '' ? undefined : exchange.host.slice(0, MAX_CHARACTERS),
    path: pathShape(exchange.path, route?.template),
    query: exchange.query.length > 1 ? 'present' : 'absent',
    status: exchange.statusCode,
    reason: exchange.reason,
    consumer: consumer?.name.slice(0, MAX_CHARACTERS),
    tier: consumer?.tier,
    clientNetwork: networkOf(exchange.clientAddress),
    userAgent: userAgentFamily(headers['user-agent']),
    protocol: request.httpVersion,
    tls: tlsOf(request),
    contentType: mediaType(headers['content-type']),
    requestSize: sizeClass(headers['content-length'], headers['transfer-encoding'] !== undefined),
    responseSize: responseSizeClass(request, response),
    headers: SAMPLED_HEADERS.filter(name => headers[name] !== undefined),
  }
}

function sampledTraceId(context: Context): string | undefined {
  const span = trace.getSpanContext(context)
  return span !== undefined && (span.traceFlags & TraceFlags.SAMPLED) !== 0 ? span.traceId : undefined
}

function withoutScheme(origin: string | undefined): string | undefined {
  return origin?.slice(origin.indexOf('://') + 3)
}

function networkOf(address: string): string {
  if (isIPv6(address)) return ipKeyGenerator(address, 56)
  const lastDot = address.lastIndexOf('.')
  return lastDot === -1 ? address.slice(0, MAX_CHARACTERS) : `${address.slice(0, lastDot)}.0/24`
}

function tlsOf({ socket }: IncomingMessage): string {
  return (socket as Partial<TLSSocket>).getProtocol?.() ?? 'none'
}

function mediaType(contentType: string | undefined): string {
  if (contentType === undefined) return 'none'
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase().slice(0, MAX_CHARACTERS)
}

/** Counted, because a header section that was written as raw pairs cannot be read back. */
function responseSizeClass({ method }: IncomingMessage, response: ServerResponse): string {
  return sizeClass(String(bodyBytesSent(method, response)), false)
}

const SIZE_UNITS = ['B', 'KiB', 'MiB', 'GiB'] as const

/** "4-16 KiB": powers of four, so that few classes cover every body. */
export function sizeClass(length: string | undefined, isChunked: boolean): string {
  if (isChunked) return 'chunked'
  const bytes = Number(length ?? 0)
  if (!(bytes > 0)) return 'none'
  const power = Math.floor(Math.log2(bytes) / 2)
  const unit = Math.min(Math.floor(power / 5), SIZE_UNITS.length - 1)
  const from = 4 ** (power - 5 * unit)
  return `${from}-${from * 4} ${SIZE_UNITS[unit]}`
}
