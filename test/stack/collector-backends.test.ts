import assert from 'node:assert/strict'
import { needsCollector } from '../support/needs-collector'
import { newTraceId, sendCounters, sendLog, sendSpans } from '../support/otlp-send'
import { JSON_ENCODING, startOtlpSink } from '../support/otlp-sink'
import { startCollector } from '../support/start-collector'
import { until } from '../support/until'

describe('backends of the Collector', () => {
  before(needsCollector())

  it('receive each signal at their path, with the headers of the environment', async () => {
    const sink = await startOtlpSink()
    const collector = await startCollector({
      env: {
        TRACES_EXPORTERS: '[otlp_http/vendor]',
        VENDOR_OTLP_ENDPOINT: sink.url,
        VENDOR_OTLP_HEADERS: '{"api-key": "a=b,c"}',
        METRICS_EXPORTERS: '[otlp_http/prometheus]',
        PROMETHEUS_OTLP_ENDPOINT: `${sink.url}/api/v1/otlp`,
        LOGS_EXPORTERS: '[otlp_http/logs]',
        LOGS_OTLP_ENDPOINT: `${sink.url}/otlp`,
        LOGS_OTLP_HEADERS: '{x-scope-orgid: team}',
      },
      overlays: [
        JSON_ENCODING,
        'exporters::otlp_http/prometheus::encoding: json',
        'exporters::otlp_http/logs::encoding: json',
      ],
    })
    await sendSpans(collector.url, [{ traceId: newTraceId() }])
    await sendCounters(collector.url, ['orders.placed'], 'orders-1')
    await sendLog(collector.url, 'placed an order')
    await until(() => sink.spans.length > 0 && sink.metrics.size > 0 && sink.logs.length > 0, { what: 'all arrive' })
    const requests = new Map(sink.requests.map(({ path, headers }) => [path, headers]))
    assert.deepEqual([...requests.keys()].sort(), ['/api/v1/otlp/v1/metrics', '/otlp/v1/logs', '/v1/traces'])
    assert.equal(requests.get('/v1/traces')?.['api-key'], 'a=b,c')
    assert.equal(requests.get('/otlp/v1/logs')?.['x-scope-orgid'], 'team')
    await collector.stop()
    await sink.stop()
  })

  it('may be several for one signal, and one that is down does not affect the others', async () => {
    const sink = await startOtlpSink()
    const collector = await startCollector({
      env: {
        TRACES_EXPORTERS: '[otlp_grpc/traces, otlp_http/vendor]',
        TRACES_OTLP_GRPC_ENDPOINT: 'backend.invalid:4317',
        VENDOR_OTLP_ENDPOINT: sink.url,
      },
      overlays: [JSON_ENCODING],
    })
    await sendSpans(collector.url, [{ traceId: newTraceId() }])
    await until(() => sink.spans.length === 1, { what: 'the span arrives' })
    await collector.stop()
    await sink.stop()
  })
})
