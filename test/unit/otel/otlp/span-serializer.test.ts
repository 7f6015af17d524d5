import assert from 'node:assert/strict'
import { createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type AnyValue } from '@opentelemetry/api'
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { TracerProvider, type ReadableSpan } from '@opentelemetry/sdk-trace'
import { SpanSerializer } from '../../../../otel/sdk/otlp/span-serializer'

/** Ended spans of one process, in the order in which they end. */
function newTracer(): { readonly provider: TracerProvider; readonly ended: ReadableSpan[] } {
  const ended: ReadableSpan[] = []
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'möwe',
      'process.command_args': ['node', 'main'],
      'process.pid': 7,
    }),
    spanProcessors: [
      {
        onStart: () => {},
        onEnd: span => ended.push(span),
        forceFlush: () => Promise.resolve(),
        shutdown: () => Promise.resolve(),
      },
    ],
  })
  return { provider, ended }
}

/** With an own serializer each time, and with one that has seen everything before. */
function assertSameBytes(spans: ReadableSpan[], serializer = new SpanSerializer()): void {
  const expected = ProtobufTraceSerializer.serializeRequest(spans) as Uint8Array
  for (const time of ['first', 'second']) {
    assert.ok(Buffer.from(serializer.serializeRequest(spans)).equals(expected), `not the same bytes the ${time} time`)
  }
}

describe('the serializer of spans writes the same bytes as the one of the SDK', () => {
  it('for the two spans of a request', () => {
    const { provider, ended } = newTracer()
    const tracer = provider.getTracer('myesi-gateway', '1.2.3')
    const server = tracer.startSpan('GET /orders/:id', { kind: SpanKind.SERVER })
    const client = tracer.startSpan('GET', { kind: SpanKind.CLIENT }, trace.setSpan(ROOT_CONTEXT, server))
    client.setAttributes({ 'server.address': '10.0.0.1', 'server.port': 8080, 'http.response.status_code': 200 })
    client.end()
    server.setAttributes({ 'http.route': '/orders/:id', 'url.path': '/orders/1', 'gateway.outcome': 'ok' })
    server.end()
    assertSameBytes(ended)
  })

  it('for a fault with its exception, a remote parent, trace state and links', () => {
    const { provider, ended } = newTracer()
    const parent = {
      traceId: '0AF7651916CD43DD8448EB211C80319C',
      spanId: 'b7ad6b7169203331',
      traceFlags: 1,
      isRemote: true,
      traceState: createTraceState('a=1,b=2'),
    }
    const span = provider
      .getTracer('a')
      .startSpan(
        'POST /x',
        { links: [{ context: parent, attributes: { why: 'retry' } }, { context: { ...parent, isRemote: false } }] },
        trace.setSpanContext(ROOT_CONTEXT, parent),
      )
    span.recordException(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
    span.addEvent('late')
    span.setStatus({ code: SpanStatusCode.ERROR, message: 'No connection' })
    span.end()
    assertSameBytes(ended)
  })

  it('for every kind of attribute value', () => {
    const { provider, ended } = newTracer()
    const texts = ['', 'a', 'ä', '🙂', 'x'.repeat(48), 'x'.repeat(49), 'ü'.repeat(127), 'y'.repeat(300), '\0', '\ud800']
    const whole = [0, 1, 127, 128, -1, 16_384, 2 ** 31, 2 ** 32, 2 ** 40 + 1, -(2 ** 40), 2 ** 53]
    const numbers = [...whole, -0, 0.5, -0.5, 1e300, Infinity]
    const others = [true, false, new Uint8Array([1, 2, 255]), [], ['a', 'b'], [1, 0.5], [true], [['nested']], {}]
    const values: AnyValue[] = [...texts, ...numbers, ...others, { a: 1, b: { c: ['d'] } }, null]
    const span = provider.getTracer('a').startSpan('values')
    values.forEach((value, i) => span.setAttribute(`attribute.${i}`, value))
    span.end()
    assertSameBytes(ended)
  })

  it('for messages whose sizes need one to four bytes', () => {
    const { provider, ended } = newTracer()
    for (const length of [1, 60, 120, 128, 200, 16_000, 16_384, 70_000, 2_100_000]) {
      provider.getTracer('a').startSpan('n'.repeat(length)).end()
      provider
        .getTracer('b')
        .startSpan('', { attributes: { a: 'é'.repeat(length) } })
        .end()
      assertSameBytes(ended.slice(-2))
    }
    assertSameBytes(ended)
  })

  it('for more values and more attributes than it keeps', () => {
    const { provider, ended } = newTracer()
    for (let i = 0; i < 300; i++) {
      const attributes = { 'url.path': `/orders/${i}`, 'http.request.method': 'GET', [`key.${i}`]: 'value' }
      provider.getTracer('a').startSpan('GET', { attributes }).end()
    }
    const serializer = new SpanSerializer()
    for (let from = 0; from < ended.length; from += 50) assertSameBytes(ended.slice(from, from + 50), serializer)
  })

  it('for times of any year', () => {
    const { provider, ended } = newTracer()
    const times: [number, number][] = [
      [0, 1],
      [65_535, 999_999_999],
      [1_764_090_000, 123_456_789],
      [4_294_967_296, 4],
      [9_000_000_000, 999_999_999],
    ]
    for (const time of times) provider.getTracer('a').startSpan('t', { startTime: time }).end(time)
    assertSameBytes(ended)
  })

  it('also after one that it could not write', () => {
    const { provider, ended } = newTracer()
    provider.getTracer('a').startSpan('whole').end()
    const serializer = new SpanSerializer()
    const broken = Object.create(ended[0]!, {
      name: {
        get: () => {
          throw new Error('no name')
        },
      },
    }) as ReadableSpan
    assert.throws(() => serializer.serializeRequest([broken]), /no name/)
    assertSameBytes(ended, serializer)
  })

  it('for nothing at all', () => {
    assert.equal(new SpanSerializer().serializeRequest([]).length, 0)
  })
})
