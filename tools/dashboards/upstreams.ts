import { StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { dashboard } from './dashboard'
import { lines, table, timeline } from './panels'
import { GATEWAY, increase, quantile, rate, UPSTREAM } from './selectors'

const TARGET = 'gateway_upstream_name, server_address, server_port'
const TARGET_LEGEND = '{{gateway_upstream_name}} · {{server_address}}:{{server_port}}'
const CALLS = `http_client_request_duration_seconds_count{${UPSTREAM}}`
const FAILED_CALLS = `http_client_request_duration_seconds_count{${UPSTREAM},error_type!=""}`
/** Of a route with a split, by variant. */
const VARIANT = `${GATEWAY},http_route=~"$route",gateway_variant!=""`
const VARIANT_LEGEND = '{{http_route}} · {{gateway_variant}}'

export const UPSTREAMS = dashboard({
  uid: 'myesi-gateway-upstreams',
  title: 'MyESI gateway: upstreams',
  description: 'Calls to upstreams and their targets, and the variants of a split beside each other.',
  variables: ['environment', 'instance', 'route', 'upstream'],
  sections: [
    [
      'Upstreams',
      [
        lines({
          title: 'Calls',
          description: 'Calls per second by upstream, retries included.',
          unit: 'reqps',
          width: 8,
          stacked: StackingMode.Normal,
          series: { '{{gateway_upstream_name}}': `sum by (gateway_upstream_name) (${rate(CALLS)})` },
        }),
        lines({
          title: 'Failed calls',
          description: 'Share of the calls with a 5xx status, a reset, a refused connection or a timeout.',
          unit: 'percentunit',
          width: 8,
          series: {
            '{{gateway_upstream_name}}': `(sum by (gateway_upstream_name) (${rate(FAILED_CALLS)}) or 0 * sum by (gateway_upstream_name) (${rate(CALLS)})) / sum by (gateway_upstream_name) (${rate(CALLS)})`,
          },
        }),
        lines({
          title: 'Calls to upstreams',
          description: "p95 of single calls by upstream, without the gateway's own time.",
          unit: 's',
          width: 8,
          series: {
            '{{gateway_upstream_name}}': quantile(
              0.95,
              `http_client_request_duration_seconds_bucket{${UPSTREAM}}`,
              'gateway_upstream_name',
            ),
          },
        }),
        lines({
          title: 'Retries',
          description:
            'Retries per second by what failed: sent (within the retry budget), free (the call reached no target), over_budget (not sent).',
          unit: 'reqps',
          width: 12,
          stacked: StackingMode.Normal,
          series: {
            '{{gateway_upstream_name}} · {{gateway_upstream_retry_reason}} · {{gateway_upstream_retry_result}}': `sum by (gateway_upstream_name, gateway_upstream_retry_reason, gateway_upstream_retry_result) (${rate(`gateway_upstream_retries_total{${UPSTREAM}}`)}) > 0`,
          },
        }),
        lines({
          title: 'Panic',
          description:
            'Above 0: so few targets are healthy that unhealthy ones get requests too (panicThreshold). Number of replicas that see it so.',
          unit: 'none',
          width: 12,
          decimals: 0,
          series: {
            '{{gateway_upstream_name}}': `sum by (gateway_upstream_name) (gateway_upstream_panic{${UPSTREAM}})`,
          },
        }),
      ],
    ],
    [
      'Targets',
      [
        timeline({
          title: 'Targets',
          description:
            'Which targets got their share of requests, and which were ejected: their circuit was open or their health check failed.',
          unit: 'none',
          width: 24,
          steps: ['red', [1, 'green']],
          states: { 0: ['ejected', 'red'], 1: ['in service', 'green'] },
          legend: TARGET_LEGEND,
          expr: `min by (${TARGET}) (gateway_upstream_target_healthy{${UPSTREAM}})`,
        }),
        lines({
          title: 'Calls by target',
          description: 'Calls per second. Targets with the same weight should get the same share.',
          unit: 'reqps',
          width: 8,
          series: { [TARGET_LEGEND]: `sum by (${TARGET}) (${rate(CALLS)})` },
        }),
        lines({
          title: 'p95 by target',
          description: 'p95 of single calls. One slow target of several points at its machine.',
          unit: 's',
          width: 8,
          series: {
            [TARGET_LEGEND]: quantile(0.95, `http_client_request_duration_seconds_bucket{${UPSTREAM}}`, TARGET),
          },
        }),
        lines({
          title: 'Calls in progress',
          description: 'Calls that wait for a response or a connection, by target.',
          unit: 'short',
          width: 8,
          series: { [TARGET_LEGEND]: `sum by (${TARGET}) (gateway_upstream_target_active_requests{${UPSTREAM}})` },
        }),
        table({
          title: 'Ejections',
          description: 'How often each target was ejected within the time range, by cause.',
          unit: 'short',
          decimals: 0,
          width: 12,
          sortBy: 'Ejections',
          exprs: [
            `sum by (${TARGET}, gateway_upstream_cause) (${increase(`gateway_upstream_target_ejections_total{${UPSTREAM}}`)})`,
          ],
          columns: {
            gateway_upstream_name: 'Upstream',
            server_address: 'Address',
            server_port: 'Port',
            gateway_upstream_cause: 'Cause',
            Value: 'Ejections',
          },
        }),
        lines({
          title: 'Health checks',
          description: 'Health checks per second by upstream and result. Upstreams without healthCheck have none.',
          unit: 'ops',
          width: 12,
          series: {
            '{{gateway_upstream_name}} · {{gateway_upstream_health_check_result}}': `sum by (gateway_upstream_name, gateway_upstream_health_check_result) (${rate(`gateway_upstream_health_checks_total{${UPSTREAM}}`)})`,
          },
        }),
      ],
    ],
    [
      'Variants',
      [
        lines({
          title: 'Requests by variant',
          description: 'Requests per second of routes with a split.',
          unit: 'reqps',
          width: 6,
          series: {
            [VARIANT_LEGEND]: `sum by (http_route, gateway_variant) (${rate(`gateway_requests_total{${VARIANT}}`)})`,
          },
        }),
        lines({
          title: 'Fault rate by variant',
          description: 'Share of the requests of each variant that ended in a fault.',
          unit: 'percentunit',
          width: 6,
          series: {
            [VARIANT_LEGEND]: `sum by (http_route, gateway_variant) (${rate(`gateway_requests_total{${VARIANT},gateway_outcome="fault"}`)}) / sum by (http_route, gateway_variant) (${rate(`gateway_requests_total{${VARIANT}}`)})`,
          },
        }),
        lines({
          title: 'p95 by variant',
          description: 'p95 of the requests of each variant. Points are single requests: click one for its trace.',
          unit: 's',
          width: 6,
          series: {
            [VARIANT_LEGEND]: quantile(
              0.95,
              `http_server_request_duration_seconds_bucket{${VARIANT}}`,
              'http_route',
              'gateway_variant',
            ),
          },
        }),
        lines({
          title: 'Configured weights',
          description: 'Weight of each variant in gateway.yaml, so that a change shows beside its effect.',
          unit: 'none',
          width: 6,
          series: {
            '{{http_route}} · {{gateway_variant}} ({{gateway_split_role}})': `max by (http_route, gateway_variant, gateway_split_role) (gateway_split_weight{${GATEWAY},http_route=~"$route"})`,
          },
        }),
      ],
    ],
  ],
})
