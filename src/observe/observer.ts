import type { IncomingMessage } from 'node:http'
import type { Context } from '@opentelemetry/api'
import type { Reason } from '../errors/reasons'
import type { Exchange, ExchangeObserver, StreamKind } from '../exchange/exchange'
import type { Route } from '../routing/route'
import type { ClientTelemetry } from '../upstream/client-telemetry'
import type { AccessLog } from './access-log'
import type { RecentRequests } from './recent/recent-requests'
import type { RequestMetrics } from './request-metrics'
import type { RequestSamples } from './samples/request-samples'
import type { ServerTelemetry } from './server-telemetry'

export interface Observed {
  /** Records the SERVER span and the duration. */
  readonly serverTelemetry: ServerTelemetry
  /** Records the CLIENT span and the duration of each call to a target. */
  readonly clientTelemetry: ClientTelemetry
  /** Counts requests by outcome and reason. */
  readonly metrics: RequestMetrics
  /** The last quarter of an hour, for the status page. */
  readonly recent: RecentRequests
  /** Sampled requests, with which failing ones are compared. */
  readonly samples: RequestSamples
  readonly logAccess: AccessLog
}

/**
 * Observes each exchange: begin → routed → forwarded (each attempt) → concluded → closed. This file defines the order
 * of span, metrics and log; docs/architecture.md has a diagram.
 */
export class Observer implements ExchangeObserver {
  readonly #observed: Observed

  constructor(observed: Observed) {
    this.#observed = observed
  }

  /** Telemetry that begins and ends the CLIENT span of each call to a target. */
  get forwarded(): ClientTelemetry {
    return this.#observed.clientTelemetry
  }

  /** Creates the series and counts of these routes with 0. */
  announce(routes: readonly Route[]): void {
    this.#observed.metrics.announce(routes)
    this.#observed.recent.announce(routes)
  }

  /**
   * Starts the telemetry of a request, before its exchange exists.
   *
   * @param continuesTrace whether the trace of the caller is continued; otherwise the request starts a new trace
   * @returns the context of the request, with its SERVER span
   */
  begin(request: IncomingMessage, continuesTrace: (request: IncomingMessage) => boolean): Context {
    return this.#observed.serverTelemetry.begin(request, continuesTrace)
  }

  routed(exchange: Exchange, route: Route): void {
    this.#observed.serverTelemetry.matched(exchange, route)
  }

  /** Records the variant of a split, with the route that stands for it. */
  varied(exchange: Exchange, route: Route): void {
    this.#observed.serverTelemetry.varied(exchange, route)
  }

  authenticated(exchange: Exchange): void {
    this.#observed.serverTelemetry.authenticated(exchange)
  }

  streaming(exchange: Exchange, kind: StreamKind): void {
    this.#observed.serverTelemetry.streaming(exchange, kind)
  }

  /** Records an outcome other than `ok`. Called once. */
  concluded(exchange: Exchange): void {
    this.#observed.serverTelemetry.concluded(exchange)
  }

  /**
   * Records the end of the exchange, with its response sent or lost. The span ends first, which decides whether the
   * trace is kept; the exemplars of the metrics must only refer to kept traces.
   */
  closed(exchange: Exchange): void {
    if (exchange.hooks !== undefined) for (const hook of exchange.hooks.onEnd) hook(exchange)
    const { serverTelemetry, metrics, recent, samples, logAccess } = this.#observed
    serverTelemetry.end(exchange)
    metrics.count(exchange)
    recent.note(exchange)
    samples.note(exchange)
    for (const decision of exchange.limitDecisions) decision.count(exchange.context)
    logAccess(exchange)
  }

  /** Counts a request rejected before it became an exchange. A span or a log line would add load. */
  rejected(reason: Reason): void {
    this.#observed.metrics.countRefused(reason)
    this.#observed.recent.noteRefused()
  }
}
