import { StackingMode } from '@grafana/grafana-foundation-sdk/common'
import { dashboard } from './dashboard'
import { lines, stat, stateTexts } from './panels'
import { GATEWAY, increase, quantile, rate, REDIS } from './selectors'

const HITS = `sum(${rate(`redis_keyspace_hits_total{${REDIS}}`)})`
const MISSES = `sum(${rate(`redis_keyspace_misses_total{${REDIS}}`)})`

export const REDIS_DASHBOARD = dashboard({
  uid: 'myesi-gateway-redis',
  title: 'MyESI gateway: Redis',
  description: 'The Redis that counts the limits: as its exporter sees it, and as the gateways see it.',
  variables: ['environment', 'instance'],
  sections: [
    [
      undefined,
      [
        stat({
          title: 'Redis',
          description: 'Whether Redis answers its exporter.',
          unit: 'none',
          width: 4,
          graph: false,
          steps: ['red', [1, 'green']],
          mappings: [stateTexts({ 0: ['down', 'red'], 1: ['up', 'green'] })],
          noValue: 'no exporter',
          expr: `min(redis_up{${REDIS}})`,
        }),
        stat({
          title: 'Memory',
          description: 'Used share of maxmemory; empty without maxmemory. Above 85 % over a long time is a warning.',
          unit: 'percentunit',
          decimals: 1,
          width: 4,
          steps: ['green', [0.7, '#EAB839'], [0.85, 'red']],
          noValue: 'no limit',
          expr: `max(redis_memory_used_bytes{${REDIS}} / (redis_memory_max_bytes{${REDIS}} > 0))`,
        }),
        stat({
          title: 'Connections',
          description: 'Used share of maxclients. Above 80 % over a long time is a warning.',
          unit: 'percentunit',
          decimals: 2,
          width: 4,
          steps: ['green', [0.6, '#EAB839'], [0.8, 'red']],
          expr: `max(redis_connected_clients{${REDIS}} / (redis_config_maxclients{${REDIS}} > 0))`,
        }),
        stat({
          title: 'Commands',
          description: 'Commands per second of all clients.',
          unit: 'ops',
          width: 4,
          expr: `sum(${rate(`redis_commands_processed_total{${REDIS}}`)})`,
        }),
        stat({
          title: 'Hit rate',
          description: 'Share of the key look-ups that found their key.',
          unit: 'percentunit',
          decimals: 1,
          width: 4,
          expr: `${HITS} / (${HITS} + ${MISSES})`,
        }),
        stat({
          title: 'Lost',
          description: 'Connections refused and keys evicted within the time range. Both should stay 0.',
          unit: 'short',
          decimals: 0,
          width: 4,
          graph: false,
          steps: ['green', [1, 'red']],
          expr: `sum(${increase(`redis_rejected_connections_total{${REDIS}}`)}) + sum(${increase(`redis_evicted_keys_total{${REDIS}}`)})`,
        }),
      ],
    ],
    [
      'Server',
      [
        lines({
          title: 'Memory',
          description: 'Memory that Redis uses, and its limit.',
          unit: 'bytes',
          width: 8,
          series: {
            'used {{instance}}': `sum by (instance) (redis_memory_used_bytes{${REDIS}})`,
            'maxmemory {{instance}}': `sum by (instance) (redis_memory_max_bytes{${REDIS}} > 0)`,
          },
        }),
        lines({
          title: 'Clients',
          description: 'Connections to Redis, and those of them that wait in a blocking command.',
          unit: 'short',
          width: 8,
          series: {
            'connected {{instance}}': `sum by (instance) (redis_connected_clients{${REDIS}})`,
            'blocked {{instance}}': `sum by (instance) (redis_blocked_clients{${REDIS}})`,
          },
        }),
        lines({
          title: 'Fragmentation',
          description: 'Resident memory divided by used memory. Far above 1.5 with much memory used wastes it.',
          unit: 'none',
          width: 8,
          series: { '{{instance}}': `max by (instance) (redis_mem_fragmentation_ratio{${REDIS}})` },
        }),
        lines({
          title: 'Commands',
          description: 'Commands per second by name, the ten most frequent.',
          unit: 'ops',
          width: 12,
          stacked: StackingMode.Normal,
          series: { '{{cmd}}': `topk(10, sum by (cmd) (${rate(`redis_commands_total{${REDIS}}`)}))` },
        }),
        lines({
          title: 'Time per command',
          description: 'Mean time that Redis needed for a command, without the network, the ten slowest.',
          unit: 's',
          width: 12,
          series: {
            '{{cmd}}': `topk(10, sum by (cmd) (${rate(`redis_commands_duration_seconds_total{${REDIS}}`)}) / (sum by (cmd) (${rate(`redis_commands_total{${REDIS}}`)}) > 0))`,
          },
        }),
      ],
    ],
    [
      'Seen by the gateways',
      [
        lines({
          title: 'Redis commands',
          description:
            'p50 and p99 of the commands of requests, network included. Above REDIS_TIMEOUT_MS limits are counted locally.',
          unit: 's',
          width: 12,
          colors: { p50: 'green', p99: 'red' },
          series: {
            p50: quantile(0.5, `db_client_operation_duration_seconds_bucket{${GATEWAY}}`),
            p99: quantile(0.99, `db_client_operation_duration_seconds_bucket{${GATEWAY}}`),
          },
        }),
        lines({
          title: 'Commands of requests',
          description: 'Commands per second by replica; failed ones are shown by their error.',
          unit: 'ops',
          width: 12,
          series: {
            '{{instance}} {{error_type}}': `sum by (instance, error_type) (${rate(`db_client_operation_duration_seconds_count{${GATEWAY}}`)})`,
          },
        }),
      ],
    ],
  ],
})
