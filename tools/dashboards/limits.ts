import { StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { dashboard } from './dashboard'
import { gauge, lines, stat, table, timeline } from './panels'
import { GATEWAY, increase, rate, ROUTE } from './selectors'

const DECISIONS = `gateway_rate_limiting_requests_total{${ROUTE}}`
const LIMITED = `gateway_rate_limiting_requests_total{${ROUTE},gateway_rate_limiting_result="limited"}`
const REFUSALS = `gateway_requests_total{${ROUTE},gateway_outcome="refusal"}`

export const LIMITS = dashboard({
  uid: 'myesi-gateway-limits',
  title: 'MyESI gateway: limits and refusals',
  description:
    'Which limits refuse requests, and why requests are refused. Who is limited is no label, because clients are without number: /offenders on the ops port lists them.',
  variables: ['environment', 'instance', 'route'],
  sections: [
    [
      undefined,
      [
        stat({
          title: 'Decisions',
          description: 'Rate-limit decisions per second.',
          unit: 'reqps',
          width: 6,
          expr: `sum(${rate(DECISIONS)})`,
        }),
        stat({
          title: 'Limited',
          description: 'Share of the rate-limit decisions that refused a request. 10 % over a long time is a warning.',
          unit: 'percentunit',
          decimals: 1,
          width: 6,
          steps: ['green', [0.05, '#EAB839'], [0.1, 'orange']],
          expr: `sum(${rate(LIMITED)}) / sum(${rate(DECISIONS)})`,
        }),
        stat({
          title: 'Refused',
          description:
            'Requests per second that the gateway refused for any reason: limits, credentials, malformed requests.',
          unit: 'reqps',
          width: 6,
          expr: `sum(${rate(REFUSALS)})`,
        }),
        stat({
          title: 'Replicas that count locally',
          description: 'Replicas that count limits without Redis, although one is configured.',
          unit: 'none',
          width: 6,
          graph: false,
          steps: ['green', [1, 'orange']],
          expr: `sum(gateway_rate_limiting_degraded{${GATEWAY}})`,
        }),
      ],
    ],
    [
      'Rate limits',
      [
        lines({
          title: 'Decisions',
          description: 'Rate-limit decisions per second. would_limit: over the limit of a policy in a dry run.',
          unit: 'reqps',
          width: 8,
          stacked: StackingMode.Normal,
          colors: { allowed: 'green', limited: 'orange', would_limit: 'blue' },
          series: { '{{gateway_rate_limiting_result}}': `sum by (gateway_rate_limiting_result) (${rate(DECISIONS)})` },
        }),
        lines({
          title: 'Limited by route and policy',
          description: 'Requests per second that got 429. Who sends them: /offenders on the ops port.',
          unit: 'reqps',
          width: 8,
          series: {
            '{{http_route}} · {{gateway_rate_limiting_policy}}': `sum by (http_route, gateway_rate_limiting_policy) (${rate(LIMITED)}) > 0`,
          },
        }),
        lines({
          title: 'Who counted',
          description:
            'Decisions by the store that made them: redis for all replicas together, local for each replica, none where a limit was left open.',
          unit: 'reqps',
          width: 8,
          stacked: StackingMode.Normal,
          colors: { redis: 'green', local: '#EAB839', none: 'red' },
          series: { '{{gateway_rate_limiting_store}}': `sum by (gateway_rate_limiting_store) (${rate(DECISIONS)})` },
        }),
        timeline({
          title: 'Limits without Redis',
          description: 'When a replica counted its limits without Redis, although one is configured.',
          unit: 'none',
          width: 24,
          steps: ['green', [1, 'orange']],
          states: { 0: ['with Redis', 'green'], 1: ['degraded', 'orange'] },
          legend: '{{instance}}',
          expr: `max by (instance) (gateway_rate_limiting_degraded{${GATEWAY}})`,
        }),
      ],
    ],
    [
      'Refusals',
      [
        table({
          title: 'Most limited',
          description: 'Requests that got 429 within the time range, by route and policy.',
          unit: 'short',
          decimals: 0,
          width: 12,
          sortBy: 'Limited',
          exprs: [`topk(10, sum by (http_route, gateway_rate_limiting_policy) (${increase(LIMITED)}) >= 1)`],
          columns: { http_route: 'Route', gateway_rate_limiting_policy: 'Policy', Value: 'Limited' },
          cells: { Limited: gauge('orange') },
        }),
        lines({
          title: 'Refusals by reason',
          description: 'Requests per second that the gateway refused. docs/errors.md explains each reason.',
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Normal,
          series: { '{{gateway_reason}}': `sum by (gateway_reason) (${rate(REFUSALS)}) > 0` },
        }),
      ],
    ],
  ],
})
