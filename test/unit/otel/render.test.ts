import assert from 'node:assert/strict'
import type { Attributes, Meter } from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AggregationType, MeterProvider, type ViewOptions } from '@opentelemetry/sdk-metrics'
import { PrometheusExposition } from '../../../otel/sdk/exposition/exporter'
import { NO_EXEMPLARS } from '../../../otel/sdk/exemplars'
import { LabelCache } from '../../../otel/sdk/exposition/labels'
import type { TextFormat as Format } from '../../../otel/sdk/exposition/negotiation'
import { render } from '../../../otel/sdk/exposition/render'
import { parseExposition, sampleValue, type ExposedFamily } from '../../support/exposition'

const FORMATS: readonly Format[] = ['text', 'openmetrics']

interface Rendered {
  readonly text: string
  readonly families: ReadonlyMap<string, ExposedFamily>
  readonly complaints: readonly string[]
}

/** Records with real instruments and renders what a reader collects of them; read back strictly. */
async function rendered(
  format: Format,
  record: (getMeter: (scope?: string, version?: string) => Meter) => void,
  views: ViewOptions[] = [],
): Promise<Rendered> {
  const reader = new PrometheusExposition()
  const resource = resourceFromAttributes({ 'service.name': 'myesi-api', 'service.version': '1.2.3' })
  const provider = new MeterProvider({ resource, readers: [reader], views })
  record((scope = 'test', version = '1') => provider.getMeter(scope, version))
  const { resourceMetrics } = await reader.collect()
  const complaints: string[] = []
  const pieces = [
    ...render(resourceMetrics, format, {
      labels: new LabelCache(),
      exemplars: NO_EXEMPLARS,
      complain: problem => complaints.push(problem),
    }),
  ]
  // As it travels: what is not well-formed Unicode is replaced.
  const text = Buffer.from(pieces.join('')).toString()
  return { text, families: parseExposition(text, format), complaints }
}

function recordGolden(getMeter: (scope?: string, version?: string) => Meter): void {
  const meter = getMeter('myesi-gateway', '')
  const requests = meter.createCounter('gateway.requests', { unit: '{request}', description: 'Every request.' })
  requests.add(3, { 'http.route': '/api/orders', 'gateway.outcome': 'ok' })
  requests.add(0, { 'http.route': '/api/orders', 'gateway.outcome': 'fault' })
  const duration = getMeter('http', '0.1').createHistogram('http.server.request.duration', {
    unit: 's',
    description: 'Duration of "HTTP"\nrequests \\ all.',
    advice: { explicitBucketBoundaries: [0.005, 1, 2.5] },
  })
  for (const seconds of [0.0009765625, 0.5, 0.75, 4]) duration.record(seconds, { 'http.route': '/api/orders' })
  meter.createGauge('nodejs.eventloop.utilization', { unit: '1' }).record(0.25)
}

