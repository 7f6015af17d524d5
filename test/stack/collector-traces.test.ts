import assert from 'node:assert/strict'
import { needsCollector } from '../support/needs-collector'
import { JSON_ENCODING, startOtlpSink, type OtlpSink, type ReceivedSpan } from '../support/otlp-sink'
import { newTraceId, sendLog, sendSpans, type SpanToSend } from '../support/otlp-send'
import { scrape, startCollector, type RunningCollector } from '../support/start-collector'
import { until } from '../support/until'

describe('traces through the Collector', () => {
  let sink: OtlpSink
  let collector: RunningCollector
  /** Counts of tail decisions: a trace that is neither sampled nor rejected yet is still undecided. */
  let decided = 0

  before(needsCollector())
  before(async () => {
    sink = await startOtlpSink()
    collector = await startCollector({
      env: {
        TRACES_EXPORTERS: '[otlp_http/vendor]',
        LOGS_EXPORTERS: '[otlp_http/vendor]',
        VENDOR_OTLP_ENDPOINT: sink.url,
        TRACES_SLOW_MS: '800',
        TAIL_BASELINE_PERCENT: '0',
      },
      overlays: [JSON_ENCODING],
    })
  })
  after(async () => {
    await collector?.stop()
    await sink?.stop()
  })

  /** Sends each list of spans as one trace; returns what the backend received once every trace is decided. */
  async function received(...traces: Omit<SpanToSend, 'traceId'>[][]): Promise<ReceivedSpan[][]> {
    const ids = traces.map(newTraceId)
    await sendSpans(
      collector.url,
      traces.flatMap((spans, index) => spans.map(span => ({ ...span, traceId: ids[index]! }))),
    )
    decided += traces.length
    const kept = await allDecided(decided)
    await until(() => new Set(sink.spans.map(span => span.traceId)).size >= kept, { what: 'the kept traces arrive' })
    return ids.map(id => sink.spans.filter(span => span.traceId === id))
  }

  async function allDecided(count: number): Promise<number> {
    const metric = 'otelcol_processor_tail_sampling_global_count_traces_sampled_total'
    const enough = async (): Promise<boolean> => (await collector.ownMetric(metric)) === count
    await until(enough, { what: `${count} traces are decided` })
    return collector.ownMetric(metric, { sampled: 'true' })
  }

  it('are kept whole when they contain a fault, and dropped when ok with a baseline of 0', async () => {
    const [fault, answered503, fine] = await received(
      [{ error: true }, { kind: 'client', name: 'get' }],
      [{ attributes: { 'http.response.status_code': 503 } }],
      [{ attributes: { 'http.response.status_code': 200 } }],
    )
    assert.deepEqual(fault?.map(span => span.name).sort(), ['GET', 'get'])
    assert.equal(answered503?.length, 1)
    assert.deepEqual(fine, [])
  })

  it('with a 4xx of an upstream are no faults, although the CLIENT span is an error', async () => {
    const [notFound, refused] = await received(
      [{ kind: 'client', error: true, attributes: { 'http.response.status_code': 404 } }],
      [{ kind: 'client', error: true, attributes: { 'error.type': 'ECONNREFUSED' } }],
    )
    assert.deepEqual(notFound, [])
    assert.equal(refused?.length, 1)
  })

  it('are kept if slower than TRACES_SLOW_MS, except streams', async () => {
    const [slow, quick, stream] = await received(
      [{ durationMs: 900 }],
      [{ durationMs: 700 }],
      [
        { durationMs: 60_000, attributes: { 'gateway.stream': 'event_stream' } },
        { durationMs: 60_000, kind: 'client' },
      ],
    )
    assert.equal(slow?.length, 1)
    assert.deepEqual(quick, [])
    assert.deepEqual(stream, [])
  })

  it('are kept if the request was rate-limited', async () => {
    const [limited] = await received([{ attributes: { 'http.response.status_code': 429 } }])
    assert.equal(limited?.length, 1)
  })

  it('of limited requests are kept in a bounded number during a surge', async () => {
    const surge = Array.from({ length: 500 }, () => [{ attributes: { 'http.response.status_code': 429 } }])
    const kept = (await received(...surge)).filter(spans => spans.length > 0).length
    // 50 per second with a burst of twice that: 100 if all are decided at once, some more on a slow machine.
    assert.ok(kept >= 50 && kept <= 400, `kept ${kept} of 500`)
  })

  it('include late spans, which follow the decision', async () => {
    const traceId = newTraceId()
    await sendSpans(collector.url, [{ traceId, error: true }])
    await allDecided(++decided)
    await sendSpans(collector.url, [{ traceId, name: 'late' }])
    const late = (): boolean => sink.spans.some(span => span.traceId === traceId && span.name === 'late')
    await until(late, { what: 'the late span arrives' })
  })

  it('of successful probes are dropped, and those of failing ones kept', async () => {
    const filtered = async (): Promise<number> =>
      collector.ownMetric('otelcol_processor_filter_spans_filtered_total', { filter: 'filter/noise' })
    const before = await filtered()
    const probe = { 'url.path': '/readyz' }
    const traceId = newTraceId()
    await sendSpans(collector.url, [
      { traceId: newTraceId(), attributes: { ...probe, 'http.response.status_code': 200 } },
      { traceId, attributes: { ...probe, 'http.response.status_code': 503 } },
    ])
    decided += 1
    await until(async () => (await filtered()) === before + 1, { what: 'the good probe is filtered' })
    await until(() => sink.spans.some(span => span.traceId === traceId), { what: 'the failing probe arrives' })
  })

  it('have attributes redacted that the sender did not redact', async () => {
    const [spans] = await received([
      {
        error: true,
        attributes: {
          'http.request.header.authorization': ['Bearer abcdefghijkl'],
          'http.request.header.referer': ['https://shop.test/?page=2&token=s3cr3t'],
          'http.request.header.x-api-key': ['s3cr3t'],
          'url.full': 'http://user:s3cr3t@orders/items?sort=up&signature=s3cr3t&page=3',
          'url.query': 'code=s3cr3t&page=4',
          'exception.message': 'rejected Basic czNjcjN0OnMzY3IzdA== at the door',
          'http.response.status_code': 502,
          'gen_ai.usage.input_tokens': 12,
        },
      },
    ])
    const { attributes } = spans![0]!
    assert.deepEqual(attributes, {
      'http.request.header.authorization': '****',
      'http.request.header.referer': '["https://shop.test/?page=2****"]',
      'http.request.header.x-api-key': '****',
      'url.full': 'http****orders/items?sort=up****&page=3',
      'url.query': '****&page=4',
      'exception.message': 'rejected **** at the door',
      'http.response.status_code': 502,
      'gen_ai.usage.input_tokens': 12,
      'redaction.masked.count': 6,
    })
  })

  it('are accompanied by log records that are redacted too', async () => {
    await sendLog(collector.url, 'GET /items?token=s3cr3t HTTP/1.1', {
      password: 's3cr3t',
      'client.address': '192.0.2.1',
    })
    const log = await until(() => sink.logs[0], { what: 'the log record arrives' })
    assert.equal(log.body, 'GET /items**** HTTP/1.1')
    assert.equal(log.attributes['password'], '****')
    assert.equal(log.attributes['client.address'], '192.0.2.1')
  })

  it('count only CLIENT spans in the span metrics, dropped traces included', async () => {
    const attributes = { 'gateway.upstream.name': 'payments', 'http.request.method': 'GET' }
    await received([
      { kind: 'server', name: 'GET /payments' },
      { kind: 'client', name: 'GET', attributes: { ...attributes, 'http.response.status_code': 200 } },
      { kind: 'client', name: 'GET', attributes: { ...attributes, 'error.type': 'timeout' } },
    ])
    const name = 'traces_span_metrics_calls_total'
    const calls = await until(
      async () => {
        const samples = (await scrape(collector.metricsUrl)).filter(sample => sample.name === name)
        return samples.some(sample => sample.labels['gateway_upstream_name'] === 'payments') && samples
      },
      { what: 'span metrics are exposed' },
    )
    const ofPayments = calls.filter(sample => sample.labels['gateway_upstream_name'] === 'payments')
    assert.equal(
      ofPayments.reduce((sum, sample) => sum + sample.value, 0),
      2,
    )
    assert.deepEqual([...new Set(calls.map(sample => sample.labels['span_kind']))], ['SPAN_KIND_CLIENT'])
  })

  it('have a limit if they never end', async () => {
    const traceId = newTraceId()
    const big = { traceId, attributes: { note: 'x'.repeat(200_000) } }
    const tooLarge = 'otelcol_processor_tail_sampling_traces_dropped_too_large_total'
    for (let index = 0; index < 6; index++) await sendSpans(collector.url, [{ ...big, error: true }])
    await until(async () => (await collector.ownMetric(tooLarge)) === 1, { what: 'the trace is dropped' })
  })
})
