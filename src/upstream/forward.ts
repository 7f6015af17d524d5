import type { HostSent } from '../config/values/host-sent'
import { hasBody, type Exchange, type Stage } from '../exchange/exchange'
import { replacedTraceFields } from '../telemetry/trace-fields'
import type { ClientTelemetry } from './client-telemetry'
import { RequestBody } from './request-body'
import { observedResponseMemory } from './response-memory'
import { slowestPace } from './upload-pace'
import { sendCall, type CallOptions } from './upstream-call'
import type { Upstream } from './upstream'

/** What a route changes about calls to its upstream. */
export interface Forwarding {
  /** Undefined where paths stay as they are. */
  readonly rewritePath: ((path: string) => string) | undefined
  /** Paths are forwarded as they came. */
  readonly rawPath: boolean
  /** What was cut off the front of paths, for `X-Forwarded-Prefix`. */
  readonly forwardedPrefix: string | undefined
  /** What targets get as `Host`; undefined: what the upstream says. */
  readonly host: HostSent | undefined
  /** They come before those of the upstream. */
  readonly timeouts: { readonly responseMs?: number; readonly idleMs?: number; readonly totalMs?: number }
  /** Which requests of this route may reach a target more than once. */
  readonly retry: CallOptions['retry']
  /** How long nothing may move on a connection that was upgraded to WebSocket. */
  readonly webSocketIdleMs: number
  /** Bytes a second of a body that a client must send; 0 for no bound. */
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
  readonly clientStallMs: CallOptions['clientStallMs']
  /** Bytes a second that a client must take of a response that is there for it, over `clientStallMs`. */
  readonly minDownloadRate: number
  readonly responseBuffer: CallOptions['responseBuffer']
  /** Called once when the call failed; answers the client if that is still possible. */
  readonly onFailure: (exchange: Exchange, error: unknown) => void
}

/**
 * The last stage: sends the request to a target and its response to the client, both as streams. What a client does not
 * take at once of its response waits here, within bounds.
 *
 * On undici's dispatch level, because its promises and streams cost as much again as the call itself
 * (`docs/performance.md`).
 */
export function forward(options: ForwardOptions): Stage {
  const { upstream, telemetry, forwarding, fieldRules, clientStallMs, onFailure } = options
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
    clientStallMs,
    onFailure,
    connectionMs: upstream.timeouts.connectMs + responseMs,
    responseMs,
    idleMs: timeouts.idleMs ?? upstream.timeouts.idleMs ?? responseMs,
    totalMs: timeouts.totalMs ?? upstream.timeouts.totalMs,
    fieldRules,
    leastDownload: { bytesPerSecond: options.minDownloadRate, perMs: clientStallMs },
    responseBuffer: options.responseBuffer,
    responseMemory: observedResponseMemory(),
    replacedFields: replacedTraceFields(),
  }
  const slowest = slowestPace(minUploadRate, clientStallMs)
  return function forwardToUpstream(exchange) {
    const { request, response } = exchange
    // The client may have left while an earlier stage waited; its 'close' would not be seen again.
    if (response.destroyed) return
    upstream.retries.countRequest(exchange.startedAt)
    // Once for all calls, and before one is counted: it may refuse the request.
    if (rawPath) exchange.forwardedPath = exchange.rawPath
    if (rewritePath !== undefined) exchange.forwardedPath = rewritePath(exchange.forwardedPath)
    const target = upstream.pick(exchange)
    sendCall(
      exchange,
      target,
      hasBody(request) ? new RequestBody(request, exchange.maxBodyBytes, slowest) : null,
      callOptions,
      undefined,
    )
  }
}