describe('rendering metrics', () => {
  it('writes the text format to the letter', async () => {
    const { text, complaints } = await rendered('text', recordGolden)
    assert.deepEqual(text.split('\n'), [
      '# HELP target_info Target metadata',
      '# TYPE target_info gauge',
      'target_info{service_name="myesi-api",service_version="1.2.3"} 1',
      '# HELP gateway_requests_total Every request.',
      '# TYPE gateway_requests_total counter',
      'gateway_requests_total{gateway_outcome="ok",http_route="/api/orders",otel_scope_name="myesi-gateway"} 3',
      'gateway_requests_total{gateway_outcome="fault",http_route="/api/orders",otel_scope_name="myesi-gateway"} 0',
      '# TYPE nodejs_eventloop_utilization_ratio gauge',
      'nodejs_eventloop_utilization_ratio{otel_scope_name="myesi-gateway"} 0.25',
      '# HELP http_server_request_duration_seconds Duration of "HTTP"\\nrequests \\\\ all.',
      '# TYPE http_server_request_duration_seconds histogram',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="0.005"} 1',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="1"} 3',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="2.5"} 3',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="+Inf"} 4',
      'http_server_request_duration_seconds_count{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1"} 4',
      'http_server_request_duration_seconds_sum{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1"} 5.2509765625',
      '',
    ])
    assert.deepEqual(complaints, [])
  })

  it('writes OpenMetrics to the letter', async () => {
    const { text, complaints } = await rendered('openmetrics', recordGolden)
    assert.deepEqual(text.split('\n'), [
      '# HELP target Target metadata',
      '# TYPE target info',
      'target_info{service_name="myesi-api",service_version="1.2.3"} 1',
      '# HELP gateway_requests Every request.',
      '# TYPE gateway_requests counter',
      'gateway_requests_total{gateway_outcome="ok",http_route="/api/orders",otel_scope_name="myesi-gateway"} 3',
      'gateway_requests_total{gateway_outcome="fault",http_route="/api/orders",otel_scope_name="myesi-gateway"} 0',
      '# TYPE nodejs_eventloop_utilization_ratio gauge',
      '# UNIT nodejs_eventloop_utilization_ratio ratio',
      'nodejs_eventloop_utilization_ratio{otel_scope_name="myesi-gateway"} 0.25',
      '# HELP http_server_request_duration_seconds Duration of \\"HTTP\\"\\nrequests \\\\ all.',
      '# TYPE http_server_request_duration_seconds histogram',
      '# UNIT http_server_request_duration_seconds seconds',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="0.005"} 1',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="1.0"} 3',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="2.5"} 3',
      'http_server_request_duration_seconds_bucket{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1",le="+Inf"} 4',
      'http_server_request_duration_seconds_count{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1"} 4',
      'http_server_request_duration_seconds_sum{http_route="/api/orders",otel_scope_name="http",otel_scope_version="0.1"} 5.2509765625',
      '# EOF',
      '',
    ])
    assert.deepEqual(complaints, [])
  })

  for (const format of FORMATS) {
    describe(`as ${format}`, () => {
      it('exposes the resource even when nothing was measured', async () => {
        const { families } = await rendered(format, () => {})
        assert.equal(sampleValue(families, 'target_info', { service_name: 'myesi-api' }), 1)
      })

      it('writes every number a gauge can have', async () => {
        const values = [0, -0, -1.5, 1e21, 1e-7, Number.MAX_VALUE, Number.MIN_VALUE, Infinity, -Infinity, NaN]
        const { families } = await rendered(format, getMeter => {
          const gauge = getMeter().createGauge('level')
          for (const [index, value] of values.entries()) gauge.record(value, { index })
        })
        for (const [index, value] of values.entries()) {
          assert.equal(sampleValue(families, 'level', { index: String(index) }), value === 0 ? 0 : value)
        }
      })

      it('leaves out a counter that is no number, and says so', async () => {
        const { families, complaints } = await rendered(format, getMeter => {
          getMeter()
            .createObservableCounter('seconds')
            .addCallback(result => {
              result.observe(NaN, { kind: 'nan' })
              result.observe(2, { kind: 'good' })
            })
        })
        assert.deepEqual(
          families.get(format === 'text' ? 'seconds_total' : 'seconds')?.samples.map(sample => sample.labels['kind']),
          ['good'],
        )
        assert.equal(complaints.length, 1)
      })

      it('writes one family for one name from two scopes, with the first description', async () => {
        const { families, complaints } = await rendered(format, getMeter => {
          for (const [scope, description] of [
            ['first', 'Duration of calls.'],
            ['second', 'How long calls take.'],
          ] as const) {
            getMeter(scope).createHistogram('http.client.request.duration', { unit: 's', description }).record(1)
          }
        })
        const family = families.get('http_client_request_duration_seconds')
        assert.equal(family?.help, 'Duration of calls.')
        assert.equal(sampleValue(families, `${family.name}_count`, { otel_scope_name: 'first' }), 1)
        assert.equal(sampleValue(families, `${family.name}_count`, { otel_scope_name: 'second' }), 1)
        assert.deepEqual(complaints, [])
      })

      it('drops what comes second under a name with another type, and says so', async () => {
        const { families, complaints } = await rendered(format, getMeter => {
          getMeter('first').createGauge('queue.length').record(4)
          getMeter('second').createHistogram('queue_length').record(4)
        })
        assert.equal(families.get('queue_length')?.type, 'gauge')
        assert.deepEqual(complaints, [
          'queue_length of second is left out of /metrics: queue_length is already a gauge, this is a histogram',
        ])
      })

      it('drops a metric whose name is a sample of another one, and says so', async () => {
        const { families, complaints } = await rendered(format, getMeter => {
          getMeter().createHistogram('wait').record(4)
          getMeter().createGauge('wait.count').record(7)
          getMeter().createCounter('calls').add(1)
          getMeter().createGauge('calls_total').record(9)
          getMeter().createGauge('target.info').record(9)
        })
        assert.equal(sampleValue(families, 'wait_count'), 1)
        assert.equal(sampleValue(families, 'calls_total'), 1)
        assert.equal(complaints.length, 3)
      })

      it('writes series that became the same only once, and says so', async () => {
        const { families, complaints } = await rendered(format, getMeter => {
          const counter = getMeter().createCounter('calls')
          counter.add(1, { 'a.b': 'x' })
          counter.add(2, { a_b: 'x' })
        })
        assert.equal(sampleValue(families, 'calls_total', { a_b: 'x' }), 1)
        assert.equal(complaints.length, 1)
      })

      it('leaves exponential histograms out, and says so', async () => {
        const view = { instrumentName: 'wait', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } } as const
        const { families, complaints } = await rendered(
          format,
          getMeter => getMeter().createHistogram('wait').record(4),
          [view],
        )
        assert.equal(families.get('wait'), undefined)
        assert.equal(complaints.length, 1)
      })

      it('names neither an empty scope version nor a metric without points', async () => {
        const { text } = await rendered(format, getMeter => {
          getMeter('bare', '').createUpDownCounter('open').add(-2)
          getMeter().createCounter('never.counted')
        })
        assert.match(text, /^open\{otel_scope_name="bare"\} -2$/m)
        assert.doesNotMatch(text, /never_counted/)
      })

      it('survives whatever instruments and attributes are called', async () => {
        const random = seeded(7)
        for (let round = 0; round < 200; round++) {
          await rendered(format, getMeter => recordAnything(getMeter, random))
        }
      })

      it('gives every label value back as it was', async () => {
        const random = seeded(11)
        const values = Array.from({ length: 300 }, () => nastyText(random))
        const { families } = await rendered(format, getMeter => {
          const counter = getMeter().createCounter('calls')
          for (const [index, value] of values.entries()) counter.add(index, { index, value })
        })
        for (const [index, value] of values.entries()) {
          const label = value.toWellFormed()
          assert.equal(sampleValue(families, 'calls_total', { index: String(index), value: label }), index)
        }
      })
    })
  }
})

