import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { needsCollector } from '../support/needs-collector'
import { newTraceId, sendSpans } from '../support/otlp-send'
import { JSON_ENCODING, startOtlpSink, type OtlpSink } from '../support/otlp-sink'
import { startCollector, type RunningCollector } from '../support/start-collector'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('when the trace backend is down, the Collector', function () {
  // Starts up to three Collectors and sends megabytes through them, which takes seconds on an idle machine.
  this.timeout(60_000)
  let sink: OtlpSink
  let collector: RunningCollector

  before(needsCollector())
  beforeEach(async () => {
    sink = await startOtlpSink()
    collector = await startCollector({
      env: { TRACES_EXPORTERS: '[otlp_http/vendor]', VENDOR_OTLP_ENDPOINT: sink.url },
      overlays: [JSON_ENCODING],
    })
  })
  afterEach(async () => {
    await collector?.stop()
    await sink?.stop()
  })

  /** Sends one-span traces of four kilobytes. Returns their ids once all of them are in the queue. */
  async function sendTraces(to: RunningCollector, count: number): Promise<string[]> {
    const ids = Array.from({ length: count }, newTraceId)
    for (let start = 0; start < count; start += 500) {
      const spans = ids.slice(start, start + 500).map(traceId => ({ traceId, attributes: { note: 'x'.repeat(4_000) } }))
      await sendSpans(to.url, spans)
    }
    const sampled = { sampled: 'true' }
    const metric = 'otelcol_processor_tail_sampling_global_count_traces_sampled_total'
    const decided = async (): Promise<boolean> => (await to.ownMetric(metric, sampled)) >= count
    await until(decided, { what: 'all traces are decided', timeoutMs: 20_000 })
    return ids
  }

  async function arrived(ids: readonly string[]): Promise<void> {
    const missing = (): string[] => {
      const there = new Set(sink.spans.map(span => span.traceId))
      return ids.filter(id => !there.has(id))
    }
    await until(() => missing().length === 0, { what: 'every trace arrives', timeoutMs: 20_000 })
  }

  it('keeps every trace until the backend is back, and then sends batches of a size that gRPC accepts', async () => {
    // Another Collector is the backend, with the message limit of 4 MiB that gRPC servers have by default.
    const backend = await startCollector({
      env: { TRACES_EXPORTERS: '[otlp_http/vendor]', VENDOR_OTLP_ENDPOINT: sink.url },
      overlays: [JSON_ENCODING],
    })
    const sender = await startCollector({
      env: { TRACES_EXPORTERS: '[otlp_grpc/traces]', TRACES_OTLP_GRPC_ENDPOINT: backend.grpcAddress },
    })
    await backend.kill()
    const ids = await sendTraces(sender, 3_000)
    await backend.startAgain()
    await arrived(ids)
    assert.equal(await sender.ownMetric('otelcol_exporter_send_failed_spans_total'), 0)
    assert.equal(await sender.ownMetric('otelcol_exporter_enqueue_failed_spans_total'), 0)
    await sender.stop()
    await backend.stop()
  })

  it('keeps the traces through its own crash and restart', async () => {
    await sink.stop()
    const ids = await sendTraces(collector, 50)
    const queued = async (): Promise<boolean> => (await collector.ownMetric('otelcol_exporter_queue_size')) > 0
    await until(queued, { what: 'the queue holds them' })
    await collector.kill()
    await collector.startAgain()
    await sink.startAgain()
    await arrived(ids)
  })

  it('decides open traces when it is stopped, and sends them after the restart', async () => {
    await sink.stop()
    const traceId = newTraceId()
    await sendSpans(collector.url, [{ traceId }])
    await collector.stop()
    assert.equal(collector.process.exit?.code, 0)
    await collector.startAgain()
    await sink.startAgain()
    await arrived([traceId])
  })
})

describe('when the Collector is down', () => {
  it('fails no request of the gateway, and does not delay its exit', async () => {
    const upstream = await startUpstream()
    const nobody = await freePort()
    const gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { orders: { targets: [upstream.url] } },
        routes: [{ name: 'orders', match: { path: '/orders' }, upstream: 'orders' }],
      }),
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${nobody}`,
        OTEL_METRICS_EXPORTER: 'prometheus,otlp',
        OTEL_BSP_SCHEDULE_DELAY: '50',
        OTEL_METRIC_EXPORT_INTERVAL: '100',
      },
    })
    for (let index = 0; index < 200; index++) {
      const response = await fetch(`${gateway.url}/orders`)
      assert.equal(response.status, 200)
      await response.arrayBuffer()
    }
    const { code } = await gateway.stop()
    assert.equal(code, 0)
    // The export was tried, and it failed.
    const said = gateway.logs.filter(entry => entry['event'] === 'telemetry').map(entry => entry['msg'])
    assert.notDeepEqual(said, [])
    await upstream.stop()
  })
})
