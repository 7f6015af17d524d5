import assert from 'node:assert/strict'
import type { Attributes, Meter } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { PrometheusExposition } from '../../../otel/sdk/exposition/exporter'
import { RULES } from '../../../otel/sdk/exposition/gauge-rules'
import type { WorkerAnswer } from '../../../otel/sdk/exposition/worker-totals'
import type { Exemplar, ExemplarSource } from '../../../otel/sdk/exemplars'
import * as semconv from '../../../src/telemetry/semconv'
import { parseExposition, sampleValue, type ExposedFamily } from '../../support/exposition'
import { withExemplars } from '../../support/ops-port'
import { filesMatching, read } from '../../monitoring/monitoring-files'

interface FakeProcess {
  readonly exposition: PrometheusExposition
  readonly meter: Meter
}

function startProcess(exemplars?: ExemplarSource): FakeProcess {
  const exposition = new PrometheusExposition(exemplars)
  const meter = new MeterProvider({ readers: [exposition] }).getMeter('test')
  return { exposition, meter }
}

describe('the metrics of several workers', () => {
  let primary: FakeProcess
  let workers: Map<number, FakeProcess>
  /** Workers that answer nothing. */
  let silent: Set<number>
  let totals: ReturnType<PrometheusExposition['addWorkers']>

  beforeEach(() => {
    primary = startProcess()
    workers = new Map()
    silent = new Set()
    totals = primary.exposition.addWorkers(() =>
      Promise.all(
        [...workers].map(async ([worker, { exposition }]): Promise<WorkerAnswer> => {
          // As after a message between processes: nothing is shared.
          return { worker, pieces: silent.has(worker) ? undefined : structuredClone(await exposition.pieces()) }
        }),
      ),
    )
  })

  const add = (id: number, exemplars?: ExemplarSource): Meter => {
    const worker = startProcess(exemplars)
    workers.set(id, worker)
    return worker.meter
  }
  const scrape = async (): Promise<Map<string, ExposedFamily>> => {
    const { body } = await primary.exposition.exposition('application/openmetrics-text')
    return parseExposition(body.toString(), 'openmetrics')
  }

  it('are added: counters, up-down counters and histograms, series by series', async () => {
    for (const [id, count] of [
      [1, 2],
      [2, 3],
    ] as const) {
      const meter = add(id)
      // Attributes in another order are the same series.
      const attributes: Attributes = id === 1 ? { a: 'x', b: 1 } : { b: 1, a: 'x' }
      meter.createCounter('requests').add(count, attributes)
      meter.createUpDownCounter('active').add(count)
      const histogram = meter.createHistogram('duration', { advice: { explicitBucketBoundaries: [1, 2] } })
      for (let i = 0; i < count; i++) histogram.record(i)
    }
    workers.get(2)?.meter.createCounter('only.here').add(1)
    const families = await scrape()
    assert.equal(sampleValue(families, 'requests_total', { a: 'x', b: '1' }), 5)
    assert.equal(families.get('requests')?.samples.length, 1)
    assert.equal(sampleValue(families, 'only_here_total'), 1)
    assert.equal(sampleValue(families, 'active'), 5)
    assert.equal(sampleValue(families, 'duration_bucket', { le: '1.0' }), 4)
    assert.equal(sampleValue(families, 'duration_bucket', { le: '+Inf' }), 5)
    assert.equal(sampleValue(families, 'duration_count'), 5)
    assert.equal(sampleValue(families, 'duration_sum'), 4)
  })

  it('have gauges by their meaning, and those of the primary once', async () => {
    for (const [id, value] of [
      [1, 0],
      [2, 1],
    ] as const) {
      const meter = add(id)
      meter.createGauge('gateway.upstream.target.healthy').record(value)
      meter.createGauge('gateway.upstream.panic').record(value)
      meter.createGauge('gateway.traces.recorded').record(value + 1)
      meter.createGauge('of.a.policy').record(value + 5)
      meter.createGauge('gateway.config.last_reload_successful').record(0)
      meter.createCounter('gateway.config.reloads').add(1)
    }
    primary.meter.createGauge('gateway.config.last_reload_successful').record(1)
    primary.meter.createCounter('gateway.config.reloads').add(1)
    const families = await scrape()
    assert.equal(sampleValue(families, 'gateway_upstream_target_healthy'), 0)
    assert.equal(sampleValue(families, 'gateway_upstream_panic'), 1)
    assert.equal(sampleValue(families, 'gateway_traces_recorded'), 3)
    assert.equal(sampleValue(families, 'of_a_policy'), 6)
    assert.equal(sampleValue(families, 'gateway_config_last_reload_successful'), 1)
    assert.equal(sampleValue(families, 'gateway_config_reloads_total'), 1)
  })

  it('never fall: a worker that has ended or does not answer keeps its counters, not its gauges', async () => {
    add(1).createCounter('requests').add(7)
    const second = add(2)
    second.createCounter('requests').add(4)
    second.createGauge('gateway.traces.recorded').record(9)
    assert.equal(sampleValue(await scrape(), 'requests_total'), 11)

    silent.add(2)
    let families = await scrape()
    assert.equal(sampleValue(families, 'requests_total'), 11)
    assert.equal(sampleValue(families, 'gateway_traces_recorded'), undefined)

    workers.delete(2)
    totals.end(2)
    add(3).createCounter('requests').add(1)
    families = await scrape()
    assert.equal(sampleValue(families, 'requests_total'), 12)
    assert.equal(sampleValue(await scrape(), 'requests_total'), 12)
  })

  it('include what a worker counted last before it ended by itself', async () => {
    const meter = add(1)
    const counter = meter.createCounter('requests')
    counter.add(1)
    await scrape()
    counter.add(5)
    totals.keep(1, await (workers.get(1) as FakeProcess).exposition.pieces())
    workers.delete(1)
    totals.end(1)
    assert.equal(sampleValue(await scrape(), 'requests_total'), 6)
  })

  it('have the newest exemplar of each bucket', async () => {
    const source = (traceId: string, timeMs: number): ExemplarSource => {
      const exemplar: Exemplar = { traceId, spanId: '1'.repeat(16), value: 1, timeMs }
      return {
        exemplar: (_name, _attributes, bucket) => (bucket === 0 ? exemplar : undefined),
        exemplars: () => [exemplar],
      }
    }
    add(1, source('a'.repeat(32), 1_000))
      .createCounter('requests')
      .add(1)
    add(2, source('b'.repeat(32), 2_000))
      .createCounter('requests')
      .add(1)
    const exemplars = withExemplars(await scrape()).map(({ exemplar }) => exemplar.labels['trace_id'])
    assert.deepEqual(exemplars, ['b'.repeat(32)])
  })

  it('are split, so that no message holds more than 500 series', async () => {
    const counter = add(1).createCounter('requests')
    for (let i = 0; i < 1_200; i++) counter.add(1, { i })
    const pieces = await (workers.get(1) as FakeProcess).exposition.pieces()
    assert.deepEqual(
      pieces.map(({ points }) => points.length),
      [500, 500, 200],
    )
    assert.equal((await scrape()).get('requests')?.samples.length, 1_200)
  })
})

describe('the table of gauges', () => {
  it('has every gauge and up-down counter that the gateway creates', () => {
    const names = semconv as unknown as Readonly<Record<string, string>>
    const files = [...filesMatching('src/**/*.ts'), ...filesMatching('otel/**/*.ts')]
    const created = files
      .filter(file => !file.includes('src/incidents/'))
      .flatMap(file =>
        [
          ...read(file).matchAll(
            /create(?:Observable)?(?:Gauge|UpDownCounter)\(\s*(?:semconv\.)?(METRIC_\w+|'[^']+')/g,
          ),
        ].map(([, name = '']) => (name.startsWith("'") ? name.slice(1, -1) : (names[name] ?? name))),
      )
    assert.ok(created.length > 15, 'the reader is broken')
    assert.deepEqual(
      created.filter(name => !Object.hasOwn(RULES, name)),
      [],
    )
  })
})
