import { StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { dashboard } from './dashboard'
import { durations, gauge, lines, stat, table } from './panels'
import { GATEWAY, increase, quantile, rate, ROUTE } from './selectors'

const REQUESTS = `gateway_requests_total{${ROUTE}}`
const FAULTS = `gateway_requests_total{${ROUTE},gateway_outcome="fault"}`
const DURATIONS = `http_server_request_duration_seconds_bucket{${ROUTE}}`
/** Recorded for a job and route; the instances are counted together. */
const SLO = 'job="myesi-api",http_route=~"$route"'
const ALLOWED = `on (job, http_route, slo) group_left () (1 - slo:objective:ratio{${SLO}})`
const BURN_RATE = `job_http_route:slo_errors:ratio_rate1h{${SLO}} / ${ALLOWED}`
const BUDGET_LEFT = `job_http_route:slo_error_budget_remaining:ratio{${SLO}}`

export const OVERVIEW = dashboard({
  uid: 'myesi-gateway',
  title: 'MyESI gateway',
  description: 'What the gateway does, how fast, and what fails: all routes, or the chosen ones.',
  variables: ['environment', 'instance', 'route'],
  sections: [
    [
      undefined,
      [
        stat({
          title: 'Requests',
          description: 'Requests per second that the gateway answered or lost, without scrapes.',
          unit: 'reqps',
          width: 4,
          expr: `sum(${rate(REQUESTS)})`,
        }),
        stat({
          title: 'Faults',
          description:
            "Share of the requests that ended in a fault: the gateway's or an upstream's 5xx, reset or timeout. 1 % over a long time is a warning, 5 % a page.",
          unit: 'percentunit',
          decimals: 2,
          width: 4,
          steps: ['green', [0.01, '#EAB839'], [0.05, 'red']],
          expr: `sum(${rate(FAULTS)}) / sum(${rate(REQUESTS)})`,
        }),
        stat({
          title: 'p95',
          description: '95 % of the responses are faster than this. Above 1 s over a long time is a warning.',
          unit: 's',
          width: 4,
          steps: ['green', [0.5, '#EAB839'], [1, 'red']],
          expr: quantile(0.95, DURATIONS),
        }),
        stat({
          title: 'Limited',
          description: 'Share of the rate-limit decisions that refused a request. 10 % over a long time is a warning.',
          unit: 'percentunit',
          decimals: 1,
          width: 4,
          steps: ['green', [0.05, '#EAB839'], [0.1, 'orange']],
          expr: `sum(${rate(`gateway_rate_limiting_requests_total{${ROUTE},gateway_rate_limiting_result="limited"}`)}) / sum(${rate(`gateway_rate_limiting_requests_total{${ROUTE}}`)})`,
        }),
        stat({
          title: 'Gateways up',
          description: 'Replicas that answer their scrape.',
          unit: 'none',
          width: 4,
          graph: false,
          steps: ['red', [1, 'green']],
          noValue: 'none',
          expr: 'sum(up{job="myesi-api"})',
        }),
        stat({
          title: 'Alerts firing',
          description: 'Alerts of severity critical or warning that fire now, including silenced ones.',
          unit: 'none',
          width: 4,
          graph: false,
          steps: ['green', [1, 'red']],
          expr: 'count(ALERTS{alertstate="firing",severity=~"critical|warning"}) or vector(0)',
        }),
      ],
    ],
    [
      'Error budgets',
      [
        table({
          title: 'Objectives',
          description:
            'Each objective of a route (slo in gateway.yaml): budget that is left of its window, and how fast the last hour spent it. 1: exactly the budget is spent when the window ends. 14.4: a 30-day budget lasts two days.',
          unit: 'percentunit',
          width: 10,
          noValue: 'no route has an slo',
          sortBy: 'Budget left',
          descending: false,
          exprs: [BUDGET_LEFT, `slo:objective:ratio{${SLO}}`, BURN_RATE, `slo:objective_window:days{${SLO}}`],
          columns: {
            http_route: 'Route',
            slo: 'Objective',
            'Value #D': 'Window',
            'Value #B': 'Target',
            'Value #A': 'Budget left',
            'Value #C': 'Burn rate, 1 h',
          },
          cells: {
            Window: [{ id: 'unit', value: 'd' }],
            Target: [{ id: 'decimals', value: 3 }],
            'Budget left': [{ id: 'decimals', value: 1 }],
            'Burn rate, 1 h': [
              { id: 'unit', value: 'none' },
              { id: 'decimals', value: 1 },
            ],
          },
        }),
        lines({
          title: 'Budget left',
          description:
            'Share of the error budget that is left of the window of each objective. Below 0 the objective is missed.',
          unit: 'percentunit',
          width: 7,
          min: null,
          max: 1,
          steps: ['transparent', [0, 'red']],
          series: { '{{http_route}} · {{slo}}': BUDGET_LEFT },
        }),
        lines({
          title: 'Burn rate, 1 h',
          description:
            'How many times faster than allowed the last hour spent the budget. The line is the page for a window of 30 days (14.4).',
          unit: 'none',
          width: 7,
          steps: ['transparent', [14.4, 'red']],
          series: { '{{http_route}} · {{slo}}': BURN_RATE },
        }),
      ],
    ],
    [
      'Traffic',
      [
        lines({
          title: 'Throughput by route',
          description: 'Requests per second. Requests that match no route are shown as "no route".',
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Normal,
          series: {
            '{{http_route}}': `sum by (http_route) (label_replace(${rate(REQUESTS)}, "http_route", "no route", "http_route", "^$"))`,
          },
        }),
        lines({
          title: 'Status classes',
          description: 'Responses per second by the first digit of their status.',
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Normal,
          colors: { '2xx': 'green', '3xx': 'blue', '4xx': '#EAB839', '5xx': 'red' },
          series: {
            '{{class}}': `sum by (class) (label_replace(${rate(`http_server_request_duration_seconds_count{${ROUTE}}`)}, "class", "\${1}xx", "http_response_status_code", "(.).+"))`,
          },
        }),
      ],
    ],
    [
      'Latency',
      [
        lines({
          title: 'Latency',
          description:
            'Half of the responses, 95 % and 99 % are faster than these. Points are single requests: click one for its trace.',
          unit: 's',
          width: 12,
          colors: { p50: 'green', p95: '#EAB839', p99: 'red' },
          steps: ['transparent', [1, 'red']],
          series: {
            p50: quantile(0.5, DURATIONS),
            p95: quantile(0.95, DURATIONS),
            p99: quantile(0.99, DURATIONS),
          },
        }),
        durations({
          title: 'Distribution of durations',
          description:
            'How many responses took how long. Two bands mean two kinds of requests, which no percentile shows.',
          unit: 'reqps',
          width: 12,
          expr: `sum by (le) (${rate(DURATIONS)})`,
        }),
        lines({
          title: 'p95 by route',
          description: 'Shows the slowest routes. Points are single requests: click one for its trace.',
          unit: 's',
          width: 12,
          series: { '{{http_route}}': quantile(0.95, DURATIONS, 'http_route') },
        }),
        lines({
          title: 'Where the time goes',
          description:
            'p95 of whole requests, of single upstream calls and of Redis commands, of all routes. The rest is the gateway itself and retries.',
          unit: 's',
          width: 12,
          colors: { 'whole request': 'purple', 'upstream call': 'orange', 'Redis command': 'blue' },
          series: {
            'whole request': quantile(0.95, `http_server_request_duration_seconds_bucket{${GATEWAY}}`),
            'upstream call': quantile(0.95, `http_client_request_duration_seconds_bucket{${GATEWAY}}`),
            'Redis command': quantile(0.95, `db_client_operation_duration_seconds_bucket{${GATEWAY}}`),
          },
        }),
      ],
    ],
    [
      'Failures',
      [
        lines({
          title: 'Fault rate by route',
          description:
            "Share of a route's requests that ended in a fault. The lines are the thresholds of GatewayRequestsFailing and GatewayHttp500Spike.",
          unit: 'percentunit',
          width: 12,
          steps: ['transparent', [0.01, '#EAB839'], [0.05, 'red']],
          series: {
            '{{http_route}}': `sum by (http_route) (${rate(FAULTS)}) / sum by (http_route) (${rate(REQUESTS)})`,
          },
        }),
        lines({
          title: 'Why requests did not succeed',
          description:
            'Requests per second with another outcome than ok, by reason. docs/errors.md explains each reason.',
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Normal,
          series: {
            '{{gateway_reason}}': `sum by (gateway_reason) (${rate(`gateway_requests_total{${ROUTE},gateway_outcome!="ok"}`)}) > 0`,
          },
        }),
        table({
          title: 'Top failing routes',
          description: 'Faults within the time range, the most frequent first. Click a route to see only it.',
          unit: 'short',
          decimals: 0,
          width: 12,
          sortBy: 'Faults',
          exprs: [`topk(10, sum by (http_route, gateway_upstream_name, gateway_reason) (${increase(FAULTS)}) >= 1)`],
          columns: {
            http_route: 'Route',
            gateway_upstream_name: 'Upstream',
            gateway_reason: 'Reason',
            Value: 'Faults',
          },
          cells: {
            Route: [
              {
                id: 'links',
                value: [
                  {
                    title: 'Only this route',
                    url: '/d/myesi-gateway?${datasource:queryparam}&${environment:queryparam}&${instance:queryparam}&${__url_time_range}&var-route=${__value.text:percentencode}',
                  },
                ],
              },
            ],
            Faults: gauge('red'),
          },
        }),
        lines({
          title: 'Outcomes',
          description:
            "How requests ended: ok, fault (the gateway's or the upstream's), refusal (by the gateway), client_closed (the client left first).",
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Percent,
          colors: { ok: 'green', fault: 'red', refusal: '#EAB839', client_closed: 'purple' },
          series: { '{{gateway_outcome}}': `sum by (gateway_outcome) (${rate(REQUESTS)})` },
        }),
      ],
    ],
  ],
})
