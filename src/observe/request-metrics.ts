import type { Attributes, Counter } from '@opentelemetry/api'
import {
  ENTRYPOINT_REASONS,
  FAULT_REASONS,
  OWN_FAULT_REASONS,
  REASONS,
  UPSTREAM_REFUSAL_REASONS,
  type Outcome,
  type Reason,
} from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import type { Route } from '../routing/route'
import { gatewayMeter } from '../telemetry/scope'
import {
  ATTR_HTTP_ROUTE,
  ATTR_OUTCOME,
  ATTR_REASON,
  ATTR_SPLIT_ROLE,
  ATTR_UPSTREAM_NAME,
  ATTR_VARIANT,
  METRIC_REQUESTS,
  METRIC_SPLIT_WEIGHT,
} from '../telemetry/semconv'

/**
 * Counts every request once, by its outcome. Label values come only from the configuration and the table of reasons, so
 * clients cannot create series; there are at most (routes + 1) × (reasons + 1).
 */
export class RequestMetrics {
  readonly #requests: Counter
  /** One attribute object per series, frozen so that its hash can be cached (`otel/sdk/attribute-hashes.ts`). */
  /** Active variants of splits. */
  #variants: readonly Route[] = []
  readonly #series = new WeakMap<object, Map<string, Attributes>>()
  /** The series of the last request: most requests end alike. */
  #last: { readonly owner: object; readonly key: string; readonly attributes: Attributes } | undefined

  constructor() {
    this.#requests = gatewayMeter().createCounter(METRIC_REQUESTS, {
      description: 'Requests by outcome and reason',
      unit: '{request}',
    })
    gatewayMeter()
      .createObservableGauge(METRIC_SPLIT_WEIGHT, { description: 'Configured weights of the variants of splits' })
      .addCallback(result => {
        for (const route of this.#variants) result.observe(route.share?.weight ?? 0, weightAttributes(route))
      })
  }

  /**
   * Creates all possible series of the configuration with 0, because `rate()` does not see the first burst of a new
   * series.
   *
   * @param routes the routes, each with the reasons for which its policies may refuse requests
   */
  announce(routes: readonly (Route & { readonly refusals?: readonly Reason[] | undefined })[]): void {
    this.#variants = routes.filter(({ share }) => share !== undefined)
    for (const reason of ENTRYPOINT_REASONS) this.#announce(undefined, reason)
    for (const route of routes) {
      this.#requests.add(0, this.#attributes(route, 'ok', undefined))
      const hasUpstream = route.upstreamName !== undefined
      for (const reason of hasUpstream ? FAULT_REASONS : OWN_FAULT_REASONS) this.#announce(route, reason)
      for (const reason of hasUpstream ? UPSTREAM_REFUSAL_REASONS : []) this.#announce(route, reason)
      for (const reason of route.refusals ?? []) this.#announce(route, reason)
      this.#announce(route, 'client_closed')
    }
  }

  #announce(route: Route | undefined, reason: Reason): void {
    this.#requests.add(0, this.#attributes(route, REASONS[reason].outcome, reason))
  }

  count({ route, outcome, reason, context }: Exchange): void {
    this.#requests.add(1, this.#attributes(route, outcome, reason), context)
  }

  /** Counts a request that was rejected before it had an exchange: malformed, too large or too slow. */
  countRefused(reason: Reason): void {
    this.#requests.add(1, this.#attributes(undefined, REASONS[reason].outcome, reason))
  }

  #attributes(route: Route | undefined, outcome: Outcome, reason: Reason | undefined): Attributes {
    const owner = route ?? NO_ROUTE
    const key = reason ?? outcome
    if (this.#last?.owner === owner && this.#last.key === key) return this.#last.attributes
    let byReason = this.#series.get(owner)
    if (!byReason) this.#series.set(owner, (byReason = new Map()))
    let attributes = byReason.get(key)
    if (!attributes) byReason.set(key, (attributes = toAttributes(route, outcome, reason)))
    this.#last = { owner, key, attributes }
    return attributes
  }
}

/** Key of the series shared by all requests that matched no route. */
const NO_ROUTE = {}

function weightAttributes({ template, upstreamName, variant, share }: Route): Attributes {
  return {
    [ATTR_HTTP_ROUTE]: template,
    [ATTR_UPSTREAM_NAME]: upstreamName,
    [ATTR_VARIANT]: variant,
    [ATTR_SPLIT_ROLE]: share?.isStable ? 'stable' : 'candidate',
  }
}

function toAttributes(route: Route | undefined, outcome: Outcome, reason: Reason | undefined): Attributes {
  return Object.freeze({
    ...(route && { [ATTR_HTTP_ROUTE]: route.template }),
    ...(route && route.upstreamName !== undefined && { [ATTR_UPSTREAM_NAME]: route.upstreamName }),
    ...(route?.variant !== undefined && { [ATTR_VARIANT]: route.variant }),
    [ATTR_OUTCOME]: outcome,
    ...(reason && { [ATTR_REASON]: reason }),
  })
}
