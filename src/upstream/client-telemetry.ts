import { SpanKind, SpanStatusCode, type Attributes, type Histogram, type Span, type Tracer } from '@opentelemetry/api'
import { faultStatusOf, type GrpcStatus } from '../errors/grpc-status'
import type { Reason } from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import { RecentCalls } from '../exchange/traffic/recent-calls'
import { methodLabel, OTHER_METHOD, spanMethod } from '../telemetry/http-method'
import { gatewayMeter, gatewayTracer } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { statusLabel } from '../telemetry/status-code'
import { createTraceInjector } from '../telemetry/trace-fields'

/** Telemetry of calls to upstreams. There are two implementations: the gateway's own, and the stock instrumentation. */
export interface ClientTelemetry {
  /**
   * Starts the telemetry of a call; adds the trace context to `headers` (flat name, value pairs).
   *
   * @param method default: that of the request
   */
  begin(
    exchange: Exchange,
    target: TargetAttributes,
    path: string,
    headers: string[],
    resend?: ResendAttributes,
    method?: string,
  ): CallTelemetry
}

/** Attributes of a retry. */
export interface ResendAttributes {
  readonly count: number
  readonly reason: Reason
}

/** Telemetry of one call: `sent()` if the call was dispatched, then exactly one of the other methods, once. */
export interface CallTelemetry {
  /** The call was dispatched on a connection. The time before that does not count as the upstream's. */
  sent(): void
  /** The response has arrived, with any status; `grpcStatus` is that of a gRPC answer. */
  responded(statusCode: number, grpcStatus?: GrpcStatus): void
  /**
   * No complete response arrived; `errorType` is a reason of `errors/reasons.ts`, `statusCode` that of a partial one.
   */
  failed(errorType: string, cause: unknown, statusCode: number | undefined): void
  /** The call left the queue without a connection; it was not made, so it is not counted. */
  abandoned(errorType: string): void
}

/** Attributes shared by all calls to a target, created once. */
export interface TargetAttributes {
  readonly upstreamName: string
  readonly origin: string
  readonly address: string
  readonly port: number
  readonly scheme: string
  /** Calls of the last quarter of an hour, for the pages. */
  readonly calls: RecentCalls
  /** Attribute objects of the duration, by method and by status or error type; bounded by the tables of these. */
  readonly series: Map<string, Map<number | string, Attributes>>
}

export function toTargetAttributes(upstreamName: string, origin: string): TargetAttributes {
  const { hostname, port, protocol } = new URL(origin)
  const scheme = protocol.slice(0, -1)
  return {
    upstreamName,
    origin,
    address: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || (scheme === 'https' ? 443 : 80)),
    scheme,
    calls: new RecentCalls(),
    series: new Map(),
  }
}

/** Records one CLIENT span and one duration per call, by the stable HTTP conventions of OpenTelemetry. */
export class OwnClientTelemetry implements ClientTelemetry {
  readonly #tracer: Tracer = gatewayTracer()
  readonly #inject = createTraceInjector()
  readonly #duration: Histogram = gatewayMeter().createHistogram(semconv.METRIC_HTTP_CLIENT_REQUEST_DURATION, {
    unit: 's',
    advice: { explicitBucketBoundaries: semconv.DURATION_BUCKETS_S },
    description: 'Duration of calls to upstream targets',
  })

  begin(
    exchange: Exchange,
    target: TargetAttributes,
    path: string,
    headers: string[],
    resend?: ResendAttributes,
    sentMethod = exchange.request.method,
  ): CallTelemetry {
    const method = methodLabel(sentMethod)
    const span = this.#tracer.startSpan(spanMethod(method), { kind: SpanKind.CLIENT }, exchange.context)
    if (span.isRecording()) {
      span.setAttributes({
        [semconv.ATTR_HTTP_REQUEST_METHOD]: method,
        [semconv.ATTR_SERVER_ADDRESS]: target.address,
        [semconv.ATTR_SERVER_PORT]: target.port,
        [semconv.ATTR_URL_FULL]: target.origin + path, // without the query, which may carry secrets
        [semconv.ATTR_UPSTREAM_NAME]: target.upstreamName,
      })
      if (resend) {
        span.setAttribute(semconv.ATTR_HTTP_REQUEST_RESEND_COUNT, resend.count)
        span.setAttribute(semconv.ATTR_RETRY_REASON, resend.reason)
      }
      if (method === OTHER_METHOD) {
        span.setAttribute(semconv.ATTR_HTTP_REQUEST_METHOD_ORIGINAL, exchange.request.method ?? '')
      }
    }
    this.#inject?.(span, exchange.context, headers)
    return new OwnCall(span, this.#duration, target, method, exchange)
  }
}

