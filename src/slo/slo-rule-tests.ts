import { BURN_ALERTS, burnFactor, forecast } from './burn-rates'
import { errorBudget, type Objective } from './objectives'
import { LEAST_OUTAGE_FAULTS, type SloRuleOptions } from './slo-rules'

/** A promtool unit test, as its YAML has it (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/). */
export interface RuleTest {
  readonly name: string
  readonly interval: string
  readonly input_series: readonly { readonly series: string; readonly values: string }[]
  readonly promql_expr_test: readonly ExprTest[]
}

interface ExprTest {
  readonly expr: string
  readonly eval_time: string
  readonly exp_samples: readonly object[]
}

/** Minutes of good traffic before anything fails: the longest window of a page. */
const QUIET_MINUTES = 360
const REQUESTS_PER_MINUTE = 6_000
/** `for` of a page and the evaluations around it, which are two minutes apart in the tests: hours of rules take long. */
const SLACK_MINUTES = 6

/** For each objective: silent below the burn rate, fires when forecast, silent again soon after the faults end. */
export function sloRuleTests(objectives: readonly Objective[], options: SloRuleOptions): RuleTest[] {
  return objectives.flatMap(objective => [
    pageTest(objective, options),
    belowTest(objective, options),
    ...(objective.slo === 'availability' ? [nightTest(objective, options), outageTest(objective, options)] : []),
  ])
}

const PAGES = { availability: 'GatewayErrorBudgetBurnFast', latency: 'GatewayLatencyBudgetBurnFast' } as const

/** Twenty times too fast, or everything where the budget is too large for that. */
function pageTest(objective: Objective, options: SloRuleOptions): RuleTest {
  const ratio = Math.min(1, 20 * errorBudget(objective))
  const { page } = forecast(objective, ratio)
  const alertname = PAGES[objective.slo]
  const silentAt = page === undefined ? 0 : Math.floor(page.afterMinutes) - SLACK_MINUTES
  const badMinutes = (page === undefined ? 60 : Math.ceil(page.afterMinutes)) + 2 * SLACK_MINUTES
  return {
    name: `${title(objective)}: ${percent(ratio)} bad requests ${page ? `page after ${page.afterMinutes.toFixed(0)} minutes, and no longer once they have stopped` : 'burn too slowly for a page'}`,
    interval: '1m',
    input_series: traffic(objective, options, [
      [QUIET_MINUTES, 0],
      [badMinutes, ratio],
      [60, 0],
    ]),
    promql_expr_test: [
      ...(silentAt > 0 ? [silent(alertname, QUIET_MINUTES + silentAt)] : []),
      ...(page
        ? [fires(alertname, QUIET_MINUTES + badMinutes, objective, options)]
        : [silent(alertname, QUIET_MINUTES + badMinutes)]),
      // The short window has passed.
      silent(alertname, QUIET_MINUTES + badMinutes + 5 + SLACK_MINUTES),
    ],
  }
}

/** A tenth below the slowest burn rate that pages. */
function belowTest(objective: Objective, options: SloRuleOptions): RuleTest {
  const slowest = Math.min(
    ...BURN_ALERTS.filter(({ urgency }) => urgency === 'page').map(alert => burnFactor(alert, objective)),
  )
  const ratio = Math.min(1, 0.9 * slowest * errorBudget(objective))
  return {
    name: `${title(objective)}: ${percent(ratio)} bad requests, just below the burn rate, page nobody`,
    interval: '1m',
    input_series: traffic(objective, options, [
      [QUIET_MINUTES, 0],
      [400, ratio],
    ]),
    promql_expr_test: [
      silent(PAGES[objective.slo], QUIET_MINUTES + 70),
      silent(PAGES[objective.slo], QUIET_MINUTES + 395),
    ],
  }
}

