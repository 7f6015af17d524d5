import { durationText } from '../config/values/duration'
import { BURN_ALERTS, burnFactor, WINDOWS, type BurnAlert, type Window } from './burn-rates'
import { durationBoundaries, objectivesHash, type Objective } from './objectives'

/** A rule of Prometheus, as its YAML has it. */
export interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

export interface RuleGroup {
  readonly name: string
  readonly interval?: string
  readonly rules: readonly Rule[]
}

export interface SloRuleOptions {
  /** Scrape job of the gateways. */
  readonly job: string
  /** Labels that tell several gateways of one job apart, such as `cluster`: each of their values is judged by itself. */
  readonly labels: readonly string[]
}

/** In the order in which they need each other: promtool evaluates groups in any order, and old series count as gone. */
export const GROUP_NAMES = ['slo-objectives', 'slo-error-ratios', 'slo-error-budgets', 'slo-alerts']

export const SHIPPED_OPTIONS: SloRuleOptions = { job: 'myesi-api', labels: [] }

/** Minimum number of faults in the long window for a page; with fewer, a percentage is meaningless. */
export const LEAST_FAULTS = 10
/** Failed requests that make an outage of a rarely used route. */
export const LEAST_OUTAGE_FAULTS = 3

/**
 * Creates the recording rules, alerts and error budgets of the objectives. Empty without objectives.
 *
 * Availability is counted from `gateway_requests_total`: its fault series exist with 0 from the start, so that rate() sees the
 * first fault. Good + bad = requests that ended ok or with a fault; refusals and requests closed by the client are not
 * counted.
 */
export function sloRules(objectives: readonly Objective[], options: SloRuleOptions): RuleGroup[] {
  if (objectives.length === 0) return []
  return [
    {
      name: 'slo-objectives',
      rules: [
        rulesInfo(objectives, options),
        ...objectives.map(objective => objectiveRule(objective, options)),
        ...objectives.map(objective => windowRule(objective, options)),
      ],
    },
    { name: 'slo-error-ratios', rules: ratioRules(objectives, options) },
    // It adds up a month and need not be newer; but a series older than 5m counts as gone.
    { name: 'slo-error-budgets', interval: '4m', rules: budgetRules(objectives, options) },
    {
      name: 'slo-alerts',
      rules: [...burnAlerts(objectives, options), ...outageAlert(objectives, options)],
    },
  ]
}

/** Identifies the objectives of these rules. GatewaySloRulesOutdated compares it with those of the gateways. */
function rulesInfo(objectives: readonly Objective[], { job }: SloRuleOptions): Rule {
  return { record: 'slo:rules:info', expr: 'vector(1)', labels: { job, gateway_slo_hash: objectivesHash(objectives) } }
}

function objectiveRule({ route, slo, target }: Objective, { job }: SloRuleOptions): Rule {
  return {
    record: 'slo:objective:ratio',
    expr: `vector(${Number((target / 100).toPrecision(12))})`,
    labels: { job, http_route: route, slo },
  }
}

/** Tells the incident service and dashboards which period the error budget is for. */
function windowRule({ route, slo, windowMs }: Objective, { job }: SloRuleOptions): Rule {
  return {
    record: 'slo:objective_window:days',
    expr: `vector(${windowMs / DAY_MS})`,
    labels: { job, http_route: route, slo },
  }
}

const DAY_MS = 86_400_000

function ratioRules(objectives: readonly Objective[], options: SloRuleOptions): Rule[] {
  const slis = slisOf(objectives, options)
  return WINDOWS.flatMap(window =>
    recorded(ratioSeries(window), slis, ({ bad, all }) => `${bad(window)}\n/\n(${all(window)} > 0)`),
  )
}

/** One rule for each kind of objective: Prometheus warns of two that record the same series. */
function recorded(record: string, slis: readonly Sli[], exprOf: (sli: Sli) => string): Rule[] {
  return (['availability', 'latency'] as const).flatMap(slo => {
    const expr = slis
      .filter(sli => sli.slo === slo)
      .map(exprOf)
      .join('\nor\n')
    return expr === '' ? [] : [{ record, expr, labels: { slo } }]
  })
}

