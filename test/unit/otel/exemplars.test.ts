import assert from 'node:assert/strict'
import type { Attributes, Counter, Histogram } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import { Exemplars } from '../../../otel/sdk/exemplars'
import { PrometheusExposition } from '../../../otel/sdk/exposition/exporter'
import { LabelCache } from '../../../otel/sdk/exposition/labels'
import { render } from '../../../otel/sdk/exposition/render'
import { isDropped } from '../../../otel/sdk/kept-traces/kept-traces'
import { Recorder } from '../../../otel/sdk/kept-traces/recorder'
import { parseExposition } from '../../support/exposition'
import { withExemplars, type SampleWithExemplar } from '../../support/ops-port'
import { FAULT, GOOD, startTracing, type Tracing } from './kept-traces/request-spans'

const BOUNDARIES = [0.01, 0.1, 1]

interface Measured extends Tracing {
  readonly duration: Histogram
  readonly requests: Counter
  /** Ends a request with these attributes and records it, as the gateway does. */
  readonly serve: (attributes: Attributes, seconds: number, series?: Attributes) => string
  readonly exposed: () => Promise<SampleWithExemplar[]>
}

function start(options: Parameters<typeof startTracing>[0]): Measured {
  const tracing = startTracing({ perSecond: 1e9, ...options })
  const exemplars = new Exemplars(span => tracing.recorder.has(span), isDropped)
  const reader = new PrometheusExposition(exemplars)
  const meter = exemplars.watch(new MeterProvider({ readers: [reader] })).getMeter('test')
  const duration = meter.createHistogram('http.server.request.duration', {
    unit: 's',
    advice: { explicitBucketBoundaries: BOUNDARIES },
  })
  const requests = meter.createCounter('gateway.requests')
  return {
    ...tracing,
    duration,
    requests,
    serve: (attributes, seconds, series = SERIES) => {
      const { span, context } = tracing.begin()
      span.setAttributes(attributes).end()
      duration.record(seconds, series, context)
      requests.add(1, series, context)
      return span.spanContext().spanId
    },
    exposed: async () => {
      const { resourceMetrics } = await reader.collect()
      const rendering = { labels: new LabelCache(), exemplars, complain: assert.fail }
      return withExemplars(
        parseExposition([...render(resourceMetrics, 'openmetrics', rendering)].join(''), 'openmetrics'),
      )
    },
  }
}

/** One object per series, as the gateway has it. */
const SERIES: Attributes = { 'http.route': '/orders' }
const OTHER_SERIES: Attributes = { 'http.route': '/users' }

function pointing(samples: readonly SampleWithExemplar[]): string[] {
  return samples.map(({ name, labels, exemplar }) => `${name} ${labels['le'] ?? ''} ${exemplar.labels['span_id']}`)
}

describe('exemplars', () => {
  it('are the newest kept request of each bucket and counter', async () => {
    const { serve, exposed } = start({})
    serve(FAULT, 0.05)
    const quick = serve(FAULT, 0.005)
    const newest = serve(FAULT, 0.05)
    const slow = serve(FAULT, 5)
    assert.deepEqual(pointing(await exposed()), [
      `http_server_request_duration_seconds_bucket 0.01 ${quick}`,
      `http_server_request_duration_seconds_bucket 0.1 ${newest}`,
      `http_server_request_duration_seconds_bucket +Inf ${slow}`,
      `gateway_requests_total  ${slow}`,
    ])
  })

  it('are of a bucket up to and with its boundary', async () => {
    const { serve, exposed } = start({})
    serve(FAULT, 0.1)
    assert.equal((await exposed())[0]?.labels['le'], '0.1')
  })

  it('are none for requests that were not kept', async () => {
    const { serve, exposed } = start({})
    serve(GOOD, 0.05)
    assert.deepEqual(await exposed(), [])
  })

  it('say value and time of the request', async () => {
    const { serve, exposed } = start({})
    const before = Date.now() / 1_000
    serve(FAULT, 0.05)
    const [inBucket, onCounter] = await exposed()
    assert.equal(inBucket?.exemplar.value, 0.05)
    assert.equal(onCounter?.exemplar.value, 1)
    for (const sample of [inBucket, onCounter]) {
      assert.ok(sample.exemplar.timestamp! >= before - 0.001 && sample.exemplar.timestamp! <= Date.now() / 1_000)
    }
  })

  it('open, every one of them, however small the recorder and however much goes through it', async () => {
    const { serve, exposed, recorder } = start({ recorder: new Recorder({ maxRequests: 7, maxBytes: 1e6 }) })
    for (let i = 0; i < 5_000; i++) {
      const reason = ['reset', 'dns', 'tls'][i % 3]!
      serve({ ...FAULT, 'gateway.reason': reason }, (i % 100) / 40, i % 5 === 0 ? OTHER_SERIES : SERIES)
      if (i % 500 !== 499) continue
      const samples = await exposed()
      assert.ok(samples.length > 0)
      for (const { exemplar } of samples) {
        assert.ok(recorder.has({ spanId: exemplar.labels['span_id']! }))
        assert.ok(recorder.otlpJson(exemplar.labels['trace_id']!)?.includes(exemplar.labels['span_id']!))
      }
    }
  })

  it('go with the request they point at, also when another one of its trace stays', async () => {
    const { serve, exposed, recorder } = start({ recorder: new Recorder({ maxRequests: 1, maxBytes: 1e6 }) })
    serve(FAULT, 0.005)
    assert.equal((await exposed()).length, 2)
    serve(FAULT, 5, OTHER_SERIES)
    assert.equal(recorder.size, 1)
    assert.deepEqual(
      (await exposed()).map(({ labels }) => labels['http_route']),
      ['/users', '/users'],
    )
  })

  it('leave other instruments alone', async () => {
    const { begin } = start({})
    const exemplars = new Exemplars(() => true)
    const reader = new PrometheusExposition(exemplars)
    const meter = exemplars.watch(new MeterProvider({ readers: [reader] })).getMeter('test')
    const { span, context } = begin()
    span.end()
    meter.createCounter('other.requests').add(1, SERIES, context)
    meter.createHistogram('http.client.request.duration').record(1, SERIES, context)
    assert.equal(exemplars.exemplar('other.requests', SERIES, 0), undefined)
    assert.equal(exemplars.exemplar('http.client.request.duration', SERIES, 0), undefined)
    const { resourceMetrics } = await reader.collect()
    assert.equal(resourceMetrics.scopeMetrics[0]?.metrics.length, 2)
  })
})
