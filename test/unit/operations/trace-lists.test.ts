import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listTraces, showTrace } from '../../../src/operations/traces'
import type { TraceFilter, TraceSummary } from '../../../src/operations/sources'

const BASE: TraceSummary = {
  traceId: 'a'.repeat(32),
  timeMs: 0,
  method: 'GET',
  path: '/a',
  route: '/a',
  upstream: 'app',
  status: 502,
  outcome: 'fault',
  reason: 'connect_failed',
  durationMs: 1,
  cause: 'fault',
}

/** What the endpoint answers, and which filter it asked for. */
function ask(url: string, kept: readonly TraceSummary[], accept = 'application/json') {
  let filter: TraceFilter = {}
  let status = 0
  let body = ''
  const traces = {
    list: (asked: TraceFilter, limit: number) => {
      if (limit !== 1_000) filter = asked
      return kept.slice(0, limit)
    },
    otlpJson: (traceId: string) => (traceId === BASE.traceId ? '{"resourceSpans":[]}' : undefined),
  }
  const response = {
    writeHead: (code: number) => ((status = code), response),
    setHeader: () => response,
    end: (text: string) => void (body = text),
  } as unknown as ServerResponse
  const request = { url, headers: { accept }, method: 'GET' } as IncomingMessage
  const id = /^\/traces\/([^?]+)/.exec(url)?.[1]
  if (id === undefined) listTraces(traces, request, response)
  else showTrace(traces, id, request, response)
  return { filter, status, body, json: () => JSON.parse(body) as { traces: unknown[]; groups: { count: number }[] } }
}

describe('the list of kept traces', () => {
  it('is narrowed by duration, time, class of statuses, consumer and request id', () => {
    const before = Date.now()
    const url = '/traces?minDuration=2s&from=15m&to=2026-11-30T12:00:00Z&status=5xx&consumer=acme&requestId=r-7'
    const { filter } = ask(url, [])
    const { fromMs = 0, ...rest } = filter
    assert.ok(fromMs >= before - 900_000 && fromMs <= Date.now() - 900_000)
    assert.deepEqual(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)), {
      minDurationMs: 2_000,
      toMs: Date.UTC(2026, 10, 30, 12),
      status: '5xx',
      consumer: 'acme',
      requestId: 'r-7',
    })
  })

  for (const query of ['minDuration=2', 'from=yesterday', 'to=x', 'page=0', 'page=1.5', 'group=all', 'limit=0']) {
    it(`refuses ${query}`, () => assert.equal(ask(`/traces?${query}`, []).status, 400))
  }

  it('has pages', () => {
    const kept = Array.from({ length: 5 }, (_, i) => ({ ...BASE, path: `/${i}` }))
    const paths = (url: string): unknown[] =>
      ask(url, kept)
        .json()
        .traces.map(trace => (trace as TraceSummary).path)
    assert.deepEqual(paths('/traces?limit=2'), ['/0', '/1'])
    assert.deepEqual(paths('/traces?limit=2&page=3'), ['/4'])
    const middle = ask('/traces?limit=2&page=2&outcome=fault', kept, 'text/html').body
    assert.match(middle, /href="\/traces\?outcome=fault&#38;limit=2&#38;page=1">Newer/)
    assert.match(middle, /href="\/traces\?outcome=fault&#38;limit=2&#38;page=3">Older/)
    assert.doesNotMatch(ask('/traces?limit=2&page=3', kept, 'text/html').body, /Older/)
  })

  it('groups requests that ended alike, the most frequent first', () => {
    const kept = [
      { ...BASE, reason: 'reset', timeMs: 9_000 },
      { ...BASE, timeMs: 8_000 },
      { ...BASE, timeMs: 5_000 },
    ]
    const [first, second, ...others] = ask('/traces?group=equal', kept).json().groups
    assert.deepEqual(others, [])
    assert.equal(second?.count, 1)
    assert.deepEqual(first, {
      count: 2,
      route: '/a',
      upstream: 'app',
      method: 'GET',
      status: 502,
      outcome: 'fault',
      reason: 'connect_failed',
      first: '1970-01-01T00:00:05.000Z',
      last: '1970-01-01T00:00:08.000Z',
      traceId: BASE.traceId,
    })
    const page = ask('/traces?group=equal&outcome=fault', kept, 'text/html').body
    assert.match(
      page,
      /href="\/traces\?outcome=fault&#38;route=%2Fa&#38;upstream=app&#38;method=GET&#38;status=502&#38;reason=connect_failed">2</,
    )
  })

  it('leads from the id of a request to its trace', () => {
    assert.equal(ask(`/traces/${BASE.traceId}-${'b'.repeat(16)}`, []).status, 200)
    assert.equal(ask(`/traces/${BASE.traceId}-b`, []).status, 404)
  })
})
