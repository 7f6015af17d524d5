import type { Counter } from '@opentelemetry/api'
import type { RetryConfig } from '../config/types'
import type { Reason } from '../errors/reasons'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { FailureSet } from './failure-set'
import { RetryBudget } from './retry-budget'

const FIRST_DELAY_MS = 25
const LONGEST_DELAY_MS = 250

/** Whether and when a failed call to an upstream is tried again. */
export class RetryPolicy {
  /** Calls for one request, the first included; 1 where the file has no `retries`. */
  readonly attempts: number
  readonly #upstreamName: string
  readonly #failures: FailureSet
  readonly #budget = new RetryBudget()
  readonly #counter: Counter = gatewayMeter().createCounter(semconv.METRIC_UPSTREAM_RETRIES, {
    unit: '{call}',
    description: 'Calls tried again, or not any more',
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

  /** Takes one retry out of the budget, and counts it or that there was none left. */
  spend(reason: Reason): boolean {
    const isAllowed = this.#budget.take(performance.now())
    this.#count(reason, isAllowed ? 'sent' : 'over_budget')
    return isAllowed
  }

  /** A call is made again that adds no load, because the one before it reached no target: it costs no budget. */
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

  /** Anything up to a bound that doubles: what failed together must not come back together. */
  delayMs(retries: number): number {
    return Math.random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (retries - 1))
  }
}

/** RFC 9110 §9.2.2: the same request twice has the effect of one. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY'])

export function isIdempotent(method: string | undefined): boolean {
  return IDEMPOTENT.has(method ?? '')
}
