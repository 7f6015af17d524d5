import { parseGatewayFile } from '../../src/config/gateway-file'
import { formatProblems } from '../../src/config/problems'
import type { GatewayConfig } from '../../src/config/gateway-config'
import type { OpsServerOptions } from '../../src/operations/ops-server'
import { RequestSamples } from '../../src/observe/samples/request-samples'
import { RecentRequests, SLOT_MS } from '../../src/observe/recent/recent-requests'

/** What a configuration file says, as an object: JSON is YAML too. */
export function configOf(file: object): GatewayConfig {
  const { config, problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
  if (!config) throw new Error(formatProblems(problems))
  return config
}

export const QUIET_CONFIG = configOf({
  upstreams: { orders: { targets: ['http://127.0.0.1:9001'], timeouts: { response: '10s' } } },
  routes: [
    {
      name: 'orders',
      match: { path: '/api/orders', host: '*.example.com', methods: ['GET', 'POST'] },
      upstream: 'orders',
      rewrite: { stripPrefix: '/api' },
      timeouts: { total: '1m' },
      rateLimit: [
        { name: 'burst', limit: 20, window: '1s', algorithm: 'gcra' },
        { name: 'daily', limit: 5000, window: '1d', key: ['header:x-tenant'], dryRun: true },
      ],
    },
    { name: 'search', match: { path: '/search/:index' }, upstream: 'orders' },
  ],
})

/** An ops port whose gateway is well and has nothing to do. */
export function quietSources(): Omit<OpsServerOptions, 'access'> {
  const startedAtMs = Date.now()
  return {
    metrics: (_request, response) => response.end('# EOF\n'),
    traces: { list: () => [], otlpJson: () => undefined },
    offenders: () => [],
    upstreams: () => [],
    recent: new RecentRequests(),
    samples: new RequestSamples({ slowMs: 1_000 }),
    inFlight: () => 0,
    pipelines: () => [],
    redis: () => undefined,
    configuration: () => ({
      file: 'gateway.yaml',
      config: QUIET_CONFIG,
      sinceMs: startedAtMs,
      lastReload: undefined,
      reloads: [],
      needRestart: [],
    }),
    notReady: () => undefined,
    replica: { version: '1.2.3', node: 'v24.0.0', host: 'gateway-7d9f', pid: 42, startedAtMs },
  }
}

/** A recorder whose clock a test turns. */
export function recorderWithClock(): { recent: RecentRequests; clock: { now: number } } {
  const clock = { now: SLOT_MS * 1_000 }
  return { clock, recent: new RecentRequests(() => clock.now) }
}
