import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex, Transform } from 'node:stream'
import type { Context } from '@opentelemetry/api'
import type { ErrorAnswers } from '../errors/error-answer'
import type { Outcome, Reason } from '../errors/reasons'
import type { AccessLogSettings } from './access-log-settings'
import type { Route } from '../routing/route'
import type { GrpcCall } from './grpc-call'
import type { RequestIdConfig } from './request-id-config'
import type { ProxyForwarding } from './forwarded'

/**
 * One request and its response on their way through the gateway (an "exchange" in RFC 9110 §3.3). The entrypoint creates
 * it, each stage fills it in, and telemetry reads it when the response closes.
 */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Address of the client as trusted proxies report it, else of the peer; empty if the proxies do not know it. */
  readonly clientAddress: string
  /** Whether the peer is a trusted proxy, so that its forwarding headers are continued instead of replaced. */
  readonly peerIsTrusted: boolean
  /** Forwarding fields from trusted proxies; undefined if the peer is not one. */
  readonly proxyForwarding: ProxyForwarding | undefined
  /**
   * Path without query, normalised once (`exchange/request-target.ts`), so that the matched path is the forwarded path.
   * For a malformed request: the path as received, truncated, for log and span only.
   */
  readonly path: string
  /** Path as received, for routes that forward it unchanged. */
  readonly rawPath: string
  /** Whether a segment contains `%2F`. Only routes with `rawPath` accept it. */
  readonly hasEncodedSlash: boolean
  /** Query with its `?`, or empty, exactly as received, except for a credential that authentication has removed. */
  query: string
  /** Requested host, lower case, without port; empty if the client sent none. */
  readonly host: string
  /** Trace context of the request. Stored here because callbacks of pooled connections run in other contexts. */
  readonly context: Context
  /** Milliseconds on the monotonic clock. */
  readonly startedAt = performance.now()

  route: Route | undefined
  /** Path that the upstream gets. */
  forwardedPath: string
  requestId = ''
  /** Undefined if the response does not carry the request id. */
  requestIdConfig: RequestIdConfig | undefined
  /** Undefined for `explain`. */
  errorAnswers: ErrorAnswers | undefined
  /** How the entrypoint says that requests are logged; undefined: by the standard line. */
  accessLog: AccessLogSettings | undefined
  /** Milliseconds of calls to targets, measured only where the access log is configured. */
  upstreamMs: number | undefined
  /** Undefined if no policy of the route has hooks, so that most requests pay only a comparison. */
  hooks: LateHooks | undefined
  /** The authenticated consumer; undefined before authentication or without a credential. */
  consumer: Consumer | undefined
  /** Name of the field with the client's credential, if it is not forwarded to the upstream. */
  withheldField: string | undefined
  /** Fields for the upstream that say who the client is: flat name, value pairs, from claims or the authorizer. */
  identityFields: readonly string[] | undefined
  /** Cookies that an external authorizer sets, for the client. */
  authorizerCookies: readonly string[] | undefined
  /** The external authorizer failed, and the request was let in nevertheless. */
  authorizerFailed = false
  /** Origin of the last target called. */
  target: string | undefined
  /** Origin of the first target that failed, if the call was retried on another one. */
  failedTarget: string | undefined
  /** Set if the request is a gRPC call. */
  grpc: GrpcCall | undefined
  /** Number of calls to targets. */
  attempts = 0
  outcome: Outcome = 'ok'
  reason: Reason | undefined
  /** Error behind the reason, for the log only. */
  cause: unknown
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1). */
  expectsContinue = false

  /**
   * CORS response fields, as flat name, value pairs. They replace all Access-Control-* fields of the upstream. Undefined if
   * the route leaves CORS to the upstream.
   */
  corsFields: readonly string[] | undefined
  /** Values of `Set-Cookie` that the gateway itself adds to the response. */
  ownCookies: string[] | undefined
  /**
   * Rate-limit fields of the response, as flat name, value pairs. Kept here because Node copies every field of a response
   * once more when some were set with `setHeader()`.
   */
  limitFields: string[] | undefined
  /** Largest size of a chunked body in bytes; undefined for no bound. */
  maxBodyBytes: number | undefined
  /** The request is ambiguous: its end is uncertain, so nothing after it is read from the connection. */
  isMalformed = false

  /** Decisions of limiters. Counted once the trace's sampling is decided, so that exemplars can point at it. */
  readonly limitDecisions: LimitDecision[] = []
  /** Limits whose cost the upstream reports; undefined if there are none. */
  limitCharges: LimitCharge[] | undefined
  /** Set if the client asks to upgrade the connection to WebSocket (RFC 9110 §7.8). */
  upgrade: Upgrade | undefined
  /** Kind of a response that is meant to stay open, so that it is not reported as a slow request. */
  stream: StreamKind | undefined
  /** The open call to a target. Notified first when the response closes. */
  call: { onClientClose(): void } | undefined
  /** Set once the connection has been upgraded. */
  tunnel: Tunnel | undefined
  /** Index in the array of `exchange/in-flight.ts`. */
  inFlightIndex = -1
  /** Whether the process is draining: responses then carry `Connection: close`. */
  isDraining: () => boolean = never
  /** Telemetry of this exchange (`observe/observer.ts`). */
  observer: ExchangeObserver | undefined

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    origin: Pick<
      Exchange,
      'clientAddress' | 'peerIsTrusted' | 'proxyForwarding' | 'path' | 'query' | 'host' | 'context'
    > &
      Partial<Pick<Exchange, 'rawPath' | 'hasEncodedSlash'>>,
  ) {
    this.request = request
    this.response = response
    this.clientAddress = origin.clientAddress
    this.peerIsTrusted = origin.peerIsTrusted
    this.proxyForwarding = origin.proxyForwarding
    this.path = origin.path
    this.rawPath = origin.rawPath ?? origin.path
    this.hasEncodedSlash = origin.hasEncodedSlash ?? false
    this.forwardedPath = origin.path
    this.query = origin.query
    this.host = origin.host
    this.context = origin.context
  }

  /** Whether the request body is incomplete: the connection cannot be reused before the rest is read. */
  get bodyIsPending(): boolean {
    return !this.request.complete && hasBody(this.request)
  }

  /** Whether the response must carry `Connection: close`. */
  get closesConnection(): boolean {
    return this.isMalformed || this.bodyIsPending || this.isDraining()
  }

  /** Status for telemetry; 499, as in nginx, if the client left. */
  get statusCode(): number {
    return this.outcome === 'client_closed' ? 499 : this.response.statusCode
  }

  /** How the request is logged; undefined: by the standard line. */
  get loggedBy(): AccessLogSettings | undefined {
    return this.route?.accessLog ?? this.accessLog
  }

  /** Marks the response as a stream: after minutes, operators must see that it is open on purpose. */
  becameStream(kind: StreamKind): void {
    this.stream = kind
    this.observer?.streaming(this, kind)
  }

  /** Records the outcome. The first call wins: later failures are consequences. */
  conclude(outcome: Outcome, reason: Reason, cause?: unknown): void {
    if (this.outcome !== 'ok') return
    this.outcome = outcome
    this.reason = reason
    this.cause = cause
    this.observer?.concluded(this)
  }
}