class OwnCall implements CallTelemetry {
  readonly #span: Span
  readonly #duration: Histogram
  readonly #target: TargetAttributes
  readonly #method: string
  readonly #exchange: Exchange
  #startedAt = performance.now()

  constructor(span: Span, duration: Histogram, target: TargetAttributes, method: string, exchange: Exchange) {
    this.#span = span
    this.#duration = duration
    this.#target = target
    this.#method = method
    this.#exchange = exchange
  }

  sent(): void {
    this.#startedAt = performance.now()
  }

  responded(statusCode: number, grpcStatus?: GrpcStatus): void {
    if (this.#span.isRecording()) {
      if (grpcStatus !== undefined) {
        this.#span.setAttribute(semconv.ATTR_RPC_STATUS_CODE, grpcStatus)
        if (faultStatusOf(grpcStatus) !== undefined) this.#mark(grpcStatus)
      }
      this.#span.setAttribute(semconv.ATTR_HTTP_RESPONSE_STATUS_CODE, statusCode)
      if (statusCode >= 400) {
        this.#span.setAttribute(semconv.ATTR_ERROR_TYPE, String(statusCode))
        this.#span.setStatus({ code: SpanStatusCode.ERROR })
      }
    }
    const label = statusLabel(statusCode)
    this.#end(label, label >= 400 ? String(label) : undefined)
  }

  failed(errorType: string, cause: unknown, statusCode: number | undefined): void {
    if (statusCode !== undefined && this.#span.isRecording()) {
      this.#span.setAttribute(semconv.ATTR_HTTP_RESPONSE_STATUS_CODE, statusCode)
    }
    this.#mark(errorType)
    if (errorType !== 'client_closed' && cause instanceof Error) this.#span.recordException(cause)
    this.#end(undefined, errorType)
  }

  abandoned(errorType: string): void {
    this.#mark(errorType)
    this.#span.end()
  }

  #mark(errorType: string): void {
    if (!this.#span.isRecording() || errorType === 'client_closed') return
    this.#span.setAttribute(semconv.ATTR_ERROR_TYPE, errorType)
    this.#span.setStatus({ code: SpanStatusCode.ERROR })
  }

  #end(statusCode: number | undefined, errorType: string | undefined): void {
    this.#span.end()
    const now = performance.now()
    const durationMs = now - this.#startedAt
    const seconds = durationMs / 1000
    const isOk = statusCode !== undefined && statusCode < 500
    const outcome = isOk ? 'ok' : errorType === 'client_closed' ? 'client_closed' : 'fault'
    this.#target.calls.note(now, outcome, this.#exchange.stream === undefined ? durationMs : undefined)
    this.#duration.record(seconds, this.#attributes(statusCode, errorType), this.#exchange.context)
  }

  #attributes(statusCode: number | undefined, errorType: string | undefined): Attributes {
    const target = this.#target
    let ofMethod = target.series.get(this.#method)
    if (!ofMethod) target.series.set(this.#method, (ofMethod = new Map()))
    const key = statusCode ?? errorType ?? ''
    let attributes = ofMethod.get(key)
    if (!attributes) {
      attributes = Object.freeze({
        [semconv.ATTR_HTTP_REQUEST_METHOD]: this.#method,
        [semconv.ATTR_SERVER_ADDRESS]: target.address,
        [semconv.ATTR_SERVER_PORT]: target.port,
        [semconv.ATTR_URL_SCHEME]: target.scheme,
        [semconv.ATTR_UPSTREAM_NAME]: target.upstreamName,
        ...(statusCode !== undefined && { [semconv.ATTR_HTTP_RESPONSE_STATUS_CODE]: statusCode }),
        ...(errorType !== undefined && { [semconv.ATTR_ERROR_TYPE]: errorType }),
      })
      ofMethod.set(key, attributes)
    }
    return attributes
  }
}

/**
 * Records nothing. Used with telemetry off, and with the stock instrumentation, which uses undici's diagnostics
 * channels and adds the trace context itself.
 */
export class SilentClientTelemetry implements ClientTelemetry {
  begin(): CallTelemetry {
    return SILENT_CALL
  }
}

const SILENT_CALL: CallTelemetry = {
  sent: () => undefined,
  responded: () => undefined,
  failed: () => undefined,
  abandoned: () => undefined,
}
