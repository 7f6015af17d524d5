import type { RecentRequests, Traffic } from '../../observe/recent/recent-requests'
import { errorBudget, objectivesOf } from '../../slo/objectives'
import type { SloConfig } from '../../slo/slo-schema'

/** How fast one objective of a route spent its error budget in the last quarter of an hour, on this replica alone. */
export interface Burn {
  readonly slo: 'availability' | 'latency'
  /** Percent of good requests. */
  readonly target: number
  /** Milliseconds that a good request may take; only for latency. */
  readonly thresholdMs: number | undefined
  /** Days of the window that the budget is for. */
  readonly windowDays: number
  /**
   * Bad requests, divided by those that the objective allows of the counted ones: 1 spends exactly the budget. For latency to
   * about 25 %, the width of the buckets. Null: no request was counted.
   */
  readonly burnRate: number | null
}

interface RouteOfBurn {
  readonly name: string
  readonly slo?: SloConfig | undefined
}

/**
 * Returns the burn rates of a route's objectives.
 *
 * The error budget that is left is not here: it covers weeks and all replicas, and only Prometheus has both.
 */
export function burnsOf({ name, slo }: RouteOfBurn, traffic: Traffic, recent: Pick<RecentRequests, 'slower'>): Burn[] {
  return objectivesOf([{ template: name, slo }]).map(objective => {
    const { target, thresholdS, windowMs } = objective
    const thresholdMs = thresholdS === undefined ? undefined : thresholdS * 1_000
    const [bad, counted] =
      thresholdMs === undefined
        ? [traffic.faults, traffic.requests - traffic.refusals - traffic.clientClosed]
        : recent.slower(name, thresholdMs)
    return {
      slo: objective.slo,
      target,
      thresholdMs,
      windowDays: windowMs / 86_400_000,
      burnRate: counted === 0 ? null : bad / counted / errorBudget(objective),
    }
  })
}
