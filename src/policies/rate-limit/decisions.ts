import type { Attributes, Counter } from '@opentelemetry/api'
import type { RateLimitPolicy } from './schema'
import type { LimitDecision } from '../../exchange/exchange'
import type { Route } from '../../routing/route'
import { gatewayMeter } from '../../telemetry/scope'
import {
  ATTR_HTTP_ROUTE,
  ATTR_RATE_LIMITING_POLICY,
  ATTR_RATE_LIMITING_RESULT,
  ATTR_RATE_LIMITING_STORE,
  METRIC_RATE_LIMITING_REQUESTS,
} from '../../telemetry/semconv'
import type { AnsweringStore } from './rate-limit-store'

/** Result of a limiter. `would_limit`: over the limit of a policy in dry run. */
export type Result = 'allowed' | 'limited' | 'would_limit'

/** Counts the decisions of one policy. At most six series per policy: two results, three stores. */
export class Decisions {
  static #counter: Counter | undefined
  readonly #allowed: Readonly<Record<AnsweringStore, LimitDecision>>
  readonly #over: Readonly<Record<AnsweringStore, LimitDecision>>

  /** @param expected stores that answer in normal operation */
  constructor(route: Route, policy: RateLimitPolicy, expected: readonly AnsweringStore[]) {
    Decisions.#counter ??= gatewayMeter().createCounter(METRIC_RATE_LIMITING_REQUESTS, {
      description: 'Rate-limit decisions',
      unit: '{request}',
    })
    const counter = Decisions.#counter
    const decision = (result: Result, store: AnsweringStore): LimitDecision => {
      const attributes: Attributes = Object.freeze({
        [ATTR_HTTP_ROUTE]: route.template,
        [ATTR_RATE_LIMITING_POLICY]: policy.name,
        [ATTR_RATE_LIMITING_RESULT]: result,
        [ATTR_RATE_LIMITING_STORE]: store,
      })
      // Present with 0 from the start, so that `rate()` sees the first refusals of a fresh process.
      if (expected.includes(store)) counter.add(0, attributes)
      return { count: context => counter.add(1, attributes, context) }
    }
    const byStore = (result: Result): Record<AnsweringStore, LimitDecision> => ({
      redis: decision(result, 'redis'),
      local: decision(result, 'local'),
      none: decision(result, 'none'),
    })
    this.#allowed = byStore('allowed')
    this.#over = byStore(policy.dryRun ? 'would_limit' : 'limited')
  }

  of(allowed: boolean, store: AnsweringStore): LimitDecision {
    return allowed ? this.#allowed[store] : this.#over[store]
  }
}