function ratioSeries(window: Window): string {
  return `job_http_route:slo_errors:ratio_rate${window}`
}

interface Sli {
  readonly slo: Objective['slo']
  /** Bad requests per second over a window, by job and route. */
  readonly bad: (window: string, of?: 'rate' | 'increase') => string
  readonly all: (window: string, of?: 'rate' | 'increase') => string
}

/** Returns the indicators to record. Latency objectives with the same threshold share an expression. */
function slisOf(objectives: readonly Objective[], options: SloRuleOptions): Sli[] {
  const { job } = options
  const sumOf = (of: 'rate' | 'increase', selector: string, window: string): string =>
    `sum by (${identity(options)}) (${of}(${selector}[${window}]))`
  const slis: Sli[] = []
  const available = objectives.filter(({ slo }) => slo === 'availability')
  if (available.length > 0) {
    const selector = `job=${quoted(job)},${routeMatcher(available)}`
    slis.push({
      slo: 'availability',
      bad: (window, of = 'rate') => sumOf(of, `gateway_requests_total{${selector},gateway_outcome="fault"}`, window),
      all: (window, of = 'rate') =>
        sumOf(of, `gateway_requests_total{${selector},gateway_outcome=~"ok|fault"}`, window),
    })
  }
  const thresholds = new Set(objectives.flatMap(({ thresholdS }) => thresholdS ?? []))
  for (const threshold of thresholds) {
    const fast = objectives.filter(({ thresholdS }) => thresholdS === threshold)
    const selector = `job=${quoted(job)},${routeMatcher(fast)},error_type=""`
    const all: Sli['all'] = (window, of = 'rate') =>
      sumOf(of, `http_server_request_duration_seconds_count{${selector}}`, window)
    slis.push({
      slo: 'latency',
      bad: (window, of = 'rate') =>
        `(\n${all(window, of)}\n-\n${sumOf(of, `http_server_request_duration_seconds_bucket{${selector},${boundary(threshold)}}`, window)}\n)`,
      all,
    })
  }
  return slis
}

/** The labels of one judged route: `job, http_route`. */
function identity({ labels }: SloRuleOptions): string {
  return [...labels, 'job', 'http_route'].join(', ')
}

/** Prometheus 2.x stores le="1", 3.x le="1.0". */
function boundary(threshold: number): string {
  return Number.isInteger(threshold) ? `le=~"${threshold}|${threshold}[.]0"` : `le="${threshold}"`
}

function routeMatcher(objectives: readonly Objective[]): string {
  const routes = objectives.map(({ route }) => route)
  if (routes.length === 1) return `http_route=${quoted(routes[0] as string)}`
  return `http_route=~${quoted(routes.map(escapedForRegExp).join('|'))}`
}

