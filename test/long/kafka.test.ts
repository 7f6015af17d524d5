import assert from 'node:assert/strict'
import { parseEnv } from 'node:util'
import { COLLECTOR_AGENT_CONFIG } from '../../tools/stack/collector'
import { findKafka } from '../../tools/backends/kafka'
import { read } from '../monitoring/monitoring-files'
import { needsFound } from '../support/needs'
import { needsCollector } from '../support/needs-collector'
import { newTraceId, sendCounters, sendSpans } from '../support/otlp-send'
import { JSON_ENCODING, startOtlpSink, type OtlpSink } from '../support/otlp-sink'
import { sendMany } from '../support/send-many'
import { startCollector, type RunningCollector } from '../support/start-collector'
import { startGateway } from '../support/start-gateway'
import { startKafka, type RunningKafka } from '../support/start-kafka'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const READERS = 2

describe('Kafka between agents and Collectors', function () {
  this.timeout(120_000)
  before(needsCollector())
  before(needsFound(findKafka))

  let kafka: RunningKafka
  let agents: RunningCollector[]
  let readers: RunningCollector[]
  let sinks: OtlpSink[]

  const settings = (file: string): NodeJS.ProcessEnv => ({
    ...parseEnv(read(`otel/collector/backends/${file}`)),
    KAFKA_ADDRESSES: kafka.address,
  })

  before(async () => {
    kafka = await startKafka()
    agents = await Promise.all(
      [1, 2].map(() => startCollector({ config: COLLECTOR_AGENT_CONFIG, env: settings('kafka.env') })),
    )
    sinks = await Promise.all(Array.from({ length: READERS }, startOtlpSink))
    readers = await Promise.all(
      sinks.map(({ url }) =>
        startCollector({
          env: {
            ...parseEnv(read('otel/collector/backends/honeycomb.env')),
            HONEYCOMB_API_ENDPOINT: url,
            ...settings('from-kafka.env'),
          },
          overlays: [JSON_ENCODING],
        }),
      ),
    )
  })
  after(async () => {
    for (const part of [...(agents ?? []), ...(readers ?? []), ...(sinks ?? [])]) await part.stop()
    await kafka?.stop()
  })

  const spansOf = (traceId: string): number[] =>
    sinks.map(({ spans }) => spans.filter(span => span.traceId === traceId).length)

  it('carries traces, metrics and logs of a gateway to the backend of the Collector that reads', async () => {
    const upstream = await startUpstream()
    const gateway = await startGateway({
      config: JSON.stringify(proxyTo(upstream.url)),
      env: {
        OTEL_EXPORTER_OTLP_ENDPOINT: agents[0]!.url,
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_METRICS_EXPORTER: 'otlp',
        OTEL_LOGS_EXPORTER: 'otlp',
        OTEL_METRIC_EXPORT_INTERVAL: '250',
        OTEL_BSP_SCHEDULE_DELAY: '100',
        OTEL_BLRP_SCHEDULE_DELAY: '100',
      },
    })
    await sendMany(gateway.url, 3, () => ({ path: '/app/x' }))
    await gateway.stop()
    const arrived = (): boolean =>
      sinks.flatMap(({ spans }) => spans).filter(({ name }) => name === 'GET /app').length >= 3 &&
      sinks.some(({ metrics }) => metrics.has('http.server.request.duration')) &&
      sinks.some(({ logs }) => logs.some(({ attributes }) => attributes['url.path'] === '/app/x'))
    await until(arrived, { what: 'all three signals arrive', timeoutMs: 30_000 })
    await upstream.stop()
  })

  it('brings all spans of a trace to one Collector, whichever agents they came through', async () => {
    const traces = Array.from({ length: 24 }, newTraceId)
    for (const { url } of agents) {
      await sendSpans(
        url,
        traces.map(traceId => ({ traceId })),
      )
    }
    await until(() => traces.every(trace => spansOf(trace).reduce((sum, count) => sum + count) >= agents.length), {
      what: 'all spans arrive',
      timeoutMs: 30_000,
    })
    for (const trace of traces) assert.equal(spansOf(trace).filter(count => count > 0).length, 1, trace)
    assert.ok(readers.length === READERS && sinks.every(({ spans }) => spans.length > 0), 'each reader has its share')
  })

  it('loses nothing while Kafka is down', async () => {
    await kafka.stop()
    const traceId = newTraceId()
    await sendSpans(agents[0]!.url, [{ traceId }])
    await sendCounters(agents[0]!.url, ['orders.placed'], 'orders-1')
    await kafka.startAgain()
    await until(() => spansOf(traceId).includes(1) && sinks.some(({ metrics }) => metrics.has('orders.placed')), {
      what: 'what was sent meanwhile arrives',
      timeoutMs: 60_000,
    })
  })
})
