import { trace } from '@opentelemetry/api'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { ANSWERED, type Answered, type Consumer, type Exchange, type LateHooks } from '../exchange/exchange'
import { sendLocalReply } from '../exchange/local-reply'
import { readBody } from '../exchange/read-body'
import type { Hooks } from './define-policy'

/**
 * A request as custom policies see it. Deliberately small, so that this contract can stay stable while the gateway changes.
 */
export interface PolicyContext {
  readonly method: string
  /** Normalised path without query: the path that was matched, and that is forwarded before rewrites. */
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
  /** Lower case, without port; empty if the client sent none. */
  readonly host: string
  /** Names in lower case. */
  readonly headers: Exchange['request']['headers']
  readonly clientAddress: string
  /** Undefined before authentication, and on routes without authentication. */
  readonly consumer: Pick<Consumer, 'name' | 'tier' | 'scopes'> | undefined
  /** Name of the route; undefined before routing. */
  readonly route: string | undefined
  /** Calls to targets so far; 0 before the first. */
  readonly attempt: number
  readonly traceId: string | undefined
  /**
   * Reads the whole body of the request, which is forwarded nevertheless. Only in `onRequest`; each request with a body then
   * costs that much memory. Refuses a larger body with 413.
   *
   * @param maxBytes at most 16 MiB
   */
  readBody(maxBytes: number): Promise<Buffer>
  /** Sets an attribute on the request's span. Do not pass secrets: spans are exported. */
  setAttribute(name: string, value: string | number | boolean): void
  /**
   * Adds to a counter, which Prometheus shows as `acme_tenant_requests_total` for `acme.tenant.requests`. A policy has at most
   * 10 counters of 100 series; further values of attributes are counted together as `otel_metric_overflow="true"`.
   *
   * @param attributes at most 5, with few values each: never an address, a path or an id
   * @param value default 1
   */
  count(name: string, attributes?: SignalAttributes, value?: number): void
  /** Writes a log line with the trace, the request id, the policy and the route; at most 20 in a second for each policy and route. */
  log(level: LogLevel, message: string, fields?: SignalAttributes): void
  /** Answers the request; later stages do not run: `return context.respond(…)`. */
  respond(reply: Reply): Answered
  /** Refuses with one of the reasons in `docs/errors.md`. */
  refuse(reason: Reason, why?: string): never
}

/** Attributes of a count, or fields of a log line. */
export type SignalAttributes = Readonly<Record<string, string | number | boolean>>

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** Where `count` and `log` of a context go. */
export interface PolicySignals {
  count(exchange: Exchange, name: string, attributes: SignalAttributes, value: number): void
  log(exchange: Exchange, level: LogLevel, message: string, fields: SignalAttributes): void
}

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** The hooks of `Hooks` with the small context instead of the exchange. */
export type ContextHooks = {
  readonly [Phase in keyof Hooks]?: WithContext<NonNullable<Hooks[Phase]>>
}

type WithContext<Hook> = Hook extends (exchange: Exchange, ...rest: infer Rest) => infer Result
  ? (context: PolicyContext, ...rest: Rest) => Result
  : never

/**
 * Converts hooks that use the context to hooks of the gateway.
 *
 * @param contextOf returns the one context of each exchange
 */
export function withContext(
  { onArrival, onRequest, onAttempt, onResponse, onBody, onEnd }: ContextHooks,
  contextOf: (exchange: Exchange) => ExchangeContext,
): Hooks {
  const onAttemptOf: LateHooks['onAttempt'][number] = (exchange, attempt) => {
    const context = contextOf(exchange)
    context.attempt = attempt.number
    onAttempt?.(context, attempt)
  }
  return {
    onArrival: onArrival && (exchange => onArrival(contextOf(exchange))),
    onRequest: onRequest && (exchange => onRequest(contextOf(exchange))),
    // Without any of these hooks the number of attempts is not needed.
    onAttempt: (onAttempt ?? onResponse ?? onBody ?? onEnd) && onAttemptOf,
    onResponse: onResponse && ((exchange, head) => onResponse(contextOf(exchange), head)),
    onBody: onBody && ((exchange, head) => onBody(contextOf(exchange), head)),
    onEnd: onEnd && (exchange => onEnd(contextOf(exchange))),
  }
}

const MAX_READ_BYTES = 16 * 1024 * 1024
const NONE: SignalAttributes = {}

export class ExchangeContext implements PolicyContext {
  readonly #exchange: Exchange
  readonly #signals: PolicySignals
  #body: Promise<Buffer> | undefined
  attempt = 0

  constructor(exchange: Exchange, signals: PolicySignals) {
    this.#exchange = exchange
    this.#signals = signals
  }

  get method(): string {
    return this.#exchange.request.method ?? ''
  }

  get path(): string {
    return this.#exchange.path
  }

  get query(): string {
    return this.#exchange.query
  }

  get host(): string {
    return this.#exchange.host
  }

  get headers(): PolicyContext['headers'] {
    return this.#exchange.request.headers
  }

  get clientAddress(): string {
    return this.#exchange.clientAddress
  }

  get consumer(): PolicyContext['consumer'] {
    return this.#exchange.consumer
  }

  get route(): string | undefined {
    return this.#exchange.route?.name
  }

  get traceId(): string | undefined {
    return trace.getSpanContext(this.#exchange.context)?.traceId
  }

  readBody(maxBytes: number): Promise<Buffer> {
    if (!(maxBytes > 0 && maxBytes <= MAX_READ_BYTES)) throw new Error(`readBody: 1 to ${MAX_READ_BYTES} bytes`)
    return (this.#body ??= readBody(this.#exchange, maxBytes))
  }

  setAttribute(name: string, value: string | number | boolean): void {
    trace.getSpan(this.#exchange.context)?.setAttribute(name, value)
  }

  count(name: string, attributes: SignalAttributes = NONE, value = 1): void {
    this.#signals.count(this.#exchange, name, attributes, value)
  }

  log(level: LogLevel, message: string, fields: SignalAttributes = NONE): void {
    this.#signals.log(this.#exchange, level, message, fields)
  }

  respond({ status, headers = {}, body = '' }: Reply): Answered {
    const length = status === 204 || status === 304 ? [] : ['Content-Length', String(Buffer.byteLength(body))]
    sendLocalReply(this.#exchange, { status, fields: [...Object.entries(headers).flat(), ...length], body })
    return ANSWERED
  }

  refuse(reason: Reason, why?: string): never {
    throw new GatewayError(reason, why === undefined ? {} : { cause: new Error(why) })
  }
}