/** RE2, which Prometheus matches with, takes these escapes. */
function escapedForRegExp(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

/**
 * Bad and counted requests of five minutes, added up over the window: cheaper than a month of raw samples. What is counted
 * twice is so in both, and only their ratio matters.
 */
function budgetRules(objectives: readonly Objective[], options: SloRuleOptions): Rule[] {
  const slis = slisOf(objectives, options)
  const remaining = Map.groupBy(objectives, ({ slo, windowMs }) => `${slo} ${windowMs}`)
  return [
    ...recorded('job_http_route:slo_bad_requests:increase5m', slis, ({ bad }) => bad('5m', 'increase')),
    ...recorded('job_http_route:slo_requests:increase5m', slis, ({ all }) => all('5m', 'increase')),
    {
      record: 'job_http_route:slo_error_budget_remaining:ratio',
      expr: [...remaining.values()].map(covered => remainingBudget(covered, options)).join('\nor\n'),
    },
  ]
}

/** Of objectives of one kind and window: 1 is untouched, 0 is used up, below 0 is broken. */
function remainingBudget(objectives: readonly Objective[], { job }: SloRuleOptions): string {
  const [{ slo, windowMs }] = objectives as [Objective]
  const selector = `job=${quoted(job)},${routeMatcher(objectives)},slo="${slo}"`
  // Whole units: Prometheus takes no `7.5d`.
  const window = durationText(windowMs)
  return `1 - (
  sum_over_time(job_http_route:slo_bad_requests:increase5m{${selector}}[${window}])
  /
  (sum_over_time(job_http_route:slo_requests:increase5m{${selector}}[${window}]) > 0)
)
/ on (job, http_route, slo) group_left ()
(1 - slo:objective:ratio{${selector}})`
}

const NAMES = {
  availability: { page: 'GatewayErrorBudgetBurnFast', ticket: 'GatewayErrorBudgetBurnSlow' },
  latency: { page: 'GatewayLatencyBudgetBurnFast', ticket: 'GatewayLatencyBudgetBurnSlow' },
} as const

const OUTAGE = 'GatewayRouteUnavailable'

const FAMILIES = { availability: 'faults', latency: 'latency' } as const
const SUMMARIES = {
  availability: {
    page: 'Failing requests of a route use up its error budget within days',
    ticket: 'Failing requests of a route use up its error budget before its window ends',
  },
  latency: {
    page: 'Slow requests of a route use up its error budget within days',
    ticket: 'Slow requests of a route use up its error budget before its window ends',
  },
} as const

function burnAlerts(objectives: readonly Objective[], options: SloRuleOptions): Rule[] {
  return (['availability', 'latency'] as const).flatMap(slo =>
    (['page', 'ticket'] as const).flatMap(urgency => burnAlert(objectives, slo, urgency, options)),
  )
}

function burnAlert(
  objectives: readonly Objective[],
  slo: Objective['slo'],
  urgency: BurnAlert['urgency'],
  options: SloRuleOptions,
): Rule[] {
  const covered = objectives.filter(objective => objective.slo === slo)
  const windows = [...new Set(covered.map(({ windowMs }) => windowMs))]
  const expr = windows
    .flatMap(windowMs => {
      const routes = covered.filter(objective => objective.windowMs === windowMs)
      return BURN_ALERTS.filter(alert => alert.urgency === urgency).map(alert =>
        burning(alert, routes, slo, burnFactor(alert, { windowMs }), options),
      )
    })
    .join('\nor\n')
  if (expr === '') return []
  const name = NAMES[slo][urgency]
  return [
    {
      alert: name,
      expr,
      for: urgency === 'page' ? '1m' : '15m',
      labels: {
        severity: urgency === 'page' ? 'critical' : 'warning',
        component: 'gateway',
        family: FAMILIES[slo],
        slo,
      },
      annotations: {
        summary: SUMMARIES[slo][urgency],
        description:
          `{{ $value | humanizePercentage }} of the requests to {{ $labels.http_route }} ${slo === 'latency' ? 'were too slow' : 'failed'} over the window that fired; ` +
          `{{ with printf "slo:objective:ratio{job=%q,http_route=%q,slo=\\"${slo}\\"}" $labels.job $labels.http_route | query }}the objective is {{ . | first | value | humanizePercentage }} ${slo === 'latency' ? 'fast' : 'good'} requests{{ end }}.`,
        budget: budgetAnnotation(slo, options),
        runbook_url: `monitoring/runbooks/${name}.md`,
        dashboard_url: '/d/myesi-gateway?var-route={{ $labels.http_route | urlquery }}',
        exemplar_query: exemplarQuery(slo, covered, options),
      },
    },
  ]
}

function exemplarQuery(slo: Objective['slo'], objectives: readonly Objective[], { labels }: SloRuleOptions): string {
  const selector = [...labels, 'job', 'http_route'].map(name => `${name}={{ printf "%q" $labels.${name} }}`).join(',')
  if (slo === 'availability') return `http_server_request_duration_seconds_bucket{${selector},error_type!=""}`
  // Exemplars of a fast request would prove nothing: only the buckets above every threshold that is promised.
  const least = Math.min(...objectives.flatMap(({ thresholdS }) => thresholdS ?? []))
  const above = durationBoundaries(objectives).filter(bound => bound > least)
  const bounds = above.map(bound => String(bound).replace('.', '[.]') + (Number.isInteger(bound) ? '(?:[.]0)?' : ''))
  return `http_server_request_duration_seconds_bucket{${selector},le=~"${[...bounds, '[+]Inf'].join('|')}"}`
}

/** "12.5 % of the error budget is left". Empty before the first budget was computed. */
export function budgetAnnotation(slo: Objective['slo'], { labels }: Pick<SloRuleOptions, 'labels'>): string {
  const names = [...labels, 'job', 'http_route']
  const selector = [...names.map(name => `${name}=%q`), `slo=\\"${slo}\\"`].join(',')
  return (
    `{{ with printf "job_http_route:slo_error_budget_remaining:ratio{${selector}}" ${names.map(name => `$labels.${name}`).join(' ')} | query }}` +
    '{{ . | first | value | humanizePercentage }} of the error budget is left{{ end }}'
  )
}

/** Matches faults that a page has already reported, so that no ticket repeats them. */
function paged(slo: Objective['slo'], window: Window): string {
  const pages = [NAMES[slo].page, ...(slo === 'availability' ? ['GatewayHttp500Spike', OUTAGE] : [])]
  return `count_over_time(ALERTS{alertname=~"${pages.join('|')}",alertstate="firing"}[${window}])`
}

/**
 * Both windows above the burn rate; the last five minutes too, so that every page about the same faults ends together and a
 * second one does not follow when the first is resolved; and enough bad requests to mean something.
 */
function burning(
  { long, short, urgency }: BurnAlert,
  objectives: readonly Objective[],
  slo: Objective['slo'],
  factor: number,
  options: SloRuleOptions,
): string {
  const selector = `{job=${quoted(options.job)},${routeMatcher(objectives)},slo="${slo}"}`
  const bound = `on (job, http_route, slo) group_left () (${factor} * (1 - slo:objective:ratio${selector}))`
  const recent = urgency === 'page' && short !== '5m' ? [short, '5m' as const] : [short]
  const sli = slisOf(objectives, options).filter(one => one.slo === slo)
  const enough = sli.map(({ bad }) => `${bad(long, 'increase')} >= ${LEAST_FAULTS}`).join('\nor\n')
  return [
    `(\n${ratioSeries(long)}${selector} > ${bound}`,
    ...recent.map(window => `and\n${ratioSeries(window)}${selector} > ${bound}`),
    `and on (${identity(options)})\n(${enough})`,
    ...(urgency === 'page' ? [] : [`unless on (${identity(options)})\n${paged(slo, short)}`]),
    ')',
  ].join('\n')
}

/** Alerts by absolute counts, for a rarely used route of which all requests fail. */
function outageAlert(objectives: readonly Objective[], options: SloRuleOptions): Rule[] {
  const { job } = options
  const by = `sum by (${identity(options)})`
  const available = objectives.filter(({ slo }) => slo === 'availability')
  if (available.length === 0) return []
  const selector = `job=${quoted(job)},${routeMatcher(available)}`
  const faults = `gateway_requests_total{${selector},gateway_outcome="fault"}`
  const name = OUTAGE
  return [
    {
      alert: name,
      expr: `${by} (increase(${faults}[1h])) >= ${LEAST_OUTAGE_FAULTS}
and
${by} (increase(${faults}[30m])) > 0
and
${by} (increase(${faults}[1h] offset 30m)) > 0
unless
${by} (increase(gateway_requests_total{${selector},gateway_outcome="ok"}[1h])) > 0`,
      for: '1m',
      labels: { severity: 'critical', component: 'gateway', family: 'faults', slo: 'availability' },
      annotations: {
        summary: 'Every request to a rarely used route fails',
        description:
          'All of about {{ $value | humanize }} requests to {{ $labels.http_route }} within an hour failed, the first of them more than 30 minutes ago.',
        budget: budgetAnnotation('availability', options),
        runbook_url: `monitoring/runbooks/${name}.md`,
        dashboard_url: '/d/myesi-gateway?var-route={{ $labels.http_route | urlquery }}',
        exemplar_query: exemplarQuery('availability', available, options),
      },
    },
  ]
}
