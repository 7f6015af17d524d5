import type { IncomingMessage } from 'node:http'
import {
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  trace,
  type Attributes,
  type Context,
  type Histogram,
  type Meter,
  type Tracer,
} from '@opentelemetry/api'
import { REASONS } from '../errors/reasons'
import type { Exchange, StreamKind } from '../exchange/exchange'
import { schemeOf } from '../exchange/peer'
import type { Route } from '../routing/route'
import { EMPTY_CONTEXT } from '../telemetry/empty-context'
import { methodLabel, spanMethod } from '../telemetry/http-method'
import { gatewayMeter, gatewayTracer } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { statusClass, statusLabel } from '../telemetry/status-code'
import { readTraceFields } from '../telemetry/trace-fields'
import { ActiveRequests } from '../entrypoint/active-requests'
import { ActiveStreams } from '../entrypoint/active-streams'
import { bodyBytesOf, bodyBytesSent } from '../entrypoint/express-messages'
import { RpcDurations } from './rpc'
import { describe, describeConsumer, describeRoute, describeVariant } from './server-span'

/** Telemetry of requests. There are two implementations: the gateway's own, and the stock instrumentations. */
export interface ServerTelemetry {
  /**
   * Starts the SERVER span and returns the context in which the request is handled.
   *
   * @param continuesTrace whether the trace of the caller is continued; otherwise a new trace starts
   */
  begin(request: IncomingMessage, continuesTrace: (request: IncomingMessage) => boolean): Context
  /** Called when the route is known. */
  matched(exchange: Exchange, route: Route): void
  /** Called when the variant of a split is chosen. */
  varied(exchange: Exchange, route: Route): void
  /** Called when the response turns out to be a stream. */
  streaming(exchange: Exchange, kind: StreamKind): void
  /** Called when the consumer is known. */
  authenticated(exchange: Exchange): void
  /** Called when the outcome is known. */
  concluded(exchange: Exchange): void
  /** Called when the response was sent or lost. */
  end(exchange: Exchange): void
}

/**
 * Records one SERVER span, one duration and the number of active requests, by the stable HTTP conventions of
 * OpenTelemetry. Creates the attribute object of each series once and patches no module.
 */
export class OwnServerTelemetry implements ServerTelemetry {
  readonly #tracer: Tracer = gatewayTracer()
  readonly #duration: Histogram
  readonly #streamDuration: Histogram
  /** Undefined unless body sizes are enabled. */
  readonly #bodySizes: BodySizes | undefined
  readonly #calls: RpcDurations
  readonly #active: ActiveRequests
  readonly #activeStreams: ActiveStreams
  readonly #series = new SeriesCache()
  /** The fields that may carry a caller's trace, according to the active propagators. */
  readonly #traceFields = readTraceFields()

  /** @param boundaries bucket boundaries of the duration in seconds, including the thresholds of latency objectives */
  constructor(boundaries: readonly number[] = semconv.DURATION_BUCKETS_S, hasBodySizes = false) {
    const meter = gatewayMeter()
    this.#duration = meter.createHistogram(semconv.METRIC_HTTP_SERVER_REQUEST_DURATION, {
      unit: 's',
      advice: { explicitBucketBoundaries: [...boundaries] },
      description: 'Duration of HTTP server requests',
    })
    this.#streamDuration = meter.createHistogram(semconv.METRIC_STREAM_DURATION, {
      unit: 's',
      advice: { explicitBucketBoundaries: STREAM_BUCKETS_S },
      description: 'How long event streams and WebSockets were open',
    })
    this.#bodySizes = hasBodySizes ? new BodySizes(meter) : undefined
    this.#calls = new RpcDurations(meter, boundaries)
    this.#active = new ActiveRequests(meter)
    this.#activeStreams = new ActiveStreams(meter)
  }

  begin(request: IncomingMessage, continuesTrace: (request: IncomingMessage) => boolean): Context {
    const caller = this.#callerContext(request, continuesTrace)
    const method = methodLabel(request.method)
    const span = this.#tracer.startSpan(spanMethod(method), { kind: SpanKind.SERVER }, caller)
    this.#active.began(request)
    // With telemetry off the span is invalid and needs no context.
    return span.isRecording() || isSpanContextValid(span.spanContext()) ? trace.setSpan(caller, span) : caller
  }

  /** Sets the route before the span ends, for requests that are reported while in flight. */
  matched(exchange: Exchange, route: Route): void {
    const span = trace.getSpan(exchange.context)
    if (span?.isRecording()) describeRoute(span, exchange, route)
  }

  varied(exchange: Exchange, route: Route): void {
    describeVariant(exchange, route)
  }

  /** Sets the stream kind immediately, so that a span that is open for minutes is recognisable as a stream. */
  streaming(exchange: Exchange, kind: StreamKind): void {
    trace.getSpan(exchange.context)?.setAttribute(semconv.ATTR_STREAM, kind)
    this.#activeStreams.began(exchange)
  }

  authenticated(exchange: Exchange): void {
    describeConsumer(exchange)
  }

  concluded(_exchange: Exchange): void {
    // All other attributes are set once, at the end.
  }

  end(exchange: Exchange): void {
    const method = methodLabel(exchange.request.method)
    const span = trace.getSpan(exchange.context)
    if (span?.isRecording()) describe(span, exchange, method)
    // The span ends first, because that decides whether its trace is kept, and exemplars depend on the decision.
    span?.end()
    const seconds = (performance.now() - exchange.startedAt) / 1000
    const histogram = exchange.stream === undefined ? this.#duration : this.#streamDuration
    const series = this.#series.of(exchange, method)
    histogram.record(seconds, series, exchange.context)
    if (exchange.stream === undefined) this.#bodySizes?.record(exchange, series)
    if (exchange.grpc !== undefined) this.#calls.record(exchange, exchange.grpc, seconds)
    this.#active.ended(exchange.request)
    if (exchange.stream !== undefined) this.#activeStreams.ended(exchange)
  }

  #callerContext(request: IncomingMessage, continuesTrace: (request: IncomingMessage) => boolean): Context {
    const { headers } = request
    for (const field of this.#traceFields) {
      if (headers[field] === undefined) continue
      return continuesTrace(request) ? propagation.extract(ROOT_CONTEXT, headers) : EMPTY_CONTEXT
    }
    return EMPTY_CONTEXT
  }
}

