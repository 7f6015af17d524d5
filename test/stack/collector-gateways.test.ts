import assert from 'node:assert/strict'
import { COLLECTOR_AGENT_CONFIG } from '../../tools/stack/collector'
import { needsCollector } from '../support/needs-collector'
import { JSON_ENCODING, startOtlpSink } from '../support/otlp-sink'
import { startCollector } from '../support/start-collector'
import { startGateway } from '../support/start-gateway'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const REQUESTS = 12

/** One gateway in front of another one, as at the edge and in a cluster. */
describe('traces that cross two gateways', function () {
  this.timeout(60_000)
  before(needsCollector())

  it('arrive whole at one sampling Collector, each with an agent of its own', async () => {
    const sinks = await Promise.all([startOtlpSink(), startOtlpSink()])
    const tier = await Promise.all(
      sinks.map(async sink =>
        startCollector({
          env: {
            TRACES_EXPORTERS: '[otlp_http/vendor]',
            VENDOR_OTLP_ENDPOINT: sink.url,
            TAIL_BASELINE_PERCENT: '0',
            TAIL_DECISION_WAIT: '3s',
          },
          overlays: [JSON_ENCODING],
        }),
      ),
    )
    const hostnames = JSON.stringify(tier.map(collector => collector.grpcAddress))
    const overlays = ['by_trace', 'by_sender'].map(
      name => `exporters::load_balancing/${name}::resolver: {dns: null, static: {hostnames: ${hostnames}}}`,
    )
    const agents = await Promise.all(
      [0, 1].map(async () => startCollector({ config: COLLECTOR_AGENT_CONFIG, overlays })),
    )
    // The inner service fails, so only the inner gateway's upstream call is a fault at first hand.
    const service = await startUpstream((_request, response) => {
      response.statusCode = 503
      response.end('broken')
    })
    const inner = await gatewayTo(service.url, agents[0]?.url ?? '')
    const outer = await gatewayTo(inner.url, agents[1]?.url ?? '')
    for (let index = 0; index < REQUESTS; index++) {
      assert.equal((await fetch(`${outer.url}/orders/${index}`)).status, 503)
    }
    // SERVER and CLIENT span of each gateway.
    await until(() => sinks.reduce((sum, sink) => sum + sink.spans.length, 0) === REQUESTS * 4, {
      what: 'all spans of all traces arrive',
      timeoutMs: 30_000,
    })
    const ids = sinks.map(sink => new Set(sink.spans.map(({ traceId }) => traceId)))
    assert.ok(
      ids.every(({ size }) => size > 0),
      'each Collector has a share',
    )
    for (const sink of sinks) {
      for (const spans of Map.groupBy(sink.spans, ({ traceId }) => traceId).values()) assert.equal(spans.length, 4)
    }
    await Promise.all([outer.stop(), inner.stop()])
    await Promise.all([...agents, ...tier].map(async collector => collector.stop()))
    await Promise.all(sinks.map(async sink => sink.stop()))
  })
})

async function gatewayTo(upstream: string, collector: string): ReturnType<typeof startGateway> {
  return startGateway({
    config: `
upstreams: { next: { targets: ['${upstream}'] } }
routes: [{ name: orders, match: { path: /orders }, upstream: next }]
`,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_BSP_SCHEDULE_DELAY: '200', TRACES_KEEP_PER_SECOND: '1000' },
  })
}
