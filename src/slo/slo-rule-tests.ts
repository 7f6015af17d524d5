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

/** A file of promtool tests without its `rule_files`. */
export interface RuleTestFile {
  /** How often the rules are evaluated: days of them take long. */
  readonly evaluation_interval: string
  readonly tests: readonly RuleTest[]
}

/** Minutes of good traffic before anything fails: the longest window of a page. */
const QUIET_MINUTES = 360
const REQUESTS_PER_MINUTE = 6_000
/** `for` of a page and the evaluations around it. */
const SLACK_MINUTES = 10
/** Steps of evaluation: every rule costs time at every step, and the tests of tickets last for days. */
const PAGE_STEP_MINUTES = 5
const TICKET_STEP_MINUTES = 30
/** `for` of a ticket and the evaluations around it. */
const TICKET_SLACK_MINUTES = 2 * TICKET_STEP_MINUTES
/** Routes of one test: those with equal objectives have equal rules, and each costs time. */
const MAX_ROUTES = 3

/** Of each kind of objective: silent below the burn rate, fires when forecast, silent again soon after the faults end. */
export function pageTests(objectives: readonly Objective[], options: SloRuleOptions): RuleTestFile {
  const tests = alike(objectives).flatMap(group => [
    pageTest(group, options),
    belowTest(group, options),
    ...(group[0].slo === 'availability' ? [nightTest(group, options), outageTest(group, options)] : []),
  ])
  return { evaluation_interval: `${PAGE_STEP_MINUTES}m`, tests }
}

/** The same for tickets, and that none follows a page about the same faults. */
export function ticketTests(objectives: readonly Objective[], options: SloRuleOptions): RuleTestFile {
  const tests = alike(objectives).flatMap(group => [ticketTest(group, options), noTicketAfterPageTest(group, options)])
  return { evaluation_interval: `${TICKET_STEP_MINUTES}m`, tests }
}

type Group = readonly [Objective, ...Objective[]]

/** Objectives that differ in their route alone. */
function alike(objectives: readonly Objective[]): Group[] {
  const groups = Map.groupBy(objectives, ({ route: _route, ...promise }) => JSON.stringify(promise))
  return [...groups.values()].map(group => group.slice(0, MAX_ROUTES) as unknown as Group)
}

const PAGES = { availability: 'GatewayErrorBudgetBurnFast', latency: 'GatewayLatencyBudgetBurnFast' } as const
const TICKETS = { availability: 'GatewayErrorBudgetBurnSlow', latency: 'GatewayLatencyBudgetBurnSlow' } as const

/** Twenty times too fast, or everything where the budget is too large for that. */
function pageTest(group: Group, options: SloRuleOptions): RuleTest {
  const [objective] = group
  const ratio = Math.min(1, 20 * errorBudget(objective))
  const { page } = forecast(objective, ratio)
  const alertname = PAGES[objective.slo]
  const silentAt = page === undefined ? 0 : Math.floor(page.afterMinutes) - SLACK_MINUTES
  const badMinutes = (page === undefined ? 60 : Math.ceil(page.afterMinutes)) + 2 * SLACK_MINUTES
  return {
    name: `${title(group)}: ${percent(ratio)} bad requests ${page ? `page after ${page.afterMinutes.toFixed(0)} minutes, and no longer once they have stopped` : 'burn too slowly for a page'}`,
    interval: '1m',
    input_series: traffic(group, options, [
      [QUIET_MINUTES, 0],
      [badMinutes, ratio],
      [60, 0],
    ]),
    promql_expr_test: [
      ...(silentAt > 0 ? [silent(alertname, QUIET_MINUTES + silentAt)] : []),
      ...(page
        ? [fires(alertname, QUIET_MINUTES + badMinutes, group, options)]
        : [silent(alertname, QUIET_MINUTES + badMinutes)]),
      // The short window has passed.
      silent(alertname, QUIET_MINUTES + badMinutes + 5 + SLACK_MINUTES),
    ],
  }
}