/** Observes an exchange from its creation. */
export interface ExchangeObserver {
  /** Called at most once, when the response becomes a stream. */
  streaming(exchange: Exchange, kind: StreamKind): void
  /** Called at most once, when the outcome is not `ok`. */
  concluded(exchange: Exchange): void
}

/** Default of `isDraining`, shared so that no closure is created per request. */
function never(): boolean {
  return false
}

/** Returns whether the request announces a body (RFC 9112 §6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** A connection, or stream, from which no further request is read. */
export interface Upgrade {
  /** Hands over the connection with all bytes received since. The caller must end it. */
  take(): TunnelEnd
}

/** A connection, or a stream of an HTTP/2 connection. */
export interface TunnelEnd extends Duplex {
  readonly bytesRead: number
  readonly bytesWritten: number
  setTimeout(timeoutMs: number, callback?: () => void): unknown
}

/** Responses that are meant to stay open. */
export type StreamKind = 'event_stream' | 'websocket'

/** Two joined connections; the gateway copies bytes between them without parsing. */
export interface Tunnel {
  /** Side that ended it; undefined while open. `gateway`: at shutdown, or when a reload removed the upstream. */
  readonly endedBy: 'client' | 'upstream' | 'idle_timeout' | 'gateway' | undefined
  /** Bytes from the client. */
  readonly bytesIn: number
  /** Bytes to the client. */
  readonly bytesOut: number
}

/** The authenticated client, as named by its credential. */
export interface Consumer {
  readonly name: string
  readonly tier: string | undefined
  /** Scopes of this credential. */
  readonly scopes: readonly string[]
  /** Keys for limits by consumer and by API key: short, never secret. */
  readonly countedAs: Readonly<Record<'consumer' | 'api-key', string>>
}

/** A limiter's decision about one request. */
export interface LimitDecision {
  /** Adds it to the limiter's counter. */
  count(context: Context): void
}

/** A limit that charges what the upstream reports in the response. */
export interface LimitCharge {
  /** Charges it, and corrects the rate-limit fields of the response. */
  charge(limitFields: string[], head: ResponseHead): void
}

/** Returned by a stage that has answered the request; later stages do not run. */
export const ANSWERED: Answered = { answered: true }

export interface Answered {
  readonly answered: true
}

type StageResult = void | Answered

/** A step of the pipeline. Throws a `GatewayError` to end the exchange; returns a promise only when it must wait. */
export type Stage = (exchange: Exchange) => StageResult | Promise<StageResult>

/**
 * Hooks of policies after routing and admission. A phase without hooks is an empty list; no hooks at all: `undefined`.
 */
export interface LateHooks {
  readonly onAttempt: readonly AttemptHook[]
  readonly onResponse: readonly ResponseHook[]
  readonly onBody: readonly BodyHook[]
  readonly onEnd: readonly EndHook[]
}

/** Runs before each call to a target. Throws a `GatewayError` to end the exchange. */
export type AttemptHook = (exchange: Exchange, attempt: Attempt) => void

/** A call to a target that is about to be made. */
export interface Attempt {
  /** 1 for the first call. */
  readonly number: number
  /** Origin of the target. */
  readonly target: string
  /** Header section of the request as flat name, value pairs, names in lower case. Hooks change it in place. */
  readonly fields: string[]
}

/** Runs before the header section is sent to the client, also that of a local reply. Must not throw. */
export type ResponseHook = (exchange: Exchange, head: ResponseHead) => void

export interface ResponseHead {
  readonly status: number
  /** Header section as flat name, value pairs. Hooks change it in place. */
  readonly fields: string[]
}

/** Returns a transform for the body of an upstream's response; undefined leaves it unchanged. Must not throw. */
export type BodyHook = (exchange: Exchange, head: ResponseHead) => Transform | undefined

/** Runs when the response has closed, before it is logged. Observes only; must not throw. */
export type EndHook = (exchange: Exchange) => void
