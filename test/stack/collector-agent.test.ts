import assert from 'node:assert/strict'
import { COLLECTOR_AGENT_CONFIG } from '../../tools/stack/collector'
import { needsCollector } from '../support/needs-collector'
import { newTraceId, sendCounters, sendSpans } from '../support/otlp-send'
import { JSON_ENCODING, startOtlpSink, type OtlpSink } from '../support/otlp-sink'
import { scrape, startCollector, type RunningCollector } from '../support/start-collector'
import { until } from '../support/until'

const COUNTERS = Array.from({ length: 8 }, (_, index) => `orders.placed_${index}`)

describe('an agent in front of two sampling Collectors', () => {
  let sinks: OtlpSink[]
  let tier: RunningCollector[]
  let agent: RunningCollector

  before(needsCollector())
  before(async () => {
    sinks = await Promise.all([startOtlpSink(), startOtlpSink()])
    tier = await Promise.all(sinks.map(startSampling))
    // One name with two addresses needs a DNS server; on one machine the file lists the addresses instead.
    const hostnames = JSON.stringify(tier.map(collector => collector.grpcAddress))
    const resolver = `resolver: {dns: null, static: {hostnames: ${hostnames}}}`
    agent = await startCollector({
      config: COLLECTOR_AGENT_CONFIG,
      overlays: ['by_trace', 'by_sender'].map(name => `exporters::load_balancing/${name}::${resolver}`),
    })
  })
  after(async () => {
    await Promise.all([agent, ...(tier ?? [])].map(async collector => collector?.stop()))
    await Promise.all((sinks ?? []).map(async sink => sink.stop()))
  })

  async function startSampling(sink: OtlpSink): Promise<RunningCollector> {
    return startCollector({
      env: {
        TRACES_EXPORTERS: '[otlp_http/vendor]',
        VENDOR_OTLP_ENDPOINT: sink.url,
        TAIL_BASELINE_PERCENT: '0',
      },
      overlays: [JSON_ENCODING],
    })
  }

  it('sends every span of a trace to the same one, so that a fault in any span keeps the whole trace', async () => {
    const ids = Array.from({ length: 40 }, newTraceId)
    // Spans of two services, at different times: only the second one failed.
    await sendSpans(
      agent.url,
      ids.map(traceId => ({ traceId, name: 'first' })),
      'gateway',
    )
    await sendSpans(
      agent.url,
      ids.map(traceId => ({ traceId, name: 'second', error: true })),
      'orders',
    )
    const received = (): number => sinks.reduce((sum, sink) => sum + sink.spans.length, 0)
    await until(() => received() === 80, { what: 'both spans of each trace arrive' })
    for (const sink of sinks) {
      const own = Map.groupBy(sink.spans, span => span.traceId)
      assert.ok(own.size > 0, 'each Collector has a share')
      for (const spans of own.values()) assert.deepEqual(spans.map(span => span.name).sort(), ['first', 'second'])
    }
  })

  it('sends all series of a sender to the same one, so that no series is exposed twice', async () => {
    const senders = Array.from({ length: 20 }, (_, index) => `gateway-${index}`)
    for (const sender of senders) await sendCounters(agent.url, COUNTERS, sender)
    const exposed = async (collector: RunningCollector): Promise<string[]> =>
      (await scrape(collector.metricsUrl))
        .filter(sample => sample.name.startsWith('orders_placed_'))
        .map(sample => sample.labels['instance']!)
    const all = await until(
      async () => {
        const instances = await Promise.all(tier.map(exposed))
        return instances.flat().length === senders.length * COUNTERS.length && instances
      },
      { what: 'every series is exposed, once' },
    )
    for (const instances of all) assert.ok(instances.length > 0, 'each Collector has a share')
    const [first, second] = all.map(instances => new Set(instances))
    assert.deepEqual(
      [...first!].filter(sender => second!.has(sender)),
      [],
    )
  })
})

describe('an agent with its unchanged file', () => {
  before(needsCollector())

  it('sends to the sampling tier that the environment names', async () => {
    const sink = await startOtlpSink()
    const sampling = await startCollector({
      env: { TRACES_EXPORTERS: '[otlp_http/vendor]', VENDOR_OTLP_ENDPOINT: sink.url },
      overlays: [JSON_ENCODING],
    })
    const [host, port] = sampling.grpcAddress.split(':')
    const agent = await startCollector({
      config: COLLECTOR_AGENT_CONFIG,
      env: { SAMPLING_TIER_HOST: host, SAMPLING_TIER_PORT: port },
    })
    await sendSpans(agent.url, [{ traceId: newTraceId() }])
    await until(() => sink.spans.length === 1, { what: 'the span arrives' })
    await agent.stop()
    await sampling.stop()
    await sink.stop()
  })
})
