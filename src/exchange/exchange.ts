import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Transform } from 'node:stream'
import type { Context } from '@opentelemetry/api'
import type { Outcome, Reason } from '../errors/reasons'
import type { Route } from '../routing/route'
import type { RequestIdConfig } from './request-id-config'
import type { SaidByProxies } from './forwarded'

/**
 * One request and its response on their way through the gateway (an "exchange" in the words of RFC 9110 §3.3). Made once
 * by the entrypoint, filled in by each stage, read once more when the response closes.
 */
export class Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** The client as the trusted proxies report it, else the peer of the connection; empty where the proxies do not know it. */
  readonly clientAddress: string
  /** Whether the peer is a trusted proxy, so that its forwarding headers are continued instead of replaced. */
  readonly peerIsTrusted: boolean
  /** What trusted proxies say of the request; undefined of a peer that is not one. */
  readonly said: SaidByProxies | undefined
  /**
   * Path without query, normalised once (`entrypoint/request-target.ts`): what is matched is what is forwarded. Of a request that
   * is malformed as it came, cut off, for log and span only.
   */
  readonly path: string
  /** The same as it came, for routes that forward it so. */
  readonly rawPath: string
  /** Whether a segment has `%2F` in it: other routes do not take the request. */
  readonly hasEncodedSlash: boolean
  /** Query with its `?`, or nothing, exactly as it came. */
  readonly query: string
  /** Name the client asked for, without port, lower case; empty when it named none. */
  readonly host: string
  /** The trace this request belongs to; callbacks of pooled connections run in other contexts. */
  readonly context: Context
  /** Milliseconds on the monotonic clock. */
  readonly startedAt = performance.now()

  route: Route | undefined
  /** What the upstream is asked for. */
  forwardedPath: string
  /** What it is found by. */
  requestId = ''
  /** Undefined where its answer does not say so. */
  requestIdConfig: RequestIdConfig | undefined
  /** Undefined where no policy of the route has any: most requests pay a comparison for it. */
  hooks: LateHooks | undefined
  /** Who asks; undefined as long as no credential said so. */
  consumer: Consumer | undefined
  /** Name of the field that holds the client's credential, where it is none of the upstream's business. */
  withheldField: string | undefined
  /** Origin of the target that was asked last. */
  target: string | undefined
  /** Origin of the first target that failed it, where another one was asked then. */
  failedTarget: string | undefined
  /** Calls to targets. */
  attempts = 0
  outcome: Outcome = 'ok'
  reason: Reason | undefined
  /** What made it fail, for the log only. */
  cause: unknown
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1). */
  expectsContinue = false

  /**
   * Fields that tell browsers who may read the response, as flat name, value pairs: in the place of every Access-Control-* of
   * the upstream. Undefined where the route leaves that to the upstream.
   */
  corsFields: readonly string[] | undefined
  /** Bytes that a body in chunks may have; undefined for no bound. */
  maxBodyBytes: number | undefined
  /** The request could be read in two ways: nobody knows where it ends, so nothing behind it is read at all. */
  isMalformed = false

  /** What limiters decided; counted when the request's trace is decided on, so that exemplars can point at it. */
  readonly limitDecisions: LimitDecision[] = []
  /** The client wants to go on with WebSocket over this connection (RFC 9110 §7.8). */
  upgrade: Upgrade | undefined
  /** What the response is where it is meant to stay open, so that it is never a slow request. */
  stream: StreamKind | undefined
  /** Made for it and not yet over: told first when the client has everything, or is gone. */
  call: { onClientClose(): void } | undefined
  /** Of the connection that became one. */
  tunnel: Tunnel | undefined
  /** Index among those in flight (`exchange/in-flight.ts`). */
  inFlightIndex = -1
  /** Whether the process stops: clients are then asked to open no further request on the connection. */
  isDraining: () => boolean = never
  /** Follows it (`observe/observer.ts`). */
  observer: ExchangeObserver | undefined

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    origin: Pick<Exchange, 'clientAddress' | 'peerIsTrusted' | 'said' | 'path' | 'query' | 'host' | 'context'> &
      Partial<Pick<Exchange, 'rawPath' | 'hasEncodedSlash'>>,
  ) {
    this.request = request
    this.response = response
    this.clientAddress = origin.clientAddress
    this.peerIsTrusted = origin.peerIsTrusted
    this.said = origin.said
    this.path = origin.path
    this.rawPath = origin.rawPath ?? origin.path
    this.hasEncodedSlash = origin.hasEncodedSlash ?? false
    this.forwardedPath = origin.path
    this.query = origin.query
    this.host = origin.host
    this.context = origin.context
  }

  /** Whether the client still owes bytes of its body: the connection cannot be used again without reading them. */
  get bodyIsPending(): boolean {
    return hasBody(this.request) && !this.request.complete
  }

  /** Whether the response must say that nothing else is served on the connection. */
  get closesConnection(): boolean {
    return this.isMalformed || this.bodyIsPending || this.isDraining()
  }

  /** 499 after nginx, where nobody was there to be answered. */
  get statusCode(): number {
    return this.outcome === 'client_closed' ? 499 : this.response.statusCode
  }

  /** Notes that it stays open from here on: whoever finds it so after minutes must know that it is meant to be. */
  becameStream(kind: StreamKind): void {
    this.stream = kind
    this.observer?.streaming(this, kind)
  }

  /** Notes how it ended. The first verdict stands: what fails afterwards is a consequence. */
  conclude(outcome: Outcome, reason: Reason, cause?: unknown): void {
    if (this.outcome !== 'ok') return
    this.outcome = outcome
    this.reason = reason
    this.cause = cause
    this.observer?.concluded(this)
  }
}

