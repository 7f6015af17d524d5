import { metrics, type Attributes, type Counter } from '@opentelemetry/api'
import { FAULT_REASONS, OWN_FAULT_REASONS, REASONS, type Outcome, type Reason } from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import type { Route } from '../routing/route'
import {
  ATTR_HTTP_ROUTE,
  ATTR_OUTCOME,
  ATTR_REASON,
  ATTR_UPSTREAM_NAME,
  METRIC_REQUESTS,
  SCOPE_NAME,
} from '../telemetry/semconv'

/**
 * Counts every request once, by how it ended. Label values come from the configuration and the table of reasons only, so
 * clients cannot make series: at the most (routes + 1) × (reasons + 1).
 */
export class RequestMetrics {
  readonly #requests: Counter
  /** One attribute object per series, made once; frozen, so that its hash can be remembered (`otel/sdk/attribute-hashes.ts`). */
  readonly #series = new WeakMap<object, Map<string, Attributes>>()

  constructor() {
    this.#requests = metrics.getMeter(SCOPE_NAME).createCounter(METRIC_REQUESTS, {
      description: 'Requests by how they ended',
      unit: '{request}',
    })
  }

  /** A series that is born with its first fault hides it from `rate()`: those with alerts exist with 0 from the start. */
  announce(routes: readonly Route[]): void {
    this.#requests.add(0, this.#attributes(undefined, 'refusal', 'shed'))
    for (const route of routes) {
      this.#requests.add(0, this.#attributes(route, 'ok', undefined))
      const reasons = route.upstreamName === undefined ? OWN_FAULT_REASONS : FAULT_REASONS
      for (const reason of reasons) this.#requests.add(0, this.#attributes(route, 'fault', reason))
    }
  }

  count({ route, outcome, reason, context }: Exchange): void {
    this.#requests.add(1, this.#attributes(route, outcome, reason), context)
  }

  /** What never became a request: malformed, too large, too slow. */
  countRefused(reason: Reason): void {
    this.#requests.add(1, this.#attributes(undefined, REASONS[reason].outcome, reason))
  }

  #attributes(route: Route | undefined, outcome: Outcome, reason: Reason | undefined): Attributes {
    const owner = route ?? NO_ROUTE
    let byReason = this.#series.get(owner)
    if (!byReason) this.#series.set(owner, (byReason = new Map()))
    const key = reason ?? outcome
    let attributes = byReason.get(key)
    if (!attributes) byReason.set(key, (attributes = toAttributes(route, outcome, reason)))
    return attributes
  }
}

/** All requests that matched no route share one set of series. */
const NO_ROUTE = {}

function toAttributes(route: Route | undefined, outcome: Outcome, reason: Reason | undefined): Attributes {
  return Object.freeze({
    ...(route && { [ATTR_HTTP_ROUTE]: route.template }),
    ...(route && route.upstreamName !== undefined && { [ATTR_UPSTREAM_NAME]: route.upstreamName }),
    [ATTR_OUTCOME]: outcome,
    ...(reason && { [ATTR_REASON]: reason }),
  })
}
