import assert from 'node:assert/strict'
import { EMITTED_METRICS } from '../monitoring/emitted-metrics'
import { metricNamesByFile } from '../monitoring/metric-names'
import { dashboardFiles, panelsOf, readDashboard } from '../monitoring/monitoring-files'
import { askPrometheus } from '../support/ask-prometheus'
import { sendMany } from '../support/send-many'
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

  const alerting = withAlerting(async () => {
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
      env: { REDIS_URL: redis.url },
    })
    const paths = ['/api/orders/1', '/api/orders/fails', '/limited', '/nobody', '/twice/1']
    sent = () => sendMany(gateway.url, 50, index => ({ path: paths[index % paths.length] ?? '/' }))
    return { gateways: [gateway], redis, factor: FACTOR, incidents: {} }
  })

  for (const file of dashboardFiles()) {
    const { title, panels } = readDashboard(file)

    it(`return data for every query of "${title}"`, async () => {
      const queries = panelsOf({ panels }).flatMap(panel =>
        (panel.targets ?? []).map(({ refId, expr }) => ({ name: `${panel.title} ${refId}`, expr: filledIn(expr) })),
      )
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
    // The gateway of this stack has no certificate, so there is no expiry time to show, and sends nothing over OTLP.
    const exposed = new Set([...data, 'gateway_tls_certificate_not_after_seconds'])
    const isOfOtlp = (name: string): boolean => /^otel_sdk_(?:exporter|processor)_/.test(name)
    assert.deepEqual(
      [...EMITTED_METRICS].filter(name => asked.has(name) && !exposed.has(name) && !isOfOtlp(name)),
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
  return expr.replaceAll('$__rate_interval', '5s').replaceAll('$__range', '1m').replaceAll('$route', '.*')
}

/** Includes a target that answers 503, so that retries occur. */
function configuration(upstreamUrl: string, brokenUrl: string): string {
  return `
upstreams:
  orders: { targets: ['${upstreamUrl}'] }
  halves: { targets: ['${upstreamUrl}', '${brokenUrl}'], retries: { attempts: 2 } }
routes:
  - { name: orders, match: { path: /api/orders }, upstream: orders, rateLimit: { limit: 1000000, window: 1m }, slo: { availability: 99 } }
  - { name: limited, match: { path: /limited }, upstream: orders, rateLimit: { limit: 1, window: 1h } }
  - { name: twice, match: { path: /twice }, upstream: halves }
`
}
