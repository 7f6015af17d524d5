import type { HostSent } from '../config/values/host-sent'
import { hasBody, type Exchange, type Stage } from '../exchange/exchange'
import { createBase64Decoder } from '../exchange/grpc-call'
import { replacedTraceFields } from '../telemetry/trace-fields'
import type { CallOptions } from './call-options'
import type { ClientTelemetry } from './client-telemetry'
import type { Mirror } from './mirror'
import { RequestBody } from './request-body'
import { observedResponseMemory } from './response-memory'
import { slowestPace } from './upload-pace'
import { sendCall } from './upstream-call'
import type { Upstream } from './upstream'

/** What a route changes about calls to its upstream. */
export interface Forwarding {
  /** Undefined if paths are not rewritten. */
  readonly rewritePath: ((path: string) => string) | undefined
  /** Forward paths exactly as received. */
  readonly rawPath: boolean
  /** The prefix removed from paths, for `X-Forwarded-Prefix`. */
  readonly forwardedPrefix: string | undefined
  /** The `Host` that targets receive; undefined for the setting of the upstream. */
  readonly host: HostSent | undefined
  /** These override the timeouts of the upstream. */
  readonly timeouts: { readonly responseMs?: number; readonly idleMs?: number; readonly totalMs?: number }
  /** Which requests of this route may reach a target more than once. */
  readonly retry: CallOptions['retry']
  /** The idle timeout of a connection that was upgraded to WebSocket. */
  readonly webSocketIdleMs: number
  /** Minimum upload rate in bytes per second; 0 for no minimum. */
  readonly minUploadRate: number
}

const UNCHANGED: Forwarding = {
  rewritePath: undefined,
  rawPath: false,
  forwardedPrefix: undefined,
  host: undefined,
  timeouts: {},
  retry: 'idempotent',
  webSocketIdleMs: 0,
  minUploadRate: 0,
}

export interface ForwardOptions {
  readonly upstream: Upstream
  readonly telemetry: ClientTelemetry
  readonly forwarding: Partial<Forwarding>
  readonly fieldRules: CallOptions['fieldRules']
  /** How long a client may stall its upload or download. */
  readonly clientStallMs: number
  /** Minimum download rate in bytes per second, measured over `clientStallMs`. */
  readonly minDownloadRate: number
  readonly responseBuffer: CallOptions['responseBuffer']
  readonly mirror: Mirror | undefined
  /** Called once when forwarding failed. Answers the client if that is still possible. */
  readonly onFailure: (exchange: Exchange, error: unknown) => void
}

/**
 * Creates the last stage, which streams the request to a target and the response to the client. A bounded buffer holds
 * what a slow client has not read yet.
 *
 * Uses undici's dispatch API, because its promise and stream APIs double the cost of a call (`docs/performance.md`).
 */
export function forward(options: ForwardOptions): Stage {
  const { upstream, telemetry, forwarding, fieldRules, clientStallMs, onFailure, mirror } = options
  const { rewritePath, rawPath, forwardedPrefix, host, timeouts, retry, webSocketIdleMs, minUploadRate } = {
    ...UNCHANGED,
    ...forwarding,
  }
  const responseMs = timeouts.responseMs ?? upstream.timeouts.responseMs
  const callOptions: CallOptions = {
    upstream,
    telemetry,
    forwardedPrefix,
    host: host ?? upstream.host,
    retry,
    webSocketIdleMs,
    onFailure,
    connectionMs: upstream.timeouts.connectMs + responseMs,
    silence: { upstreamMs: responseMs, clientMs: clientStallMs },
    idleMs: timeouts.idleMs ?? upstream.timeouts.idleMs ?? responseMs,
    totalMs: timeouts.totalMs ?? upstream.timeouts.totalMs,
    fieldRules,
    leastDownload: { bytesPerSecond: options.minDownloadRate, perMs: clientStallMs },
    responseBuffer: options.responseBuffer,
    responseMemory: observedResponseMemory(),
    replacedFields: replacedTraceFields(),
  }
  // A target may declare a request over HTTP/2 as not processed after it got the body.
  const keepsBody = upstream.isHttp2
  const slowest = slowestPace(minUploadRate, clientStallMs)
  return function forwardToUpstream(exchange) {
    const { request, response } = exchange
    // The client may have left while an earlier stage waited; its 'close' event has already fired.
    if (response.destroyed) return
    upstream.retries.countRequest(exchange.startedAt)
    // Done once for all attempts, and before one is counted, because it may reject the request.
    if (rawPath) exchange.forwardedPath = exchange.rawPath
    if (rewritePath !== undefined) exchange.forwardedPath = rewritePath(exchange.forwardedPath)
    const target = upstream.pick(exchange)
    if (mirror !== undefined) mirror.begin(exchange, callOptions)
    // A gRPC call may stream for hours, slowly. Over HTTP/1.1 it would hold a connection, so the bound stays.
    const streams = exchange.grpc !== undefined && upstream.isHttp2
    sendCall(
      exchange,
      target,
      hasBody(request)
        ? new RequestBody(request, exchange.maxBodyBytes, streams ? undefined : slowest, keepsBody, decoderOf(exchange))
        : null,
      callOptions,
      undefined,
    )
  }
}

/** Returns the decoder of a body in base64 (gRPC-Web, text); undefined for all others. */
function decoderOf({ grpc }: Exchange): ((chunk: Buffer) => Buffer) | undefined {
  return grpc?.form === 'web-text' ? createBase64Decoder() : undefined
}
