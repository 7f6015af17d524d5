import assert from 'node:assert/strict'
import { ROOT_CONTEXT, TraceFlags } from '@opentelemetry/api'
import { MeterProvider } from '@opentelemetry/sdk-metrics'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import { PrometheusExposition } from '../../../../otel/sdk/exposition/exporter'
import { Recorder } from '../../../../otel/sdk/kept-traces/recorder'
import { FAULT, GOOD, LIMITED, remoteParent, startTracing, traceIdOf } from './request-spans'

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

function namesOf(spans: readonly ReadableSpan[]): string[] {
  return spans.map(span => span.name)
}

describe('kept traces', () => {
  it('keeps a fault with all its spans and drops what was fine', () => {
    const { request, recorder, exported } = startTracing()
    request(GOOD)
    const failed = request(FAULT)
    request(GOOD)
    assert.deepEqual(namesOf(exported()), ['GET', 'GET /orders'])
    assert.ok(exported().every(span => traceIdOf(span) === traceIdOf(failed)))
    const [summary, ...others] = recorder.list({}, 10)
    assert.deepEqual(others, [])
    assert.equal(summary?.cause, 'fault')
    assert.equal(summary.reason, 'connect_refused')
  })

  it('sets the sampled flag on spans that leave although the head sampler did not want them, and on no other', () => {
    const { request, exported } = startTracing()
    const failed = request(FAULT)
    assert.equal(exported().length, 2)
    for (const span of exported()) assert.equal(span.spanContext().traceFlags, TraceFlags.SAMPLED)
    assert.equal(failed.spanContext().traceFlags, TraceFlags.NONE, 'the flag that the upstream was told stays')
    assert.equal(exported()[1]!.attributes['gateway.reason'], 'connect_refused')
  })

  it('keeps a limited request, and not every other refusal', () => {
    const { request, recorder } = startTracing()
    request(LIMITED)
    request({ ...LIMITED, 'gateway.reason': 'no_route' })
    request({ 'gateway.outcome': 'client_closed', 'gateway.reason': 'client_closed' })
    assert.deepEqual(
      recorder.list({}, 10).map(({ cause, reason }) => [cause, reason]),
      [['limited', 'limited']],
    )
  })

  it('keeps what took longer than slowMs, and never for that a stream', () => {
    const { request, recorder } = startTracing({ slowMs: 200 })
    request(GOOD, { tookMs: 200 })
    request({ ...GOOD, 'gateway.stream': 'event_stream' }, { tookMs: 5_000 })
    assert.equal(recorder.size, 0)
    request(GOOD, { tookMs: 201 })
    assert.deepEqual(
      recorder.list({}, 10).map(found => [found.cause, found.durationMs]),
      [['slow', 201]],
    )
  })

  it('keeps a stream that failed', () => {
    const { request, recorder } = startTracing()
    request({ ...FAULT, 'gateway.stream': 'event_stream' }, { tookMs: 50_000 })
    assert.equal(recorder.list({}, 10)[0]?.cause, 'fault')
  })

  it('exports everything with always_on, and calls good ones sampled', () => {
    const { request, recorder, exported } = startTracing({ sampler: 'always_on' })
    for (let i = 0; i < 30; i++) request(GOOD)
    assert.equal(exported().length, 60)
    assert.equal(recorder.list({ cause: 'sampled' }, 100).length, 30)
  })

  it('records a part of merely sampled requests under load, and exports all of them, late spans too', () => {
    const { begin, request, recorder, exported, tick } = startTracing({ sampler: 'always_on' })
    for (let i = 0; i < 1_000; i++) request(GOOD)
    assert.equal(recorder.size, 40)
    const { span, child } = begin()
    const late = child('late')
    span.setAttributes(GOOD).end()
    late.end()
    assert.equal(exported().length, 2_002)
    assert.equal(recorder.has(span.spanContext()), false)
    request({ ...GOOD, 'http.route': '/users' })
    tick(1_000)
    request(GOOD)
    assert.equal(recorder.size, 42)
  })

  it('takes no exporter for none: the recorder has it all the same', () => {
    const { request, recorder } = startTracing({ exports: [] })
    const failed = request(FAULT)
    assert.match(recorder.otlpJson(traceIdOf(failed)) ?? '', /"resourceSpans"/)
  })

  it('hands kept spans to every exporter', () => {
    const seen: string[][] = [[], []]
    const exports = seen.map(into => ({
      onStart: () => {},
      onEnd: (span: ReadableSpan) => void into.push(span.name),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(),
    }))
    startTracing({ exports }).request(FAULT)
    assert.deepEqual(seen, [
      ['GET', 'GET /orders'],
      ['GET', 'GET /orders'],
    ])
  })
})

