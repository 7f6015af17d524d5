import { dashboard } from './dashboard'
import { lines, table, timeline } from './panels'
import { GATEWAY, rate } from './selectors'

export const RUNTIME = dashboard({
  uid: 'myesi-gateway-runtime',
  title: 'MyESI gateway: runtime',
  description: 'The processes of the gateway: versions, CPU, memory, event loop, garbage collection, configuration.',
  variables: ['environment', 'instance'],
  sections: [
    [
      'Replicas',
      [
        table({
          title: 'Replicas',
          description: 'Each replica with its version, its environment and the time since it started.',
          unit: 's',
          width: 24,
          height: 6,
          sortBy: 'Instance',
          descending: false,
          exprs: [
            `process_uptime_seconds{${GATEWAY}} * on (job, instance) group_left (service_version, deployment_environment_name) target_info{${GATEWAY}}`,
          ],
          columns: {
            instance: 'Instance',
            service_version: 'Version',
            deployment_environment_name: 'Environment',
            Value: 'Uptime',
          },
        }),
        timeline({
          title: 'Configuration',
          description: 'Whether each replica runs the newest gateway.yaml that it read, or refused it.',
          unit: 'none',
          width: 24,
          steps: ['red', [1, 'green']],
          states: { 0: ['refused', 'red'], 1: ['active', 'green'] },
          legend: '{{instance}}',
          expr: `min by (instance) (gateway_config_last_reload_successful{${GATEWAY}})`,
        }),
      ],
    ],
    [
      'Process',
      [
        lines({
          title: 'CPU',
          description:
            'Share of one core that each replica uses. Node runs requests on one core: near 100 % it is saturated.',
          unit: 'percentunit',
          width: 8,
          series: { '{{instance}}': `sum by (instance) (${rate(`process_cpu_time_seconds_total{${GATEWAY}}`)})` },
        }),
        lines({
          title: 'Memory',
          description: 'Resident memory of each replica, and the part of it that is heap in use.',
          unit: 'bytes',
          width: 8,
          series: {
            'resident {{instance}}': `process_memory_usage_bytes{${GATEWAY}}`,
            'heap {{instance}}': `sum by (instance) (v8js_memory_heap_used_bytes{${GATEWAY}})`,
          },
        }),
        lines({
          title: 'Requests in progress',
          description: 'Requests that each replica is serving, streams included.',
          unit: 'short',
          width: 8,
          series: { '{{instance}}': `sum by (instance) (http_server_active_requests{${GATEWAY}})` },
        }),
        lines({
          title: 'Event loop delay',
          description: 'p99 of how late the event loop was. Above 100 ms every request waits.',
          unit: 's',
          width: 8,
          steps: ['transparent', [0.1, 'red']],
          series: { '{{instance}}': `nodejs_eventloop_delay_p99_seconds{${GATEWAY}}` },
        }),
        lines({
          title: 'Event loop utilization',
          description: 'Share of the time in which the event loop was busy. Near 100 % the replica is saturated.',
          unit: 'percentunit',
          width: 8,
          max: 1,
          series: { '{{instance}}': `nodejs_eventloop_utilization_ratio{${GATEWAY}}` },
        }),
        lines({
          title: 'Garbage collection',
          description: 'Share of the time that garbage collections took, by kind.',
          unit: 'percentunit',
          width: 8,
          series: {
            '{{instance}} {{v8js_gc_type}}': `sum by (instance, v8js_gc_type) (${rate(`v8js_gc_duration_seconds_sum{${GATEWAY}}`)})`,
          },
        }),
      ],
    ],
  ],
})