/** A few instruments of any kind with names, units and attributes that nobody in their right mind would use. */
function recordAnything(getMeter: (scope?: string, version?: string) => Meter, random: () => number): void {
  for (let count = 0; count < 8; count++) {
    const meter = getMeter(nastyText(random), random() < 0.5 ? '' : nastyText(random))
    const name = pick(random, [
      'requests',
      'requests.total',
      'a.b',
      'a_b',
      'a_b_count',
      '9 lives',
      'x',
      nastyText(random),
    ])
    const unit = pick(random, ['s', 'By', '1', '{request}', '{request}/s', 'By/s', '', 'total', nastyText(random)])
    const options = { unit, description: nastyText(random) }
    for (let point = 0; point < 3; point++) {
      const attributes = nastyAttributes(random)
      const value = Math.floor(random() * 100) / 4
      switch (Math.floor(random() * 4)) {
        case 0:
          meter.createCounter(name, options).add(value, attributes)
          break
        case 1:
          meter.createUpDownCounter(name, options).add(-value, attributes)
          break
        case 2:
          meter.createHistogram(name, options).record(value, attributes)
          break
        default:
          meter.createGauge(name, options).record(value, attributes)
      }
    }
  }
}

function nastyAttributes(random: () => number): Attributes {
  const attributes: Attributes = {}
  for (let count = Math.floor(random() * 4); count > 0; count--) {
    const key = pick(random, ['le', 'a.b', 'a_b', '__name__', 'otel.scope.name', '1st', '', nastyText(random)])
    attributes[key] = pick<unknown>(random, [nastyText(random), 1.5, true, null, ['a', nastyText(random)], undefined])
  }
  return attributes
}

function nastyText(random: () => number): string {
  const pieces = [
    'a',
    '"',
    '\\',
    '\n',
    '\r',
    '\t',
    '{',
    '}',
    ',',
    '=',
    '#',
    ' ',
    'é',
    '🙂',
    '\ud800',
    '\\n',
    '# EOF\n',
    '\u2028',
  ]
  return Array.from({ length: 1 + Math.floor(random() * 6) }, () => pick(random, pieces)).join('')
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)]!
}

/** The same numbers at every run (mulberry32), so that a failure can be looked at again. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
