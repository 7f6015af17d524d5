import { context, trace, type Context } from '@opentelemetry/api'
import type { Exchange, StreamKind } from '../exchange/exchange'
import type { Route } from '../routing/route'
import * as semconv from '../telemetry/semconv'
import { describeConsumer, describeOutcome, describeVariant } from './server-span'
import type { ServerTelemetry } from './server-telemetry'

/** Adds the gateway's attributes to the span and the metric of the stock instrumentations of http and Express. */
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
    // The stock span also ends on 'close'. This listener runs first, so that the span records that the client left.
    exchange.response.prependListener('close', () => exchange.call?.onClientClose())
    const span = trace.getSpan(exchange.context)
    if (exchange.clientAddress !== '') span?.setAttribute(semconv.ATTR_CLIENT_ADDRESS, exchange.clientAddress)
    if (route.upstreamName !== undefined) span?.setAttribute(semconv.ATTR_UPSTREAM_NAME, route.upstreamName)
  }

  varied(exchange: Exchange, route: Route): void {
    describeVariant(exchange, route)
  }

  streaming(exchange: Exchange, kind: StreamKind): void {
    trace.getSpan(exchange.context)?.setAttribute(semconv.ATTR_STREAM, kind)
  }

  authenticated(exchange: Exchange): void {
    describeConsumer(exchange)
  }

  /** Sets the outcome immediately, because the stock span ends before the gateway's 'close' listener runs. */
  concluded(exchange: Exchange): void {
    const span = trace.getSpan(exchange.context)
    if (span?.isRecording()) describeOutcome(span, exchange)
  }

  end(_exchange: Exchange): void {
    // The stock instrumentation ends its span itself.
  }
}
