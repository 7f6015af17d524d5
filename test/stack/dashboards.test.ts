import assert from 'node:assert/strict'
import { EMITTED_METRICS } from '../monitoring/emitted-metrics'
import { metricNamesByFile } from '../monitoring/metric-names'
import { dashboardFiles, panelsOf, readDashboard } from '../monitoring/monitoring-files'
import { askPrometheus } from '../support/ask-prometheus'
import { needsCollector } from '../support/needs-collector'
import { JSON_ENCODING, startOtlpSink } from '../support/otlp-sink'
import { sendMany } from '../support/send-many'
import { startCollector } from '../support/start-collector'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

/** Prometheus scrapes every 600 ms instead of every 15 s. */
const FACTOR = 25

describe('dashboards on the running stack', function () {
  this.timeout(90_000)
  let gateway: RunningGateway
  let sent: () => Promise<unknown>

  before(needsCollector())

  const alerting = withAlerting(async () => {
    const backend = await startOtlpSink()
    const collector = await startCollector({
      env: {
        TRACES_EXPORTERS: '[otlp_http/vendor]',
        METRICS_EXPORTERS: '[otlp_http/vendor]',
        LOGS_EXPORTERS: '[otlp_http/vendor]',
        VENDOR_OTLP_ENDPOINT: backend.url,
      },
      overlays: [JSON_ENCODING],
    })
    const upstream = await startUpstream((request, response) => {
      response.statusCode = request.url?.includes('fails') === true ? 500 : 200
      response.end('ok')
    })
    const broken = await startUpstream((_request, response) => {
      response.statusCode = 503
      response.end('broken')
    })
    const redis = await startRedis(['--maxmemory', '64mb'])
    gateway = await startGateway({
      config: configuration(upstream.url, broken.url),
      env: {
        REDIS_URL: redis.url,
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_METRICS_EXPORTER: 'prometheus,otlp',
        OTEL_METRIC_EXPORT_INTERVAL: '1000',
        OTEL_METRIC_EXPORT_TIMEOUT: '1000',
      },
    })
    const paths = ['/api/orders/1', '/api/orders/fails', '/limited', '/nobody', '/twice/1', '/split/1', '/split/fails']
    sent = () => sendMany(gateway.url, 50, index => ({ path: paths[index % paths.length] ?? '/' }))
    const collectors = [new URL(collector.selfUrl).host]
    return { gateways: [gateway], redis, collectors, factor: FACTOR, incidents: {} }
  })

  for (const file of dashboardFiles()) {
    const { title, panels, templating } = readDashboard(file)

    it(`return data for every query of "${title}"`, async () => {
      const queries = [
        ...panelsOf({ panels }).flatMap(panel =>
          (panel.targets ?? []).map(({ refId, expr }) => ({ name: `${panel.title} ${refId}`, expr: filledIn(expr) })),
        ),
        ...templating.list.flatMap(({ name, definition = '' }) =>
          definition === '' ? [] : [{ name: `variable ${name}`, expr: filledIn(valuesOf(definition)) }],
        ),
      ]
      const silent = await until(
        async () => {
          await sent()
          const answers = await Promise.all(queries.map(async query => ({ query, samples: await ask(query.expr) })))
          const unanswered = answers.filter(({ samples }) => samples === 0).map(({ query }) => query.name)
          return unanswered.length === 0 ? 'none' : Promise.reject(new Error(unanswered.join(', ')))
        },
        { what: 'an answer to every query', timeoutMs: 60_000, intervalMs: 300 },
      )
      assert.equal(silent, 'none')
    })
  }

  it('use only exposed metric names, and so do the alert rules', async () => {
    const asked = new Set([...metricNamesByFile().values()].flat())
    const response = await fetch(`${alerting.prometheusUrl}/api/v1/label/__name__/values`)
    const { data } = (await response.json()) as { data: string[] }
    // This stack has no certificate, no token issuer, no workers, no cluster and no replica of Redis, and its Collector loses nothing.
    const exposed = new Set([
      ...data,
      'gateway_auth_key_fetches_total',
      'gateway_tls_certificate_not_after_seconds',
      'gateway_tls_certificate_renewal_successful',
      'gateway_worker_restarts_total',
      'redis_cluster_slots_ok',
      'redis_cluster_state',
      'redis_master_link_up',
    ])
    const isOfLoss = (name: string): boolean => /^otelcol_exporter_(?:send|enqueue)_failed_/.test(name)
    assert.deepEqual(
      [...EMITTED_METRICS].filter(name => asked.has(name) && !exposed.has(name) && !isOfLoss(name)),
      [],
    )
  })

  /** The number of series in the result at this moment. */
  async function ask(expr: string): Promise<number> {
    return (await askPrometheus(alerting.prometheusUrl, expr)).length
  }
})

/** The values that Grafana would fill in for its variables, for the time of this run. */
function filledIn(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '5s')
    .replaceAll('$__range', '1m')
    .replaceAll(/\$(environment|instance|route|upstream)\b/g, '.*')
}

/** `label_values(SERIES, LABEL)` as a query: the values of the label, without those that lack it. */
function valuesOf(definition: string): string {
  const [, series = '', label = ''] = /^label_values\((.*), (\w+)\)$/.exec(definition) ?? []
  return `count by (${label}) (${series.replace(/\}$/, `,${label}!=""}`)})`
}

/** Includes a target that answers 503, so that retries occur. */
function configuration(upstreamUrl: string, brokenUrl: string): string {
  return `
upstreams:
  orders: { targets: ['${upstreamUrl}'], healthCheck: { path: /healthy, interval: 1s } }
  halves: { targets: ['${upstreamUrl}', '${brokenUrl}'], retries: { attempts: 2 } }
routes:
  - { name: orders, match: { path: /api/orders }, upstream: orders, rateLimit: { limit: 1000000, window: 1m }, slo: { availability: 99.9, latency: { threshold: 300ms, target: 99 } } }
  - { name: limited, match: { path: /limited }, upstream: orders, rateLimit: { limit: 1, window: 1h } }
  - name: split
    match: { path: /split }
    split:
      variants:
        - { name: stable, upstream: orders, weight: 50 }
        - { name: canary, upstream: orders, weight: 50 }
  - { name: twice, match: { path: /twice }, upstream: halves }
`
}
