import { durationText, periodText } from '../config/values/duration'
import { forecast, type ForecastAlert } from './burn-rates'
import { errorBudget, type Objective } from './objectives'
import { LEAST_FAULTS, LEAST_OUTAGE_FAULTS } from './slo-rules'

/** Describes which failures would page and when: one paragraph for each objective, with its routes. */
export function forecastText(objectives: readonly Objective[]): string {
  const groups = Map.groupBy(objectives, ({ route: _route, ...promise }) => JSON.stringify(promise))
  return [...groups.values()].map(group => paragraph(group as [Objective, ...Objective[]])).join('\n\n')
}

function paragraph(group: readonly [Objective, ...Objective[]]): string {
  const [objective] = group
  const { slo, target, thresholdS, windowMs } = objective
  const promise = slo === 'availability' ? 'without a fault' : `within ${durationText((thresholdS ?? 0) * 1_000)}`
  const budget = errorBudget(objective)
  const rates = [...new Set([1, 20 * budget, 4 * budget].map(rate => Math.min(1, rate)))]
  const bad = slo === 'availability' ? 'an error rate of' : 'a share of slow requests of'
  return [
    `${target} % ${promise}, over ${periodText(windowMs)}: ${group.map(({ route }) => route).join(', ')}`,
    `  may be missed by ${percent(budget)} of the requests: ${spell((budget * windowMs) / 60_000)} in which all of them are bad`,
    ...rates.map(rate => `  ${bad} ${percent(rate)} ${consequence(objective, rate)}`),
    `  below ${LEAST_FAULTS} bad requests in the window of an alert it stays silent${slo === 'availability' ? `; ${LEAST_OUTAGE_FAULTS} failures and no success within an hour page` : ''}`,
  ].join('\n')
}

function consequence(objective: Objective, rate: number): string {
  const { burnRate, page, ticket } = forecast(objective, rate)
  const burns = `burns ${times(burnRate)} too fast`
  if (page) return `${burns}, pages ${after(page, objective)}`
  if (ticket) return `${burns}, makes a ticket ${after(ticket, objective)}`
  return `${burns}, and sends no message`
}

function after({ afterMinutes, budgetSpent }: ForecastAlert, { windowMs }: Objective): string {
  const period = windowMs === 30 * 86_400_000 ? "month's budget" : `budget of ${periodText(windowMs)}`
  return `after ${spell(afterMinutes)} and has then spent ${percent(budgetSpent)} of the ${period}`
}

/** At least two minutes: the hold of a page is one. */
function spell(minutes: number): string {
  if (minutes < 120) return `${Math.max(2, Math.round(minutes))} minutes`
  if (minutes < 2_880) return `${Math.round(minutes / 60)} hours`
  return `${Math.round(minutes / 1_440)} days`
}

const WORDS = ['two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten', 'eleven', 'twelve']

function times(rate: number): string {
  const rounded = Number(rate.toPrecision(3))
  if (rounded === 20) return 'twenty times'
  return `${Number.isInteger(rounded) ? (WORDS[rounded - 2] ?? rounded) : rounded} times`
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`
}