describe('the rate of kept traces', () => {
  it('is per route and reason, and the first of each is kept at any rate', () => {
    const { request, recorder } = startTracing({ perSecond: 0 })
    for (let i = 0; i < 3; i++) {
      request(FAULT)
      request({ ...FAULT, 'http.route': '/users' })
      request({ ...FAULT, 'gateway.reason': 'reset' })
      request(LIMITED)
      request(GOOD, { tookMs: 2_000 })
    }
    assert.deepEqual(
      recorder
        .list({}, 100)
        .map(({ route, reason, cause }) => `${route} ${reason ?? cause}`)
        .sort(),
      ['/orders connect_refused', '/orders limited', '/orders reset', '/orders slow', '/users connect_refused'],
    )
  })

  it('lets two seconds’ worth through at once, and then what has been earned since', () => {
    const { request, recorder, tick } = startTracing({ perSecond: 5 })
    for (let i = 0; i < 100; i++) request(FAULT)
    assert.equal(recorder.size, 10)
    tick(1_000)
    for (let i = 0; i < 100; i++) request(FAULT)
    assert.equal(recorder.size, 15)
  })

  it('does not keep back what the head sampler chose', () => {
    const { request, recorder, exported } = startTracing({ perSecond: 0, sampler: 'always_on' })
    for (let i = 0; i < 4; i++) request(FAULT)
    assert.equal(exported().length, 8)
    assert.equal(recorder.list({ cause: 'fault' }, 10).length, 1)
    assert.equal(recorder.list({ cause: 'sampled', outcome: 'fault' }, 10).length, 3)
  })

  it('counts what was kept and what was lost', async () => {
    const reader = new PrometheusExposition()
    const meter = new MeterProvider({ readers: [reader] }).getMeter('test')
    const { request, keptTraces } = startTracing({ perSecond: 1 })
    keptTraces.observe(meter)
    for (let i = 0; i < 5; i++) request(FAULT)
    const { resourceMetrics } = await reader.collect()
    const points = resourceMetrics.scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => [descriptor.name, attributes['gateway.traces.cause'], value]),
      ),
    )
    const size = points.find(([name]) => name === 'gateway.traces.recorded.size')
    // Two requests of two spans, at about a kilobyte each.
    assert.ok(Number(size?.[2]) > 2_000 && Number(size?.[2]) < 20_000, String(size))
    const counts = points.filter(point => point !== size)
    assert.deepEqual(counts, [
      ['gateway.traces.kept', 'fault', 2],
      ['gateway.traces.lost', 'rate', 3],
      ['gateway.traces.recorded', undefined, 2],
      ['gateway.traces.pending', undefined, 0],
    ])
  })
})

