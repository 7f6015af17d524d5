import type { Counter } from '@opentelemetry/api'
import type { RetryConfig } from '../config/types'
import type { Reason } from '../errors/reasons'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { FailureSet } from './failure-set'
import { RetryBudget } from './retry-budget'

const FIRST_DELAY_MS = 25
const LONGEST_DELAY_MS = 250

/** Decides whether and when a failed call is retried. */
export class RetryPolicy {
  /** Maximum number of calls for one request, including the first; 1 without `retries`. */
  readonly attempts: number
  readonly #upstreamName: string
  readonly #failures: FailureSet
  readonly #budget = new RetryBudget()
  readonly #counter: Counter = gatewayMeter().createCounter(semconv.METRIC_UPSTREAM_RETRIES, {
    unit: '{call}',
    description: 'Retries of calls to upstreams, by reason and result',
  })

  constructor(upstreamName: string, config: RetryConfig | undefined) {
    this.#upstreamName = upstreamName
    this.attempts = config?.attempts ?? 1
    this.#failures = new FailureSet(config?.on ?? [])
  }

  countRequest(now: number): void {
    this.#budget.countRequest(now)
  }

  covers(reason: Reason, statusCode: number | undefined): boolean {
    return this.#failures.has(reason, statusCode)
  }

  /** Takes one retry from the budget and counts the retry or its refusal. */
  spend(reason: Reason): boolean {
    const isAllowed = this.#budget.take(performance.now())
    this.#count(reason, isAllowed ? 'sent' : 'over_budget')
    return isAllowed
  }

  /** Counts a retry that costs no budget: the call before it reached no target, so it adds no load. */
  countFree(reason: Reason): void {
    this.#count(reason, 'free')
  }

  #count(reason: Reason, result: 'sent' | 'over_budget' | 'free'): void {
    this.#counter.add(1, {
      [semconv.ATTR_UPSTREAM_NAME]: this.#upstreamName,
      [semconv.ATTR_RETRY_REASON]: reason,
      [semconv.ATTR_RETRY_RESULT]: result,
    })
  }

  /** Returns a random delay below a limit that doubles, so that calls that failed together are not retried together. */
  delayMs(retries: number): number {
    return Math.random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (retries - 1))
  }
}

/** Idempotent methods (RFC 9110 §9.2.2): sending the request twice has the same effect as once. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY'])

export function isIdempotent(method: string | undefined): boolean {
  return IDEMPOTENT.has(method ?? '')
}
