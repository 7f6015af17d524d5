import { errorBudget, type Objective } from './objectives'

/**
 * An alert on an error budget that burns too fast: multi-window, multi-burn-rate alerts of the SRE workbook
 * (https://sre.google/workbook/alerting-on-slos/, "6: Multiwindow, Multi-Burn-Rate Alerts").
 */
export interface BurnAlert {
  /** `page` wakes a person, `ticket` waits for the morning. */
  readonly urgency: 'page' | 'ticket'
  /** The window that decides. */
  readonly long: Window
  /** It must still be bad over this window, so that the alert ends soon after the faults do. */
  readonly short: Window
  /** Part of the budget that is spent when the alert fires after a constant error rate. */
  readonly budgetShare: number
}

export type Window = '5m' | '30m' | '1h' | '2h' | '6h' | '1d' | '3d'

export const WINDOWS: readonly Window[] = ['5m', '30m', '1h', '2h', '6h', '1d', '3d']

export const BURN_ALERTS: readonly BurnAlert[] = [
  { urgency: 'page', long: '1h', short: '5m', budgetShare: 0.02 },
  { urgency: 'page', long: '6h', short: '30m', budgetShare: 0.05 },
  { urgency: 'ticket', long: '1d', short: '2h', budgetShare: 0.1 },
  { urgency: 'ticket', long: '3d', short: '6h', budgetShare: 0.1 },
]

const UNIT_MINUTES = { m: 1, h: 60, d: 1_440 } as const

export function windowMinutes(window: Window): number {
  return Number.parseInt(window, 10) * UNIT_MINUTES[window.at(-1) as keyof typeof UNIT_MINUTES]
}

/** How many times faster than allowed the budget must burn: 14.4 for 2 % of 30 days within an hour. */
export function burnFactor({ long, budgetShare }: BurnAlert, { windowMs }: Pick<Objective, 'windowMs'>): number {
  return Number(((budgetShare * windowMs) / 60_000 / windowMinutes(long)).toPrecision(6))
}

/** The effect of a constant error ratio on an objective that was met until then. */
export interface Forecast {
  /** How many times faster than allowed the budget burns. */
  readonly burnRate: number
  /** First alert of each urgency; undefined: it never fires. */
  readonly page: ForecastAlert | undefined
  readonly ticket: ForecastAlert | undefined
}

export interface ForecastAlert {
  readonly afterMinutes: number
  /** Part of the window's budget that is spent by then. */
  readonly budgetSpent: number
}

/** @param errorRatio constant share of bad requests, such as 0.02 */
export function forecast(objective: Objective, errorRatio: number): Forecast {
  const burnRate = errorRatio / errorBudget(objective)
  const windowMinutesOfBudget = objective.windowMs / 60_000
  const first = (urgency: BurnAlert['urgency']): ForecastAlert | undefined => {
    const times = BURN_ALERTS.filter(alert => alert.urgency === urgency).flatMap(alert => {
      const factor = burnFactor(alert, objective)
      return burnRate >= factor ? [(windowMinutes(alert.long) * factor) / burnRate] : []
    })
    if (times.length === 0) return undefined
    const afterMinutes = Math.min(...times)
    return { afterMinutes, budgetSpent: (afterMinutes * burnRate) / windowMinutesOfBudget }
  }
  return { burnRate, page: first('page'), ticket: first('ticket') }
}
