import assert from 'node:assert/strict'
import type { ShownSpan } from '../../../src/pages/shown-span'
import { waterfall } from '../../../src/pages/waterfall'

const SPAN: ShownSpan = {
  spanId: 'root',
  parentSpanId: undefined,
  name: 'GET /orders',
  kind: 'server',
  service: 'myesi-api',
  scope: 'myesi-gateway',
  startMs: 1_000,
  durationMs: 100,
  isError: false,
  statusMessage: undefined,
  attributes: [],
  events: [],
}

/** Names of the spans in the order of their rows, each with its depth. */
function rows(spans: readonly ShownSpan[]): string[] {
  const markup = waterfall(spans).toString()
  return [...markup.matchAll(/<details class="span (depth-\d)">[^]*?<span class="name">\s*([^<]*?)\s*</g)].map(
    ([, depth, name]) => `${depth} ${name}`,
  )
}

describe('the waterfall', () => {
  it('shows children below their parent, siblings by time', () => {
    assert.deepEqual(
      rows([
        { ...SPAN, spanId: 'b', parentSpanId: 'root', name: 'second', startMs: 1_050 },
        { ...SPAN, spanId: 'c', parentSpanId: 'b', name: 'inner', startMs: 1_060 },
        { ...SPAN, spanId: 'a', parentSpanId: 'root', name: 'first', startMs: 1_010 },
        SPAN,
      ]),
      ['depth-0 GET /orders', 'depth-1 first', 'depth-1 second', 'depth-2 inner'],
    )
  })

  it('shows a span whose parent is elsewhere at the top', () => {
    assert.deepEqual(rows([{ ...SPAN, parentSpanId: 'of another service' }]), ['depth-0 GET /orders'])
  })

  it('ends, and shows each span once, whatever they say of each other', () => {
    const twice = [
      SPAN,
      { ...SPAN, name: 'the same id' },
      { ...SPAN, spanId: 'child', parentSpanId: 'root', name: 'child' },
    ]
    assert.equal(rows(twice).length, 3)
    assert.deepEqual(rows([{ ...SPAN, parentSpanId: 'root' }]), ['depth-0 GET /orders'])
    const circle = [
      { ...SPAN, spanId: 'a', parentSpanId: 'b', name: 'a' },
      { ...SPAN, spanId: 'b', parentSpanId: 'a', name: 'b' },
    ]
    assert.deepEqual(
      rows(circle)
        .map(row => row.slice(-1))
        .sort(),
      ['a', 'b'],
    )
  })

  it('puts bars where they belong on the time axis', () => {
    const markup = waterfall([
      SPAN,
      { ...SPAN, spanId: 'a', parentSpanId: 'root', startMs: 1_025, durationMs: 50 },
    ]).toString()
    const bars = [...markup.matchAll(/<rect[^>]*?x="([^"]+)"[^>]*?width="([^"]+)"/g)].map(([, x, width]) => [x, width])
    assert.deepEqual(bars, [
      ['0%', '100%'],
      ['25%', '50%'],
    ])
    assert.deepEqual(
      [...markup.matchAll(/<span>([\d.]+(?: ms)?)<\/span>/g)].map(([, tick]) => tick),
      ['0', '25 ms', '50 ms', '75 ms', '100 ms'],
    )
  })

  it('shows a span without duration, alone', () => {
    assert.match(waterfall([{ ...SPAN, durationMs: 0 }]).toString(), /width="100%"/)
  })

  it('says what failed, with the message of the exception', () => {
    const failed: ShownSpan = {
      ...SPAN,
      isError: true,
      statusMessage: 'The upstream refused the connection',
      attributes: [['error.type', 'connect_refused']],
      events: [{ name: 'exception', atMs: 1_090, attributes: [['exception.message', 'connect ECONNREFUSED']] }],
    }
    const markup = waterfall([failed]).toString()
    assert.match(markup, /The upstream refused the connection · connect_refused · connect ECONNREFUSED/)
    assert.match(markup, /exception, after 90 ms/)
  })

  it('escapes everything a client can choose', () => {
    const hostile = `"><script>alert(1)</script>'`
    const markup = waterfall([
      {
        ...SPAN,
        name: hostile,
        service: hostile,
        isError: true,
        statusMessage: hostile,
        attributes: [[hostile, hostile]],
        events: [{ name: hostile, atMs: 1_000, attributes: [[hostile, hostile]] }],
      },
    ]).toString()
    assert.doesNotMatch(markup, /<script|alert\(1\)<\//)
    assert.ok(markup.includes('&#34;&#62;&#60;script&#62;'))
  })

  it('shows a part of a trace with thousands of spans, and says so', () => {
    const many = Array.from({ length: 600 }, (_, index) => ({ ...SPAN, spanId: String(index) }))
    const markup = waterfall(many).toString()
    assert.equal(rows(many).length, 500)
    assert.match(markup, /100 more spans/)
  })
})