/** One request every ten minutes, and one of them fails. */
function nightTest(objective: Objective, options: SloRuleOptions): RuleTest {
  const labels = labelsOf(objective, options)
  return {
    name: `${title(objective)}: one failed request at night wakes nobody`,
    interval: '10m',
    input_series: [
      { series: `gateway_requests_total{${labels},gateway_outcome="ok"}`, values: '0+1x60' },
      {
        series: `gateway_requests_total{${labels},gateway_outcome="fault",gateway_reason="upstream_5xx"}`,
        values: '0x30 1x30',
      },
    ],
    promql_expr_test: [PAGES.availability, 'GatewayRouteUnavailable'].flatMap(alertname =>
      [305, 330, 360].map(minute => silent(alertname, minute)),
    ),
  }
}

/** One request every ten minutes, and from some point on all of them fail. */
function outageTest(objective: Objective, options: SloRuleOptions): RuleTest {
  const labels = labelsOf(objective, options)
  const alertname = 'GatewayRouteUnavailable'
  return {
    name: `${title(objective)}: a lasting outage of a rarely used route pages after ${LEAST_OUTAGE_FAULTS} failures over an hour`,
    interval: '10m',
    input_series: [
      { series: `gateway_requests_total{${labels},gateway_outcome="ok"}`, values: '0+1x18 18x30 19+1x12' },
      {
        series: `gateway_requests_total{${labels},gateway_outcome="fault",gateway_reason="upstream_5xx"}`,
        values: '0x18 0+1x30 30x13',
      },
    ],
    promql_expr_test: [
      silent(alertname, 190),
      fires(alertname, 300, objective, options),
      fires(alertname, 480, objective, options),
      silent(alertname, 560),
    ],
  }
}

/** Counters that grow by [minutes, share of bad requests], one phase after the other. */
function traffic(
  objective: Objective,
  options: SloRuleOptions,
  phases: readonly (readonly [minutes: number, badRatio: number])[],
): RuleTest['input_series'] {
  const labels = labelsOf(objective, options)
  const good = counter(phases.map(([minutes, ratio]) => [minutes, REQUESTS_PER_MINUTE * (1 - ratio)]))
  const bad = counter(phases.map(([minutes, ratio]) => [minutes, REQUESTS_PER_MINUTE * ratio]))
  const all = counter(phases.map(([minutes]) => [minutes, REQUESTS_PER_MINUTE]))
  if (objective.slo === 'availability') {
    return [
      { series: `gateway_requests_total{${labels},gateway_outcome="ok"}`, values: good },
      {
        series: `gateway_requests_total{${labels},gateway_outcome="fault",gateway_reason="upstream_5xx"}`,
        values: bad,
      },
    ]
  }
  const ok = `${labels},http_response_status_code="200"`
  return [
    {
      series: `http_server_request_duration_seconds_bucket{${ok},le="${objective.thresholdS}"}`,
      values: good,
    },
    { series: `http_server_request_duration_seconds_count{${ok}}`, values: all },
  ]
}

/** `0+100x5 500+20x3`: each phase goes on where the one before ended. */
function counter(phases: readonly (readonly [minutes: number, perMinute: number])[]): string {
  let reached = 0
  return phases
    .map(([minutes, perMinute], index) => {
      const step = Number(perMinute.toPrecision(12))
      const first = index === 0 ? 0 : Number((reached + step).toPrecision(12))
      reached = first + step * (minutes - 1)
      return `${first}+${step}x${minutes - 1}`
    })
    .join(' ')
}

function labelsOf({ route }: Objective, { job }: SloRuleOptions): string {
  return `job=${JSON.stringify(job)},http_route=${JSON.stringify(route)}`
}

function silent(alertname: string, minute: number): ExprTest {
  return { expr: firing(alertname), eval_time: `${minute}m`, exp_samples: [] }
}

/** By the series that Prometheus makes of an alert: its texts have a test of their own. */
function fires(alertname: string, minute: number, { route }: Objective, { job }: SloRuleOptions): ExprTest {
  const labels = `{job=${JSON.stringify(job)}, http_route=${JSON.stringify(route)}}`
  return { expr: firing(alertname), eval_time: `${minute}m`, exp_samples: [{ labels, value: 1 }] }
}

function firing(alertname: string): string {
  return `count by (job, http_route) (ALERTS{alertname="${alertname}",alertstate="firing"})`
}

function title({ route, slo, target }: Objective): string {
  return `${slo} ${target} % of ${route}`
}

function percent(ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`
}
