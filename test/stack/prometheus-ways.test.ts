import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { PrometheusExposition } from '../../otel/sdk/exposition/exporter'
import { ExponentialReader } from '../../otel/sdk/exposition/native-histograms'
import { prometheusPlan } from '../../tools/stack/components'
import { askPrometheus } from '../support/ask-prometheus'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { needsCollector } from '../support/needs-collector'
import { openTrace } from '../support/ops-port'
import { sendMany } from '../support/send-many'
import { startCollector } from '../support/start-collector'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startProcess, type TestProcess } from '../support/start-process'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const COUNT = 'http_server_request_duration_seconds_count'

describe('a real Prometheus with native histograms', function () {
  this.timeout(90_000)
  before(needs('prometheus'))

  let upstream: RunningUpstream
  let scraped: RunningGateway
  let pushing: RunningGateway
  let known: RunningUpstream
  let prometheus: TestProcess
  let url: string
  const durations = knownDurations(20_000)

  before(async () => {
    upstream = await startUpstream()
    known = await startKnown(durations)
    const config = JSON.stringify(proxyTo(upstream.url))
    scraped = await startGateway({ config, env: { TELEMETRY_NATIVE_HISTOGRAMS: 'true' } })
    const folder = temporaryFolder()
    const jobs = { gateway: `127.0.0.1:${scraped.opsPort}`, known: new URL(known.url).host }
    writeFileSync(
      join(folder, 'prometheus.yml'),
      JSON.stringify({
        global: {
          scrape_interval: '500ms',
          scrape_timeout: '500ms',
          scrape_native_histograms: true,
          always_scrape_classic_histograms: true,
        },
        scrape_configs: Object.entries(jobs).map(([name, target]) => ({
          job_name: name,
          static_configs: [{ targets: [target] }],
        })),
      }),
    )
    const plan = await prometheusPlan(await freePort(), folder, join(folder, 'data'))
    const features = '--enable-feature=exemplar-storage,created-timestamp-zero-ingestion'
    const others = plan.args.filter(argument => !argument.startsWith('--enable-feature='))
    const args = [...others, features, '--web.enable-otlp-receiver', '--web.enable-remote-write-receiver']
    prometheus = startProcess({ name: plan.name, path: plan.path, args })
    url = plan.address
    await until(() => plan.isReady(), { what: 'Prometheus is ready', timeoutMs: 30_000 })
    pushing = await startGateway({
      config,
      env: {
        OTEL_SERVICE_NAME: 'pushing',
        OTEL_METRICS_EXPORTER: 'otlp',
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${url}/api/v1/otlp/v1/metrics`,
        OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
        OTEL_METRIC_EXPORT_INTERVAL: '250',
      },
    })
    for (const gateway of [scraped, pushing]) await sendMany(gateway.url, 20, () => ({ path: '/app/x' }))
  })
  after(async () => {
    await prometheus?.stop()
    await pushing?.stop()
    await scraped?.stop()
    await known?.stop()
    await upstream?.stop()
  })

  const valueOf = async (query: string): Promise<number | undefined> => (await askPrometheus(url, query))[0]?.value
  const untilIs = (query: string, expected: number): Promise<unknown> =>
    until(async () => (await valueOf(query)) === expected, { what: `${query} is ${expected}` })

  it('reads quantiles near the true ones, where the classic buckets are far off', async () => {
    await untilIs('histogram_count(http_server_request_duration_seconds{job="known"})', durations.length)
    for (const quantile of [0.5, 0.9, 0.99]) {
      const truth = durations.toSorted((a, b) => a - b)[Math.floor(quantile * durations.length)]!
      const found = await valueOf(`histogram_quantile(${quantile}, http_server_request_duration_seconds{job="known"})`)
      assert.ok(Math.abs(found! / truth - 1) < 0.03, `${quantile}: ${found} for ${truth}`)
      const classic = await valueOf(
        `histogram_quantile(${quantile}, http_server_request_duration_seconds_bucket{job="known"})`,
      )
      assert.ok(Math.abs(found! - truth) < Math.abs(classic! - truth), `${quantile}: ${classic} by classic buckets`)
    }
    const sum = await valueOf('histogram_sum(http_server_request_duration_seconds{job="known"})')
    const total = durations.reduce((all, duration) => all + duration, 0)
    assert.ok(Math.abs(sum! / total - 1) < 1e-9)
  })

  it('gets them from the gateway beside the classic buckets, with all other metrics', async () => {
    await untilIs('histogram_count(http_server_request_duration_seconds{job="gateway",http_route="/app"})', 20)
    await untilIs(`${COUNT}{job="gateway",http_route="/app"}`, 20)
    await untilIs('http_server_request_duration_seconds_bucket{job="gateway",http_route="/app",le="+Inf"}', 20)
    await untilIs('gateway_requests_total{job="gateway",http_route="/app",gateway_outcome="ok"}', 20)
    assert.equal((await askPrometheus(url, 'target_info{job="gateway"}')).length, 1)
    // What text and protobuf say differs in nothing but the form.
    const names = async (job: string): Promise<Set<string>> => {
      const rows = await askPrometheus(url, `count by (__name__) ({job="${job}"})`)
      return new Set(rows.map(({ metric }) => metric['__name__'] ?? ''))
    }
    const text = await (await fetch(`${scraped.opsUrl}/metrics`)).text()
    const inText = [...text.matchAll(/^([a-z]\w*)(?:\{| )/gm)].map(match => match[1]!)
    const found = await names('gateway')
    assert.deepEqual(
      [...new Set(inText)].filter(name => !found.has(name)),
      [],
    )
  })

  it('learns when a counter started, so that what was counted before the first scrape is an increase', async () => {
    const query = `increase(${COUNT}{job="known"}[5m])`
    const found = await until(async () => valueOf(query), { what: 'an increase' })
    assert.ok(found > 0.9 * durations.length, `${found} of ${durations.length}`)
  })

  it('takes exemplars with them, which open at the gateway', async () => {
    const parameters = new URLSearchParams({
      query: 'http_server_request_duration_seconds_bucket{job="gateway",http_route="/app"}',
      start: String(Date.now() / 1_000 - 300),
      end: String(Date.now() / 1_000 + 60),
    })
    const exemplars = await until(
      async () => {
        const answer = await fetch(`${url}/api/v1/query_exemplars?${parameters.toString()}`)
        const { data } = (await answer.json()) as { data: { exemplars: { labels: { trace_id: string } }[] }[] }
        const found = data.flatMap(series => series.exemplars)
        return found.length > 0 && found
      },
      { what: 'exemplars' },
    )
    assert.ok(await openTrace(scraped.opsUrl, exemplars[0]!.labels.trace_id))
  })

  it('takes metrics by its OTLP receiver too, with the same names and exponential histograms as native ones', async () => {
    await untilIs('histogram_count(http_server_request_duration_seconds{job="pushing",http_route="/app"})', 20)
    await untilIs('gateway_requests_total{job="pushing",http_route="/app",gateway_outcome="ok"}', 20)
  })

  describe('and a Collector', () => {
    before(needsCollector())

    it('takes metrics by remote write 2 too, with the same names and exponential histograms as native ones', async () => {
      const collector = await startCollector({
        env: {
          METRICS_EXPORTERS: '[prometheus_remote_write]',
          PROMETHEUS_REMOTE_WRITE_ENDPOINT: `${url}/api/v1/write`,
        },
        overlays: ['exporters::prometheus_remote_write::protobuf_message: io.prometheus.write.v2.Request'],
        featureGates: ['exporter.prometheusremotewritexporter.enableSendingRW2'],
      })
      const gateway = await startGateway({
        config: JSON.stringify(proxyTo(upstream.url)),
        env: {
          OTEL_SERVICE_NAME: 'written',
          OTEL_METRICS_EXPORTER: 'otlp',
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_TRACES_EXPORTER: 'none',
          OTEL_LOGS_EXPORTER: 'none',
          OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: 'base2_exponential_bucket_histogram',
          OTEL_METRIC_EXPORT_INTERVAL: '250',
        },
      })
      try {
        await sendMany(gateway.url, 20, () => ({ path: '/app/x' }))
        await untilIs('gateway_requests_total{job="written",http_route="/app",gateway_outcome="ok"}', 20)
        await untilIs('histogram_count(http_server_request_duration_seconds{job="written",http_route="/app"})', 20)
      } finally {
        await gateway.stop()
        await collector.stop()
      }
    })
  })
})

/** Durations of a skewed distribution around 30 ms, always the same. */
function knownDurations(count: number): readonly number[] {
  return Array.from(
    { length: count },
    (_, index) => 0.03 * Math.exp(2 * Math.sin(((index + 0.5) / count - 0.5) * Math.PI)),
  )
}

/** An exposition of these durations. */
async function startKnown(values: readonly number[]): Promise<RunningUpstream> {
  const exponential = new ExponentialReader()
  const exposition = new PrometheusExposition(undefined, undefined, exponential)
  const histogram = new MeterProvider({ readers: [exposition, exponential] })
    .getMeter('known')
    .createHistogram('http.server.request.duration', {
      unit: 's',
      advice: { explicitBucketBoundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1] },
    })
  for (const value of values) histogram.record(value, {})
  return startUpstream((request, response) => exposition.getMetricsRequestHandler(request, response))
}
