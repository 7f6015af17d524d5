import { context, trace, type Context } from '@opentelemetry/api'
import type { Exchange, StreamKind } from '../exchange/exchange'
import type { Route } from '../routing/route'
import * as semconv from '../telemetry/semconv'
import { describeConsumer, describeOutcome } from './server-span'
import type { ServerTelemetry } from './server-telemetry'

/** The stock instrumentations of http and Express make the span and the metric; the gateway only adds what it knows. */
export class StockServerTelemetry implements ServerTelemetry {
  readonly #setHttpRoute: (template: string) => void

  constructor(setHttpRoute: (template: string) => void) {
    this.#setHttpRoute = setHttpRoute
  }

  begin(): Context {
    return context.active()
  }

  matched(exchange: Exchange, route: Route): void {
    this.#setHttpRoute(route.template)
    // The stock span ends with the response, too, and would do so without knowing that the client has left.
    exchange.response.prependListener('close', () => exchange.call?.onClientClose())
    const span = trace.getSpan(exchange.context)
    if (exchange.clientAddress !== '') span?.setAttribute(semconv.ATTR_CLIENT_ADDRESS, exchange.clientAddress)
    if (route.upstreamName !== undefined) span?.setAttribute(semconv.ATTR_UPSTREAM_NAME, route.upstreamName)
  }

  streaming(exchange: Exchange, kind: StreamKind): void {
    trace.getSpan(exchange.context)?.setAttribute(semconv.ATTR_STREAM, kind)
  }

  authenticated(exchange: Exchange): void {
    describeConsumer(exchange)
  }

  /** At once, because the stock span ends before our own 'close' listener is called. */
  concluded(exchange: Exchange): void {
    const span = trace.getSpan(exchange.context)
    if (span?.isRecording()) describeOutcome(span, exchange)
  }

  end(_exchange: Exchange): void {
    // The stock instrumentation has ended its span by itself.
  }
}
