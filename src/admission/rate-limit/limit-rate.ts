import type { Request, Response } from 'express'
import { ipKeyGenerator, rateLimit, type RateLimitInfo } from 'express-rate-limit'
import { metrics, type Attributes, type Counter } from '@opentelemetry/api'
import type { RateLimitPolicy } from '../../config/types'
import { toError } from '../../errors/error-code'
import { GatewayError } from '../../errors/gateway-error'
import type { Exchange, LimitDecision, Stage } from '../../exchange'
import type { RedisConnection } from '../../redis/connection'
import type { Route } from '../../routing/route'
import {
  ATTR_HTTP_ROUTE,
  ATTR_RATE_LIMITING_POLICY,
  ATTR_RATE_LIMITING_RESULT,
  ATTR_RATE_LIMITING_STORE,
  METRIC_RATE_LIMITING_REQUESTS,
  SCOPE_NAME,
} from '../../telemetry/semconv'
import { RateLimitStore, type AnsweringStore } from './rate-limit-store'

export interface LimitRateOptions {
  readonly policy: RateLimitPolicy
  readonly route: Route
  readonly replicas: number
  readonly redis: RedisConnection | undefined
}

type Result = 'allowed' | 'limited'

/** The limiter reads and writes these of Express' request; the gateway hands it the exchange the same way. */
interface LimitedRequest extends Request {
  exchange: Exchange
  rateLimit?: RateLimitInfo | undefined
}

/**
 * Refuses a client that is over the policy's limit: 429 with `Retry-After`, and on every answer `RateLimit` and
 * `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-08, the newest that express-rate-limit speaks).
 */
export function limitRate(options: LimitRateOptions): Stage {
  const { policy, route } = options
  const store = new RateLimitStore(policy, { ...options, prefix: `myesi:rl:${route.name}:${policy.name}:` })
  const decisions = new Decisions(route, policy, options.redis === undefined ? ['local'] : ['redis', 'local'])
  const limiter = rateLimit({
    windowMs: policy.windowMs,
    limit: policy.limit,
    identifier: policy.name,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    store,
    keyGenerator: request => ipKeyGenerator((request as LimitedRequest).exchange.clientAddress),
    handler: (_request, _response, next) => next(new GatewayError('limited')),
    validate: false, // the configuration is checked by our own schema; the library's checks run in the request
  })

  return function limitClientRate(exchange) {
    const request = exchange.request as LimitedRequest
    request.exchange = exchange
    request.rateLimit = undefined // an earlier policy's answer must not be counted as this one's
    return new Promise((resolve, reject) => {
      void limiter(request, exchange.response as Response, (error?: unknown) => {
        const result: Result = error === undefined ? 'allowed' : 'limited'
        if (request.rateLimit) {
          exchange.limitDecisions.push(decisions.of(result, store.answeredBy(request.rateLimit.resetTime)))
        }
        if (error === undefined) resolve()
        else reject(toError(error))
      })
    })
  }
}

/** Counts decisions. Six series per policy at the most: two results, three stores. */
class Decisions {
  static #counter: Counter | undefined
  readonly #decisions: Record<Result, Record<AnsweringStore, LimitDecision>>

  constructor(route: Route, policy: RateLimitPolicy, expected: readonly AnsweringStore[]) {
    Decisions.#counter ??= metrics.getMeter(SCOPE_NAME).createCounter(METRIC_RATE_LIMITING_REQUESTS, {
      description: 'Rate-limit decisions',
      unit: '{request}',
    })
    const counter = Decisions.#counter
    const decision = (result: Result, store: AnsweringStore): LimitDecision => {
      const attributes: Attributes = {
        [ATTR_HTTP_ROUTE]: route.template,
        [ATTR_RATE_LIMITING_POLICY]: policy.name,
        [ATTR_RATE_LIMITING_RESULT]: result,
        [ATTR_RATE_LIMITING_STORE]: store,
      }
      // Present with 0 from the start, so that `rate()` sees the first refusals of a fresh process.
      if (expected.includes(store)) counter.add(0, attributes)
      return { count: context => counter.add(1, attributes, context) }
    }
    const byStore = (result: Result): Record<AnsweringStore, LimitDecision> => ({
      redis: decision(result, 'redis'),
      local: decision(result, 'local'),
      none: decision(result, 'none'),
    })
    this.#decisions = { allowed: byStore('allowed'), limited: byStore('limited') }
  }

  of(result: Result, store: AnsweringStore): LimitDecision {
    return this.#decisions[result][store]
  }
}
