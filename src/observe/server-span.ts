import { SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api'
import { REASONS } from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import { schemeOf } from '../exchange/peer'
import type { Route } from '../routing/route'
import { methodLabel, OTHER_METHOD, spanMethod } from '../telemetry/http-method'
import { describeRpc } from './rpc'
import { eventLoopDelay } from '../process/event-loop-delay'
import * as semconv from '../telemetry/semconv'

/** Sets the attributes of the route, as soon as it is matched. */
export function describeRoute(span: Span, { request, path }: Exchange, route: Route): void {
  const method = methodLabel(request.method)
  span.updateName(`${spanMethod(method)} ${route.template}`)
  span.setAttributes({
    [semconv.ATTR_HTTP_REQUEST_METHOD]: method,
    [semconv.ATTR_HTTP_ROUTE]: route.template,
    [semconv.ATTR_URL_PATH]: path,
  })
  if (route.upstreamName !== undefined) span.setAttribute(semconv.ATTR_UPSTREAM_NAME, route.upstreamName)
}

/** Sets variant and upstream, as soon as the variant of a split is chosen. */
export function describeVariant({ context }: Exchange, { upstreamName, variant }: Route): void {
  const span = trace.getSpan(context)
  if (span === undefined || !span.isRecording()) return
  if (upstreamName !== undefined) span.setAttribute(semconv.ATTR_UPSTREAM_NAME, upstreamName)
  if (variant !== undefined) span.setAttribute(semconv.ATTR_VARIANT, variant)
}

/** Sets the consumer, as soon as it is authenticated. */
export function describeConsumer({ context, consumer }: Exchange): void {
  if (consumer !== undefined) trace.getSpan(context)?.setAttribute(semconv.ATTR_CONSUMER_NAME, consumer.name)
}

/** Sets all other attributes after the response has closed. */
export function describe(span: Span, exchange: Exchange, method: string): void {
  const { request } = exchange
  const attributes: Attributes = {
    [semconv.ATTR_URL_SCHEME]: schemeOf(request),
    [semconv.ATTR_NETWORK_PROTOCOL_VERSION]: request.httpVersion,
    [semconv.ATTR_HTTP_RESPONSE_STATUS_CODE]: exchange.statusCode,
  }
  if (exchange.route === undefined) {
    attributes[semconv.ATTR_HTTP_REQUEST_METHOD] = method
    attributes[semconv.ATTR_URL_PATH] = exchange.path
  }
  if (exchange.requestId !== '') attributes[semconv.ATTR_REQUEST_ID] = exchange.requestId
  if (exchange.clientAddress !== '') attributes[semconv.ATTR_CLIENT_ADDRESS] = exchange.clientAddress
  if (exchange.host !== '') {
    attributes[semconv.ATTR_SERVER_ADDRESS] = exchange.host
    const port = portOf(request.headers.host)
    if (port !== undefined) attributes[semconv.ATTR_SERVER_PORT] = port
  }
  const loopDelay = eventLoopDelay.during(exchange.startedAt)
  if (loopDelay > 0) attributes[semconv.ATTR_EVENT_LOOP_DELAY] = loopDelay / 1_000
  const userAgent = request.headers['user-agent']
  if (userAgent !== undefined) attributes[semconv.ATTR_USER_AGENT_ORIGINAL] = userAgent
  if (method === OTHER_METHOD) attributes[semconv.ATTR_HTTP_REQUEST_METHOD_ORIGINAL] = request.method ?? ''
  if (exchange.tunnel) {
    attributes[semconv.ATTR_STREAM_ENDED_BY] = exchange.tunnel.endedBy ?? 'gateway'
    attributes[semconv.ATTR_STREAM_BYTES_IN] = exchange.tunnel.bytesIn
    attributes[semconv.ATTR_STREAM_BYTES_OUT] = exchange.tunnel.bytesOut
  }
  if (exchange.grpc !== undefined) describeRpc(attributes, exchange, exchange.grpc)
  span.setAttributes(attributes)
  describeOutcome(span, exchange)
}

/** Returns the port in `Host`; undefined without one, because only a proxy in front knows whether it was 80 or 443. */
function portOf(host: string | undefined): number | undefined {
  if (host === undefined) return undefined
  const colon = host.lastIndexOf(':')
  return colon > host.lastIndexOf(']') ? Number(host.slice(colon + 1)) : undefined
}

/** Sets the outcome. Faults and 5xx responses are errors. */
export function describeOutcome(span: Span, { outcome, reason, cause }: Exchange): void {
  span.setAttribute(semconv.ATTR_OUTCOME, outcome)
  if (reason === undefined) return
  span.setAttribute(semconv.ATTR_REASON, reason)
  // Refusals and client aborts are not errors, unless the HTTP conventions classify the status as one (5xx).
  if (outcome !== 'fault' && REASONS[reason].status < 500) return
  span.setAttribute(semconv.ATTR_ERROR_TYPE, reason)
  span.setStatus({ code: SpanStatusCode.ERROR, message: REASONS[reason].title })
  if (outcome === 'fault' && cause instanceof Error) span.recordException(cause)
}
