import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findBinary } from '../../tools/stack/binaries'
import { askPrometheus, type Row } from '../support/ask-prometheus'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { needsCollector } from '../support/needs-collector'
import { scrape, startCollector, type RunningCollector } from '../support/start-collector'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startProcess, type TestProcess } from '../support/start-process'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

/** Names that the exposition of a scrape and that of the Collector add themselves. */
const OF_THE_FORMAT = ['target_info']

describe('metrics through the Collector', () => {
  let redis: RunningRedis
  let upstream: RunningUpstream
  let prometheus: { readonly url: string; readonly process: TestProcess }
  let collector: RunningCollector
  let gateway: RunningGateway

  before(needs('redis-server', 'prometheus'))
  before(needsCollector())
  before(async () => {
    const prometheusPort = await freePort()
    redis = await startRedis()
    upstream = await startUpstream((request, response) => {
      response.statusCode = request.url === '/orders/fails' ? 500 : 200
      response.end()
    })
    collector = await startCollector({
      env: {
        METRICS_EXPORTERS: '[prometheus, prometheus_remote_write]',
        PROMETHEUS_REMOTE_WRITE_ENDPOINT: `http://127.0.0.1:${prometheusPort}/api/v1/write`,
      },
    })
    prometheus = await startPrometheus(prometheusPort, new URL(collector.metricsUrl).host)
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { orders: { targets: [upstream.url] } },
        routes: [
          {
            name: 'orders',
            match: { path: '/orders' },
            upstream: 'orders',
            rateLimit: { limit: 4, window: '1m', key: 'client' },
          },
        ],
      }),
      env: {
        REDIS_URL: redis.url,
        OTEL_METRICS_EXPORTER: 'prometheus,otlp',
        OTEL_TRACES_EXPORTER: 'none',
        OTEL_LOGS_EXPORTER: 'none',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_METRIC_EXPORT_INTERVAL: '250',
      },
    })
    for (const path of ['/orders/1', '/orders/fails', '/orders/2', '/orders/3', '/orders/4']) {
      await (await fetch(gateway.url + path)).arrayBuffer()
    }
  })
  after(async () => {
    await gateway?.stop()
    await prometheus?.process.stop()
    await collector?.stop()
    await upstream?.stop()
    await redis?.stop()
  })

  it('have the names, labels and values of the gateway’s own /metrics', async () => {
    const series = async (url: string): Promise<Map<string, number>> => {
      const samples = (await scrape(url)).filter(sample => !OF_THE_FORMAT.includes(sample.name))
      return new Map(samples.map(({ name, labels, value }) => [`${name}${identity(labels)}`, value]))
    }
    // Repeated while they differ: new series still appear, and one side is always a moment behind.
    const { own, forwarded } = await until(
      async () => {
        const [own, forwarded] = await Promise.all([series(`${gateway.opsUrl}/metrics`), series(collector.metricsUrl)])
        const missing = [...own.keys()].filter(name => !forwarded.has(name))
        const added = [...forwarded.keys()].filter(name => !own.has(name))
        if (missing.length + added.length > 0) throw new Error(`missing ${missing.join()}; added ${added.join()}`)
        return { own, forwarded }
      },
      { what: 'the Collector exposes every series of the gateway, and no other' },
    )
    // Without the counts of exports and of their bytes: each export carries those of the exports before it.
    const counted = [...own].filter(([name]) =>
      /^(?:http_server_request_duration_seconds|gateway_(?!telemetry_)\w+_total)/.test(name),
    )
    assert.ok(counted.length > 20, `${counted.length} series of requests`)
    for (const [name, value] of counted) {
      if (!name.includes('_sum')) assert.equal(forwarded.get(name), value, name)
    }
  })

  it('reach a real Prometheus that scrapes the Collector, identical to those of the gateway', async () => {
    const [answered] = await query(
      'http_server_request_duration_seconds_count{scraped="yes",http_response_status_code="429"}',
    )
    assert.equal(answered?.metric['job'], 'myesi-api')
    assert.equal(answered?.metric['http_route'], '/orders')
    assert.equal(answered?.value, 1)
  })

  it('reach Prometheus by remote write under the same names', async () => {
    const selector =
      '{scraped="",job="myesi-api",__name__=~"http_server_request_duration_seconds_count|gateway_requests_total"}'
    const found = await query(selector, rows => rows.some(({ metric }) => metric['gateway_reason'] === 'limited'))
    const names = new Set(found.map(({ metric }) => metric['__name__']))
    assert.deepEqual(names, new Set(['gateway_requests_total', 'http_server_request_duration_seconds_count']))
    const faults = found.find(({ metric }) => metric['gateway_reason'] === 'upstream_5xx')
    assert.equal(faults?.value, 1)
  })

  it('are separate from the Collector’s own metrics, whose counters end in _total', async () => {
    const own = await scrape(collector.selfUrl)
    const names = new Set(own.map(sample => sample.name))
    // The metrics that the alert rules use.
    for (const name of [
      'otelcol_receiver_accepted_metric_points_total',
      'otelcol_exporter_sent_metric_points_total',
      'otelcol_process_uptime_seconds_total',
    ]) {
      assert.ok(names.has(name), `${name} in ${[...names].join(' ')}`)
    }
    assert.ok(own.every(sample => !sample.name.startsWith('http_server_request_duration')))
  })

  /** The result of a query, as soon as it is acceptable. */
  async function query(expression: string, enough = (rows: readonly Row[]) => rows.length > 0): Promise<Row[]> {
    return until(
      async () => {
        const rows = await askPrometheus(prometheus.url, expression)
        return enough(rows) && rows
      },
      { what: expression, timeoutMs: 15_000 },
    )
  }
})

async function startPrometheus(port: number, target: string): Promise<{ url: string; process: TestProcess }> {
  const folder = temporaryFolder()
  const config = join(folder, 'prometheus.yml')
  // JSON is YAML too. honor_labels: job and instance are the gateway's; the label marks this way, not remote write.
  const scrapeConfig = {
    job_name: 'otel-collector-metrics',
    honor_labels: true,
    static_configs: [{ targets: [target], labels: { scraped: 'yes' } }],
  }
  writeFileSync(config, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [scrapeConfig] }))
  const { path } = await findBinary('prometheus')
  const process = startProcess({
    name: 'prometheus',
    path,
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
    ],
  })
  const url = `http://127.0.0.1:${port}`
  await until(async () => (await fetch(`${url}/-/ready`)).ok, { what: 'Prometheus is ready' })
  return { url, process }
}

/** Labels that only one of the two ways has: the Collector names the schema of a scope, which `/metrics` leaves out. */
const OF_ONE_WAY = new Set(['instance', 'job', 'otel_scope_schema_url'])

/** A series without the labels of one way only. For Prometheus, an empty label is no label. */
function identity(labels: Readonly<Record<string, string>>): string {
  const kept = Object.entries(labels).filter(([name, value]) => value !== '' && !OF_ONE_WAY.has(name))
  return JSON.stringify(kept.sort(([a], [b]) => (a < b ? -1 : 1)))
}