describe('the spans of one request', () => {
  it('include those that end after it', () => {
    const { begin, recorder, exported } = startTracing()
    const { span, child } = begin()
    const late = child('evalsha')
    span.setAttributes(FAULT)
    span.end()
    late.end()
    assert.deepEqual(namesOf(exported()), ['GET /orders', 'evalsha'])
    const json = recorder.otlpJson(traceIdOf(span)) ?? ''
    assert.match(json, /evalsha/)
  })

  it('are dropped with it, however late they end', () => {
    const { begin, recorder, exported } = startTracing()
    const { span, child } = begin()
    const late = child()
    span.setAttributes(GOOD)
    span.end()
    late.end()
    assert.deepEqual([exported().length, recorder.size], [0, 0])
  })

  it('include grandchildren', () => {
    const { begin, exported } = startTracing()
    const { span, context } = begin()
    const inner = begin({ parent: context, name: 'inner' })
    inner.child('innermost').end()
    inner.span.end()
    span.setAttributes(FAULT)
    span.end()
    assert.deepEqual(namesOf(exported()), ['innermost', 'inner', 'GET /orders'])
  })

  it('begin below a remote parent, whether or not that was sampled', () => {
    const { request, recorder, exported } = startTracing()
    request(GOOD, { parent: remoteParent(TRACE_ID, true) })
    assert.equal(recorder.list({}, 10)[0]?.cause, 'sampled')
    request(GOOD, { parent: remoteParent(TRACE_ID, false) })
    request(FAULT, { parent: remoteParent(TRACE_ID, false) })
    assert.equal(recorder.size, 2)
    assert.equal(exported().length, 4)
  })

  it('are told apart from those of another request in the same trace', () => {
    const { begin, recorder } = startTracing()
    const parent = remoteParent(TRACE_ID)
    const [failing, good] = [begin({ parent, name: 'failing' }), begin({ parent, name: 'good' })]
    failing.child('to the upstream that fails').end()
    good.child('to the upstream that works').end()
    good.span.setAttributes(GOOD).end()
    failing.span.setAttributes(FAULT).end()
    const json = recorder.otlpJson(TRACE_ID) ?? ''
    assert.match(json, /to the upstream that fails/)
    assert.doesNotMatch(json, /to the upstream that works/)
  })

  it('are one request each in the list, and one trace together', () => {
    const { request, recorder } = startTracing()
    const parent = remoteParent(TRACE_ID)
    request(FAULT, { parent })
    request(LIMITED, { parent })
    assert.deepEqual(
      recorder
        .list({ traceId: TRACE_ID }, 10)
        .map(found => String(found.reason))
        .sort(),
      ['connect_refused', 'limited'],
    )
    const { resourceSpans } = JSON.parse(recorder.otlpJson(TRACE_ID)!) as {
      resourceSpans: { scopeSpans: { spans: unknown[] }[] }[]
    }
    assert.equal(resourceSpans[0]!.scopeSpans[0]!.spans.length, 4)
  })
})

describe('a request that does not end', () => {
  const bounds = { maxAgeMs: 60_000 }

  it('is told about when it is too old, marked, and once more when it ends after all', () => {
    const { begin, recorder, exported, keptTraces, tick } = startTracing({ bounds })
    const { span, child } = begin()
    span.setAttribute('http.route', '/orders')
    child('first call').end()
    const open = child('second call')
    tick(59_999)
    keptTraces.sweep()
    assert.equal(exported().length, 0)
    tick(1)
    keptTraces.sweep()
    assert.deepEqual(namesOf(exported()), ['first call', 'GET /orders'])
    assert.equal(exported()[1]!.attributes['gateway.trace.unfinished'], true)
    assert.equal(exported()[1]!.ended, true)
    assert.equal(recorder.list({}, 10)[0]?.cause, 'unfinished')
    assert.deepEqual(keptTraces.pending, { groups: 0, spans: 0 })

    open.end()
    span.setAttributes(FAULT).end()
    assert.deepEqual(
      recorder.list({}, 10).map(found => found.cause),
      ['fault'],
    )
    const json = recorder.otlpJson(traceIdOf(span)) ?? ''
    assert.match(json, /first call/)
    assert.doesNotMatch(json, /gateway\.trace\.unfinished/)
  })

  it('is not told about when it is a stream', () => {
    const { begin, recorder, keptTraces, tick, exported } = startTracing({ bounds })
    const { span } = begin()
    span.setAttribute('gateway.stream', 'event_stream')
    tick(60_000)
    keptTraces.sweep()
    assert.deepEqual([recorder.size, exported().length, keptTraces.pending.groups], [0, 0, 0])
    span.setAttributes(FAULT).end()
    assert.equal(recorder.list({}, 10)[0]?.cause, 'fault', 'its end is judged all the same')
  })

  it('has the rate of all others', () => {
    const { begin, recorder, keptTraces, tick } = startTracing({ bounds, perSecond: 1 })
    for (let i = 0; i < 10; i++) begin().span.setAttribute('http.route', '/orders')
    tick(60_000)
    keptTraces.sweep()
    assert.equal(recorder.size, 2)
    assert.equal(keptTraces.pending.groups, 0)
  })

  it('is told about at shutdown, before the exporters close', async () => {
    const heard: string[] = []
    const exporter = {
      onStart: () => {},
      onEnd: (span: ReadableSpan) => void heard.push(span.name),
      forceFlush: () => Promise.resolve(),
      shutdown: () => Promise.resolve(void heard.push('closed')),
    }
    const { begin, keptTraces, recorder } = startTracing({ exports: [exporter] })
    begin().child('call').end()
    await keptTraces.shutdown()
    assert.deepEqual(heard, ['call', 'GET /orders', 'closed'])
    assert.equal(recorder.list({}, 1)[0]?.cause, 'unfinished')
  })
})

