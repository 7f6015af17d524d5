import assert from 'node:assert/strict'
import { Recorder } from '../../../../otel/sdk/kept-traces/recorder'
import { FAULT, GOOD, LIMITED, startTracing, traceIdOf } from './request-spans'

const ALL = { perSecond: 1_000_000, sampler: 'always_on' }

describe('the recorder', () => {
  it('never lets good traces push out failing ones', () => {
    const recorder = new Recorder({ maxRequests: 5, maxBytes: 1e6 })
    const { request } = startTracing({ ...ALL, recorder })
    const failed = Array.from({ length: 5 }, () => traceIdOf(request(FAULT)))
    for (let i = 0; i < 1_000; i++) request(GOOD)
    assert.deepEqual(
      recorder
        .list({ outcome: 'fault' }, 100)
        .map(({ traceId }) => traceId)
        .sort(),
      failed.sort(),
    )
    assert.equal(recorder.list({ outcome: 'ok' }, 100).length, 5)
  })

  it('keeps the newest of each route and reason longer than anything else', () => {
    const recorder = new Recorder({ maxRequests: 10, maxBytes: 1e6 })
    const { request } = startTracing({ ...ALL, recorder })
    request({ ...FAULT, 'gateway.reason': 'dns' })
    const newestDns = traceIdOf(request({ ...FAULT, 'gateway.reason': 'dns' }))
    const users = traceIdOf(request({ ...FAULT, 'http.route': '/users' }))
    const slow = traceIdOf(request(GOOD, { tookMs: 5_000 }))
    const limited = traceIdOf(request(LIMITED))
    for (let i = 0; i < 1_000; i++) request(FAULT)
    assert.equal(recorder.size, 10)
    const kept = recorder.list({}, 100).map(({ traceId }) => traceId)
    for (const traceId of [newestDns, users, slow, limited]) assert.ok(kept.includes(traceId))
    assert.equal(recorder.list({ reason: 'dns' }, 100).length, 1)
  })

  it('keeps to its bounds even when there are more kinds than room', () => {
    const recorder = new Recorder({ maxRequests: 10, maxBytes: 1e6 })
    const { request } = startTracing({ ...ALL, recorder })
    for (let i = 0; i < 100; i++) request({ ...FAULT, 'http.route': `/route-${i}` })
    assert.deepEqual(
      recorder
        .list({}, 100)
        .map(({ route }) => String(route))
        .sort(),
      Array.from({ length: 10 }, (_, i) => `/route-${90 + i}`),
    )
  })

  it('is bounded in bytes, whatever is said in a span', () => {
    const recorder = new Recorder({ maxRequests: 1_000, maxBytes: 100_000 })
    const { request } = startTracing({ ...ALL, recorder })
    for (let i = 0; i < 50; i++) request({ ...FAULT, 'user_agent.original': 'x'.repeat(20_000) })
    assert.ok(recorder.size >= 3 && recorder.size <= 4, `${recorder.size} of 24 kB`)
  })

  it('takes late spans into account and not without end', () => {
    const recorder = new Recorder({ maxRequests: 1_000, maxBytes: 1e6 })
    const { begin, request } = startTracing({ ...ALL, recorder })
    const { span, child } = begin()
    span.setAttributes(FAULT).end()
    for (let i = 0; i < 1_000; i++) child(`late ${i}`).end()
    const json = recorder.otlpJson(traceIdOf(span)) ?? ''
    assert.match(json, /late 254/)
    assert.doesNotMatch(json, /late 255"/)
    for (let i = 0; i < 2; i++) request(FAULT)
    assert.equal(recorder.size, 3)
  })

  it('forgets a late span whose request is gone', () => {
    const recorder = new Recorder({ maxRequests: 1, maxBytes: 1e6 })
    const { begin, request } = startTracing({ ...ALL, recorder })
    const { span, child } = begin()
    const late = child()
    span.setAttributes(FAULT).end()
    request(FAULT)
    late.end()
    assert.equal(recorder.otlpJson(traceIdOf(span)), undefined)
    assert.equal(recorder.has(span.spanContext()), false)
  })

  it('lists newest first, by every filter, at most as many as asked for', () => {
    const { request, recorder, begin } = startTracing(ALL)
    request({ ...FAULT, 'url.path': '/orders/1', 'http.request.method': 'GET', 'gateway.upstream.name': 'orders' })
    request({ ...LIMITED, 'http.route': '/users' })
    const older = begin({ startTime: Date.now() - 60_000 })
    older.span.setAttributes({ ...FAULT, 'gateway.reason': 'dns' })
    older.span.end()
    assert.deepEqual(recorder.list({}, 10).at(-1)?.reason, 'dns')
    assert.equal(recorder.list({}, 2).length, 2)
    const count = (filter: Parameters<Recorder['list']>[0]): number => recorder.list(filter, 10).length
    assert.equal(count({ status: '502' }), 2)
    assert.equal(count({ route: '/users' }), 1)
    assert.equal(count({ outcome: 'fault', reason: 'dns' }), 1)
    assert.equal(count({ upstream: 'orders', method: 'GET', path: '/orders/1' }), 1)
    assert.equal(count({ upstream: 'order' }), 0)
    assert.equal(count({ cause: 'limited' }), 1)
    assert.equal(count({ route: undefined }), 3)
  })

  it('tells a trace as OTLP/JSON, with ids, parents, times and status', () => {
    const { begin, recorder } = startTracing(ALL)
    const { span, child } = begin()
    const call = child('GET')
    call.recordException(new Error('connect ECONNREFUSED'))
    call.setStatus({ code: 2 })
    call.end()
    span.setAttributes(FAULT).setStatus({ code: 2, message: 'The upstream refused the connection' }).end()
    const { resourceSpans } = JSON.parse(recorder.otlpJson(traceIdOf(span))!) as {
      resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[]
    }
    const [client, server] = resourceSpans[0]!.scopeSpans[0]!.spans as [
      Record<string, unknown>,
      Record<string, unknown>,
    ]
    assert.equal(client['parentSpanId'], span.spanContext().spanId)
    assert.equal(client['traceId'], traceIdOf(span))
    assert.equal(server['parentSpanId'], undefined)
    assert.deepEqual(server['status'], { code: 2, message: 'The upstream refused the connection' })
    assert.match(String(server['startTimeUnixNano']), /^\d{19}$/)
    assert.match(JSON.stringify(client['events']), /connect ECONNREFUSED/)
  })
})