/** Follows an exchange from the moment it is made. */
export interface ExchangeObserver {
  /** It turned out to be a stream. Called at most once. */
  streaming(exchange: Exchange, kind: StreamKind): void
  /** Its outcome is anything but `ok`. Called at most once. */
  concluded(exchange: Exchange): void
}

/** One for all: a function of its own would be made for each request, and replaced at once. */
function never(): boolean {
  return false
}

/** Whether the request announces a body (RFC 9112 §6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const length = request.headers['content-length']
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** A connection from which no further request is read. */
export interface Upgrade {
  /** Hands it over, with everything that has come on it since: whoever takes it ends it. */
  take(): Socket
}

/** Responses that are meant to stay open. */
export type StreamKind = 'event_stream' | 'websocket'

/** Two connections that were joined: what comes from one goes to the other, and the gateway looks at none of it. */
export interface Tunnel {
  /** Who ended it; undefined while it is open. `gateway`: because the process stops, or its file no longer names the upstream. */
  readonly endedBy: 'client' | 'upstream' | 'idle_timeout' | 'gateway' | undefined
  /** From the client. */
  readonly bytesIn: number
  /** To the client. */
  readonly bytesOut: number
}

/** Who asks, as its credential says. */
export interface Consumer {
  readonly name: string
  readonly tier: string | undefined
  /** What this credential is good for. */
  readonly scopes: readonly string[]
  /** What limits count that are kept by consumer or by API key: short, and never a secret. */
  readonly countedAs: Readonly<Record<'consumer' | 'api-key', string>>
}

/** A limiter's decision about one request. */
export interface LimitDecision {
  /** Adds it to the limiter's counter. */
  count(context: Context): void
}

/** What a stage returns that has answered the request: the stages behind it do not run. */
export const ANSWERED: Answered = { answered: true }

export interface Answered {
  readonly answered: true
}

type StageResult = void | Answered

/** A step of the pipeline. Throws a `GatewayError` to end the exchange; returns a promise only when it must wait. */
export type Stage = (exchange: Exchange) => StageResult | Promise<StageResult>

/** What policies do after routing and admission. An empty phase is an empty list, and no hook at all is `undefined`. */
export interface LateHooks {
  readonly onAttempt: readonly AttemptHook[]
  readonly onResponse: readonly ResponseHook[]
  readonly onBody: readonly BodyHook[]
  readonly onEnd: readonly EndHook[]
}

/** Runs before each call to a target. Throws a `GatewayError` to end the exchange. */
export type AttemptHook = (exchange: Exchange, attempt: Attempt) => void

/** One call to a target, about to be made. */
export interface Attempt {
  /** 1 for the first. */
  readonly number: number
  /** Origin of the target. */
  readonly target: string
  /** Header section of the request as flat name, value pairs, names in lower case: to be changed in place. */
  readonly fields: string[]
}

/** Runs before the header section is sent to the client, also that of a local reply. Must not throw. */
export type ResponseHook = (exchange: Exchange, head: ResponseHead) => void

export interface ResponseHead {
  readonly status: number
  /** Header section as flat name, value pairs: to be changed in place. */
  readonly fields: string[]
}

/** Returns what the body of an upstream's response passes through; undefined to leave this one alone. Must not throw. */
export type BodyHook = (exchange: Exchange, head: ResponseHead) => Transform | undefined

/** Runs when the response has closed, before it is logged. Observes only; must not throw. */
export type EndHook = (exchange: Exchange) => void