/** Records body sizes, which the messages count chunk by chunk (`entrypoint/express-messages.ts`). */
class BodySizes {
  readonly #requests: Histogram
  readonly #responses: Histogram

  constructor(meter: Meter) {
    const options = { unit: 'By', advice: { explicitBucketBoundaries: semconv.BODY_BUCKETS_BY } }
    this.#requests = meter.createHistogram(semconv.METRIC_HTTP_SERVER_REQUEST_BODY_SIZE, {
      ...options,
      description: 'Size of HTTP server request bodies',
    })
    this.#responses = meter.createHistogram(semconv.METRIC_HTTP_SERVER_RESPONSE_BODY_SIZE, {
      ...options,
      description: 'Size of HTTP server response bodies',
    })
  }

  record({ request, response, context }: Exchange, series: Attributes): void {
    this.#requests.record(bodyBytesOf(request), series, context)
    this.#responses.record(bodyBytesSent(request.method, response), series, context)
  }
}

/** Bucket boundaries of stream durations, which last minutes by design. */
const STREAM_BUCKETS_S = [1, 5, 15, 60, 300, 900, 3600, 14_400, 86_400]

/**
 * Caches one attribute object per series of the duration, frozen for its hash. Bounded by routes × methods × statuses ×
 * versions, to which clients cannot add.
 */
class SeriesCache {
  readonly #byRoute = new WeakMap<object, RouteSeries>()

  of(exchange: Exchange, method: string): Attributes {
    const { request, route, reason, outcome, stream } = exchange
    const owner = route ?? NO_ROUTE
    let series = this.#byRoute.get(owner)
    if (!series) this.#byRoute.set(owner, (series = { byKey: new Map(), last: undefined }))
    const status = statusOfSeries(exchange)
    const errorType = outcome === 'fault' ? reason : undefined
    const { httpVersion } = request
    const { last } = series
    // Fast path: most requests of a route end alike.
    if (
      last?.status === status &&
      last.method === method &&
      last.httpVersion === httpVersion &&
      last.errorType === errorType &&
      last.stream === stream
    ) {
      return last.attributes
    }
    const key = `${method} ${status} ${httpVersion} ${errorType} ${stream}`
    let attributes = series.byKey.get(key)
    if (!attributes) {
      attributes = Object.freeze({
        [semconv.ATTR_HTTP_REQUEST_METHOD]: method,
        [semconv.ATTR_URL_SCHEME]: schemeOf(request),
        [semconv.ATTR_NETWORK_PROTOCOL_VERSION]: httpVersion,
        [semconv.ATTR_HTTP_RESPONSE_STATUS_CODE]: status,
        ...(route && { [semconv.ATTR_HTTP_ROUTE]: route.template }),
        ...(route?.variant !== undefined && { [semconv.ATTR_VARIANT]: route.variant }),
        ...(errorType && { [semconv.ATTR_ERROR_TYPE]: errorType }),
        ...(stream && { [semconv.ATTR_STREAM]: stream }),
      })
      series.byKey.set(key, attributes)
    }
    series.last = { method, status, httpVersion, errorType, stream, attributes }
    return attributes
  }
}

interface RouteSeries {
  readonly byKey: Map<string, Attributes>
  last: Series | undefined
}

interface Series {
  readonly method: string
  readonly status: number
  readonly httpVersion: string
  readonly errorType: string | undefined
  readonly stream: StreamKind | undefined
  readonly attributes: Attributes
}

const NO_ROUTE = {}

/**
 * Returns the status label. A response that broke off may have any status; combined with all reasons, there would be
 * too many series.
 */
function statusOfSeries(exchange: Exchange): number {
  const { outcome, reason, statusCode: status } = exchange
  if (status === 101) return status
  const hasBrokenOff =
    outcome === 'fault' && reason !== undefined && reason !== 'upstream_5xx' && status !== REASONS[reason].status
  return hasBrokenOff ? statusClass(status) : statusLabel(status)
}
