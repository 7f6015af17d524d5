import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { needsCollector } from '../support/needs-collector'
import { openTrace } from '../support/ops-port'
import { newTraceId, sendSpans } from '../support/otlp-send'
import { send } from '../support/send'
import { scrape, startCollector, type RunningCollector } from '../support/start-collector'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { until } from '../support/until'

describe('what a real Collector reads of sampling', () => {
  before(needsCollector())

  describe('as exemplars', () => {
    let collector: RunningCollector
    let gateway: RunningGateway | undefined

    before(async () => {
      const env = { METRICS_EXPORTERS: '[debug]', TRACES_EXPORTERS: '[nop]', OTELCOL_DEBUG_VERBOSITY: 'detailed' }
      collector = await startCollector({ env })
    })
    afterEach(async () => {
      await gateway?.stop()
      gateway = undefined
    })
    after(async () => {
      await collector.stop()
    })

    for (const [protocol, histograms] of [
      ['http/protobuf', 'explicit_bucket_histogram'],
      ['http/protobuf', 'base2_exponential_bucket_histogram'],
      ['http/json', 'explicit_bucket_histogram'],
      ['grpc', 'base2_exponential_bucket_histogram'],
    ] as const) {
      it(`over ${protocol}, of an ${histograms}, each of a trace that can be opened`, async () => {
        gateway = await startGateway({
          config: JSON.stringify(proxyTo(`http://127.0.0.1:${await freePort()}`)),
          env: {
            OTEL_METRICS_EXPORTER: 'otlp',
            OTEL_TRACES_SAMPLER: 'always_off',
            OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
            OTEL_EXPORTER_OTLP_ENDPOINT: protocol === 'grpc' ? `http://${collector.grpcAddress}` : collector.url,
            OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION: histograms,
            OTEL_METRIC_EXPORT_INTERVAL: '250',
          },
        })
        const before = collector.process.lines.length
        assert.equal((await send(gateway.port, '/app/x')).status, 502)
        const { traceId, metric } = await until(() => exemplarIn(collector.process.lines.slice(before)), {
          what: 'an exemplar of the duration',
        })
        assert.equal(metric, 'http.server.request.duration')
        assert.ok(await openTrace(gateway.opsUrl, traceId))
      })
    }
  })

  describe('as the counts of its span metrics', () => {
    let collector: RunningCollector
    before(async () => {
      const env = { SPAN_METRICS_FLUSH_INTERVAL: '200ms', TRACES_EXPORTERS: '[nop]' }
      collector = await startCollector({ env })
    })
    after(async () => {
      await collector.stop()
    })

    it('which weigh each span by its threshold, before tail sampling', async () => {
      const client = (traceState: string, error = false) =>
        ({ traceId: newTraceId(), kind: 'client', traceState, error }) as const
      // A quarter of the good calls was sampled, and every failed one was kept.
      const good = Array.from({ length: 25 }, () => client('ot=th:c'))
      const failed = Array.from({ length: 7 }, () => client('acme=1,ot=th:0', true))
      await sendSpans(collector.url, [...good, ...failed])
      const counts = await until(
        async () => {
          const samples = await scrape(collector.metricsUrl)
          const calls = samples.filter(({ name }) => name === 'traces_span_metrics_calls_total')
          const sumOf = (code: string): number =>
            calls.filter(({ labels }) => labels['status_code'] === code).reduce((sum, { value }) => sum + value, 0)
          const found = { good: sumOf('STATUS_CODE_UNSET'), failed: sumOf('STATUS_CODE_ERROR') }
          return found.good > 0 && found.failed > 0 && found
        },
        { what: 'span metrics' },
      )
      assert.deepEqual(counts, { good: 100, failed: 7 })
    })
  })
})

/** The first exemplar of a histogram that the debug exporter has written, with the metric before it. */
function exemplarIn(lines: readonly string[]): { traceId: string; metric: string } | undefined {
  const text = lines.join('\n').replaceAll('\\n', '\n').replaceAll('\\t', ' ')
  for (const metric of text.split(/-> Name: /).slice(1)) {
    const name = /^\S+/.exec(metric)?.[0] ?? ''
    const traceId = /Exemplar #0\s+-> Trace ID: ([0-9a-f]{32})/.exec(metric)?.[1]
    if (name === 'http.server.request.duration' && traceId !== undefined) return { traceId, metric: name }
  }
  return undefined
}
