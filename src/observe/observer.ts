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
  /** SERVER span and duration. */
  readonly serverTelemetry: ServerTelemetry
  /** CLIENT span and duration of each call to a target. */
  readonly clientTelemetry: ClientTelemetry
  /** Requests by outcome and reason. */
  readonly metrics: RequestMetrics
  /** The last quarter of an hour, for the status page. */
  readonly recent: RecentRequests
  /** What failing requests are compared with. */
  readonly samples: RequestSamples
  readonly logAccess: AccessLog
}

/**
 * Follows each request through its life: begin → routed → forwarded (each attempt) → concluded → closed. This file has the
 * order of span, metrics and log; docs/architecture.md has the drawing.
 */
export class Observer implements ExchangeObserver {
  readonly #observed: Observed

  constructor(observed: Observed) {
    this.#observed = observed
  }

  /** Each call to a target begins and ends a CLIENT span with it. */
  get forwarded(): ClientTelemetry {
    return this.#observed.clientTelemetry
  }

  /** Series and counts of these routes exist from now on, with 0. */
  announce(routes: readonly Route[]): void {
    this.#observed.metrics.announce(routes)
    this.#observed.recent.announce(routes)
  }

  /**
   * The first step, before the request is an exchange.
   *
   * @param continuesTrace whose trace is continued; all other requests start a trace of their own
   * @returns the context of the request, with its SERVER span
   */
  begin(request: IncomingMessage, continuesTrace: (request: IncomingMessage) => boolean): Context {
    return this.#observed.serverTelemetry.begin(request, continuesTrace)
  }

  routed(exchange: Exchange, route: Route): void {
    this.#observed.serverTelemetry.matched(exchange, route)
  }

  authenticated(exchange: Exchange): void {
    this.#observed.serverTelemetry.authenticated(exchange)
  }

  streaming(exchange: Exchange, kind: StreamKind): void {
    this.#observed.serverTelemetry.streaming(exchange, kind)
  }

  /** The outcome is anything but `ok`. Called once. */
  concluded(exchange: Exchange): void {
    this.#observed.serverTelemetry.concluded(exchange)
  }

  /**
   * The response is finished or lost. The span ends first: that decides whether the trace is kept, and the exemplars of the
   * metrics after it may only point at traces that are kept.
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

  /** Turned away before it became an exchange: counted, without a span or a log line, which would be load as well. */
  rejected(reason: Reason): void {
    this.#observed.metrics.countRefused(reason)
    this.#observed.recent.noteRefused()
  }
}
