import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { mock } from 'node:test'
import pino from 'pino'
import { ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { createAccessLog } from '../../../src/observe/access-log'
import { GatewayError } from '../../../src/errors/gateway-error'
import type { Exchange } from '../../../src/exchange/exchange'

const TRACE = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7', traceFlags: 1 }

const EXCHANGE = {
  requestId: 'r-1',
  request: { method: 'GET' },
  path: '/orders/1',
  route: { template: '/orders/:id', upstreamName: 'orders' },
  statusCode: 200,
  outcome: 'ok',
  clientAddress: '192.0.2.1',
  startedAt: 0,
  context: trace.setSpanContext(ROOT_CONTEXT, TRACE),
}

/** The lines that such exchanges make, parsed. */
function linesOf(exchanges: readonly object[], level = 'info'): Record<string, unknown>[] {
  const lines: string[] = []
  const formatters = { level: (label: string) => ({ level: label }) }
  const log = pino({ level, base: null, formatters }, { write: line => lines.push(line) })
  const logAccess = createAccessLog(log)
  for (const exchange of exchanges)
    logAccess({ response: {} as ServerResponse, ...EXCHANGE, ...exchange } as unknown as Exchange)
  for (const line of lines) assert.match(line, /^\{[^\n]+\}\n$/)
  return lines.map(line => JSON.parse(line) as Record<string, unknown>)
}

describe('the access log', () => {
  it('says of a request what became of it, and in which trace', () => {
    const [line] = linesOf([{}])
    const { time, duration_ms: duration, ...rest } = line ?? {}
    assert.ok(typeof time === 'number' && typeof duration === 'number')
    assert.deepEqual(rest, {
      level: 'info',
      trace_id: TRACE.traceId,
      span_id: TRACE.spanId,
      trace_flags: '01',
      request_id: 'r-1',
      event: 'request',
      method: 'GET',
      path: '/orders/1',
      route: '/orders/:id',
      upstream: 'orders',
      status: 200,
      outcome: 'ok',
      client: '192.0.2.1',
      msg: 'request',
    })
  })

  it('leaves out what there is not', () => {
    const [line] = linesOf([{ route: undefined, context: ROOT_CONTEXT }])
    for (const field of ['route', 'upstream', 'reason', 'error', 'trace_id', 'span_id'])
      assert.ok(!(field in (line ?? {})))
  })

  it('says why a request was refused', () => {
    const cause = new Error('more than one "Host"')
    const [line] = linesOf([{ outcome: 'refusal', reason: 'bad_request', cause, statusCode: 400 }])
    assert.deepEqual(
      [line?.['reason'], line?.['status'], line?.['error']],
      ['bad_request', 400, { message: cause.message }],
    )
  })

  it('writes faults as errors, with the target', () => {
    const cause = new GatewayError('connect_refused')
    const [line] = linesOf([{ outcome: 'fault', reason: 'connect_refused', cause, target: 'http://10.0.0.1' }])
    assert.deepEqual([line?.['level'], line?.['target'], line?.['msg']], ['error', 'http://10.0.0.1', 'request failed'])
    assert.deepEqual([line?.['trace_id'], line?.['span_id']], [TRACE.traceId, TRACE.spanId])
  })

  it('formats durations as milliseconds with three decimals', () => {
    const now = mock.method(performance, 'now', () => 1_000)
    const durations = [0, 0.0004, 0.0096, 0.0994, 0.9996, 1, 12.3456, 999.9999, 123_456.789]
    const lines = linesOf(durations.map(duration => ({ startedAt: 1_000 - duration })))
    now.mock.restore()
    assert.deepEqual(
      lines.map(line => line['duration_ms']),
      durations.map(duration => Math.round(duration * 1_000) / 1_000),
    )
  })

  it('says of each request how it ended, also when requests of one route end differently', () => {
    const { route } = EXCHANGE
    const ends = [
      [route, 200, 'ok'],
      [route, 200, 'ok'],
      [route, 429, 'refusal'],
      [undefined, 429, 'refusal'],
      [route, 499, 'client_closed'],
      [route, 200, 'client_closed'],
      [undefined, 404, 'refusal'],
      [route, 200, 'ok'],
    ] as const
    const lines = linesOf(ends.map(([of, statusCode, outcome]) => ({ route: of, statusCode, outcome })))
    assert.deepEqual(
      lines.map(line => [line['route'], line['upstream'], line['status'], line['outcome']]),
      ends.map(([of, status, outcome]) => [of?.template, of?.upstreamName, status, outcome]),
    )
  })

  it('gives destinations and hooks of pino what they read besides the line', () => {
    const seen: unknown[] = []
    const exchange = (more: object = {}): Exchange => ({ response: {}, ...EXCHANGE, ...more }) as unknown as Exchange
    const multi = pino.multistream([{ level: 'error', stream: { write: line => seen.push(line) } }])
    const byLevel = createAccessLog(pino({}, multi))
    byLevel(exchange())
    byLevel(exchange({ outcome: 'fault', reason: 'reset' }))
    assert.equal(seen.length, 1)
    assert.match(String(seen[0]), /"outcome":"fault"/)
    const streamWrite = (line: string): string => line.replaceAll('/orders', '/hidden')
    createAccessLog(pino({ hooks: { streamWrite } }, { write: line => seen.push(line) }))(exchange())
    assert.match(String(seen[1]), /"path":"\/hidden\/1"/)
  })

  it('keeps every character of what a client chose', () => {
    const texts = ['"', '\\', '\n', '\0', '\u2028', 'ä', '🙂', '\ud800', '</script>', ' !#[]~', '\x7f']
    const lines = linesOf(texts.map(text => ({ path: text, clientAddress: text })))
    assert.deepEqual(
      lines.map(line => [line['path'], line['client']]),
      texts.map(text => [text, text]),
    )
  })

  it('is silent where the level says so', () => {
    assert.deepEqual(linesOf([{}], 'warn'), [])
    assert.equal(linesOf([{}, { outcome: 'fault', reason: 'internal' }], 'warn').length, 1)
  })
})