describe('what kept traces hold', () => {
  it('is nothing after thousands of requests, with children that end late or never', () => {
    const { begin, keptTraces } = startTracing({
      perSecond: 1_000_000,
      recorder: new Recorder({ maxRequests: 10, maxBytes: 1e6 }),
    })
    for (let i = 0; i < 5_000; i++) {
      const { span, child } = begin()
      child().end()
      const late = child()
      child('never ends')
      span.setAttributes(i % 2 === 0 ? FAULT : GOOD)
      span.end()
      if (i % 3 === 0) late.end()
    }
    assert.deepEqual(keptTraces.pending, { groups: 0, spans: 0 })
  })

  it('is bounded in requests under way; of those above it a fault keeps at least its SERVER span', () => {
    const { begin, keptTraces, recorder } = startTracing({ bounds: { maxGroups: 3 } })
    const requests = Array.from({ length: 10 }, () => begin())
    assert.equal(keptTraces.pending.groups, 3)
    for (const { span, child } of requests) {
      child().end()
      span.setAttributes(FAULT).end()
    }
    assert.equal(recorder.size, 10)
    assert.deepEqual(keptTraces.pending, { groups: 0, spans: 0 })
  })

  it('is bounded in spans per request; the SERVER span is always among them', () => {
    const { begin, exported, keptTraces } = startTracing({ bounds: { maxSpansPerGroup: 4 } })
    const { span, child } = begin()
    for (let i = 0; i < 20; i++) child(`call ${i}`).end()
    assert.equal(keptTraces.pending.spans, 4)
    span.setAttributes(FAULT).end()
    assert.deepEqual(namesOf(exported()), ['call 0', 'call 1', 'call 2', 'call 3', 'GET /orders'])
  })

  it('is bounded in spans over all requests', () => {
    const { begin, keptTraces } = startTracing({ bounds: { maxSpans: 10 } })
    const requests = Array.from({ length: 8 }, () => begin())
    for (const { child } of requests) for (let i = 0; i < 3; i++) child().end()
    assert.equal(keptTraces.pending.spans, 10)
    for (const { span } of requests) span.end()
    assert.equal(keptTraces.pending.spans, 0)
  })

  it('lets sampled spans leave that it could not hold', () => {
    const { begin, exported } = startTracing({ sampler: 'always_on', bounds: { maxSpansPerGroup: 1 } })
    const { span, child } = begin()
    child('held').end()
    child('not held').end()
    assert.deepEqual(namesOf(exported()), ['not held'])
    span.end()
    assert.deepEqual(namesOf(exported()), ['not held', 'held', 'GET /orders'])
  })
})

describe('the parent of a span', () => {
  it('that is local and ended long ago brings its group with it', () => {
    const { begin, exported } = startTracing()
    const { span, child } = begin({ parent: ROOT_CONTEXT })
    span.setAttributes(FAULT).end()
    child('afterwards').end()
    assert.deepEqual(namesOf(exported()), ['GET /orders', 'afterwards'])
  })
})