/** A tenth below the slowest burn rate that pages. */
function belowTest(group: Group, options: SloRuleOptions): RuleTest {
  const [objective] = group
  const slowest = Math.min(
    ...BURN_ALERTS.filter(({ urgency }) => urgency === 'page').map(alert => burnFactor(alert, objective)),
  )
  const ratio = Math.min(1, 0.9 * slowest * errorBudget(objective))
  return {
    name: `${title(group)}: ${percent(ratio)} bad requests, just below the burn rate, page nobody`,
    interval: '1m',
    input_series: traffic(group, options, [
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
function nightTest(group: Group, options: SloRuleOptions): RuleTest {
  return {
    name: `${title(group)}: one failed request at night wakes nobody`,
    interval: '10m',
    input_series: outcomes(group, options, '0+1x60', '0x30 1x30'),
    promql_expr_test: [PAGES.availability, 'GatewayRouteUnavailable'].flatMap(alertname =>
      [305, 330, 360].map(minute => silent(alertname, minute)),
    ),
  }
}

/** One request every ten minutes, and from some point on all of them fail. */
function outageTest(group: Group, options: SloRuleOptions): RuleTest {
  const alertname = 'GatewayRouteUnavailable'
  return {
    name: `${title(group)}: a lasting outage of a rarely used route pages after ${LEAST_OUTAGE_FAULTS} failures over an hour`,
    interval: '10m',
    input_series: outcomes(group, options, '0+1x18 18x30 19+1x12', '0x18 0+1x30 30x13'),
    promql_expr_test: [
      silent(alertname, 190),
      fires(alertname, 300, group, options),
      fires(alertname, 480, group, options),
      silent(alertname, 560),
    ],
  }
}

/** A constant burn between the two rates that make a ticket and a page; the shorter window of the two decides. */
function ticketTest(group: Group, options: SloRuleOptions): RuleTest {
  const [objective] = group
  const [, slowPage, ticket] = BURN_ALERTS.map(alert => burnFactor(alert, objective))
  const ratio = Math.min(1, (((slowPage ?? 0) + (ticket ?? 0)) / 2) * errorBudget(objective))
  const after = forecast(objective, ratio).ticket?.afterMinutes
  const alertname = TICKETS[objective.slo]
  const quiet = 3 * DAY_MINUTES
  const bad = toStep(after ?? 2 * DAY_MINUTES) + TICKET_SLACK_MINUTES
  return {
    name: `${title(group)}: ${percent(ratio)} bad requests ${after === undefined ? 'burn too slowly for a ticket' : `make a ticket after ${(after / 60).toFixed(0)} hours, and no page`}`,
    interval: '2m',
    input_series: traffic(
      group,
      options,
      [
        [quiet, 0],
        [bad, ratio],
        [8 * 60, 0],
      ],
      2,
    ),
    promql_expr_test: [
      ...(after === undefined ? [] : [silent(alertname, quiet + toStep(after) - TICKET_SLACK_MINUTES)]),
      after === undefined ? silent(alertname, quiet + bad) : fires(alertname, quiet + bad, group, options),
      silent(PAGES[objective.slo], quiet + bad),
      // The longer of the two short windows has passed.
      silent(alertname, quiet + bad + 7 * 60),
    ],
  }
}

/** Everything fails for an hour: that is a page, and what it leaves in the windows of the tickets is no news. */
function noTicketAfterPageTest(group: Group, options: SloRuleOptions): RuleTest {
  const [objective] = group
  const quiet = DAY_MINUTES
  return {
    name: `${title(group)}: an hour in which everything fails makes no ticket once its page has resolved`,
    interval: '2m',
    input_series: traffic(
      group,
      options,
      [
        [quiet, 0],
        [60, 1],
        [10 * 60, 0],
      ],
      2,
    ),
    promql_expr_test: [60, 90, 120, 180, 300, 420, 600].map(minutes => silent(TICKETS[objective.slo], quiet + minutes)),
  }
}

const DAY_MINUTES = 1_440

/** The next evaluation of a ticket: between two of them its alert is in no series. */
function toStep(minutes: number): number {
  return Math.ceil(minutes / TICKET_STEP_MINUTES) * TICKET_STEP_MINUTES
}

/** Counters that grow by [minutes, share of bad requests], one phase after the other. */
function traffic(
  group: Group,
  options: SloRuleOptions,
  phases: readonly (readonly [minutes: number, badRatio: number])[],
  step = 1,
): RuleTest['input_series'] {
  const growth = (share: (badRatio: number) => number): string =>
    counter(phases.map(([minutes, ratio]) => [Math.round(minutes / step), REQUESTS_PER_MINUTE * step * share(ratio)]))
  const good = growth(ratio => 1 - ratio)
  if (group[0].slo === 'availability')
    return outcomes(
      group,
      options,
      good,
      growth(ratio => ratio),
    )
  const all = growth(() => 1)
  return group.flatMap(objective => {
    const ok = `${labelsOf(objective, options)},http_response_status_code="200"`
    return [
      { series: `http_server_request_duration_seconds_bucket{${ok},le="${objective.thresholdS}"}`, values: good },
      { series: `http_server_request_duration_seconds_count{${ok}}`, values: all },
    ]
  })
}

function outcomes(group: Group, options: SloRuleOptions, good: string, bad: string): RuleTest['input_series'] {
  return group.flatMap(objective => {
    const labels = labelsOf(objective, options)
    const fault = 'gateway_outcome="fault",gateway_reason="upstream_5xx"'
    return [
      { series: `gateway_requests_total{${labels},gateway_outcome="ok"}`, values: good },
      { series: `gateway_requests_total{${labels},${fault}}`, values: bad },
    ]
  })
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

/** Of one gateway; a label that tells several apart has a value that none has otherwise. */
function labelsOf({ route }: Objective, { job, labels }: SloRuleOptions): string {
  return [
    `job=${JSON.stringify(job)}`,
    `http_route=${JSON.stringify(route)}`,
    ...labels.map(name => `${name}="test"`),
  ].join(',')
}

function silent(alertname: string, minute: number): ExprTest {
  return { expr: firing(alertname), eval_time: `${minute}m`, exp_samples: [] }
}

/** By the series that Prometheus makes of an alert: its texts have a test of their own. */
function fires(alertname: string, minute: number, group: Group, { job }: SloRuleOptions): ExprTest {
  const samples = group.map(({ route }) => ({
    labels: `{job=${JSON.stringify(job)}, http_route=${JSON.stringify(route)}}`,
    value: 1,
  }))
  return { expr: firing(alertname), eval_time: `${minute}m`, exp_samples: samples }
}

function firing(alertname: string): string {
  return `count by (job, http_route) (ALERTS{alertname="${alertname}",alertstate="firing"})`
}

function title(group: Group): string {
  const [{ slo, target }] = group
  return `${slo} ${target} % of ${group.map(({ route }) => route).join(', ')}`
}

function percent(ratio: number): string {
  return `${Number((ratio * 100).toPrecision(3))} %`
}
