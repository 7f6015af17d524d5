import assert from 'node:assert/strict'
import { REASONS } from '../../../../src/errors/reasons'
import { toAnnotations } from '../../../../src/incidents/evidence/annotations'
import type { Evidence, ProvingTrace } from '../../../../src/incidents/evidence/evidence'
import { findSignatures, normalise, REASON_TEXTS, signatureLine } from '../../../../src/incidents/evidence/signatures'

const ALERT = { labels: { alertname: 'GatewayHttp500Spike', family: 'faults' } }
const ID = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('failure signatures', () => {
  it('take their counts from the counters and their looks from the traces', () => {
    const counts = [
      count('reset', 3),
      count('connect_refused', 37),
      count('response_timeout', 0), // existed from the start, never happened
    ]
    const [first, second, ...none] = findSignatures(counts, [trace()]).map(signatureLine)
    assert.equal(first, '37 of 40: orders → 10.0.0.7:9001 refused the connection, route /api/orders')
    assert.equal(second, '3 of 40: orders broke the connection, route /api/orders')
    assert.deepEqual(none, [])
  })

  it('are a share of all requests where these are given: all that were limited were limited', () => {
    const [limited] = findSignatures([count('limited', 395)], [], 400).map(signatureLine)
    assert.equal(limited, '395 of 400: clients were over their rate limit, route /api/orders')
    const [askedLater] = findSignatures([count('limited', 401)], [], 400)
    assert.equal(askedLater?.total, 401)
  })

  it('have words for every reason that there is', () => {
    assert.deepEqual(Object.keys(REASON_TEXTS).toSorted(), Object.keys(REASONS).toSorted())
  })

  it('are the same for the same message with other numbers, addresses and ids', () => {
    const one = normalise(`connect ECONNREFUSED 10.0.0.7:9001 after 1234 ms, request ${ID}`)
    const other = normalise(`connect ECONNREFUSED 10.9.9.9:80 after 7 ms, request ${ID.replaceAll('4', '5')}`)
    assert.equal(one, other)
    assert.match(one, /ECONNREFUSED/)
  })
})

describe('evidence in a message', () => {
  it('says what, where, which trace, since when and what came before', () => {
    const { evidence, incident_url, trace_ids } = toAnnotations(ALERT, known(), 'http://incidents/1')
    assert.equal(
      evidence,
      [
        '1 of 1: orders → 10.0.0.7:9001 refused the connection, route /api/orders',
        'Statuses: 502 in 1 of 12 requests',
        `Trace ${ID}: GET /api/orders/17 502 in 12 ms`,
        'First failure at 00:00:30 UTC, nothing failed until 00:00:29 UTC',
        '20 s before: configuration 3f2a91 came into force (00:00:10 UTC)',
        'Not found out: changes: no answer in time',
      ].join('\n'),
    )
    assert.equal(incident_url, 'http://incidents/1')
    assert.equal(trace_ids, ID)
  })

  it('names the clients that an alert about a limit is about', () => {
    const limitedClients = [
      { client: '9f86d081884c', count: 120 },
      { client: '60303ae22b99', count: 3 },
    ]
    const { evidence } = toAnnotations(ALERT, { ...known(), limitedClients }, undefined)
    assert.match(evidence ?? '', /^Most limited: 9f86d081884c \(120 times\), 60303ae22b99 \(3 times\)$/m)
  })

  it('calls a limit no failure', () => {
    const { evidence } = toAnnotations({ labels: { family: 'rate-limit' } }, known(), undefined)
    assert.match(evidence ?? '', /^First refused at 00:00:30 UTC, nothing was refused until 00:00:29 UTC$/m)
    assert.doesNotMatch(evidence ?? '', /fail/)
  })

  it('says how much there was to do where requests are turned away, which have no traces', () => {
    const load = { activeRequests: 812, eventLoopDelay: 0.64 }
    const evidence = {
      ...known(),
      traces: [],
      statuses: [],
      signatures: findSignatures([count('shed', 30)], [], 400),
      load,
    }
    const lines = toAnnotations({ labels: { family: 'load' } }, evidence, undefined)['evidence']?.split('\n') ?? []
    assert.match(lines[0] ?? '', /^30 of 400: the gateway was overloaded and shed requests/)
    assert.equal(lines[1], 'Load: up to 812 requests at once, the event loop up to 640 ms late')
    assert.match(lines[2] ?? '', /^First refused at /)
  })

  it('says when a trace could not be opened', () => {
    const { evidence } = toAnnotations(ALERT, { ...known(), traces: [{ ...trace(), source: undefined }] }, undefined)
    assert.match(evidence ?? '', /\(not verified\)/)
  })

  it('is bounded and of plain lines, whatever clients send', () => {
    const hostile = { ...trace(), path: `/x\r\nSubject: hi\u0000\u202e${'y'.repeat(5_000)}` }
    const { evidence = '' } = toAnnotations(
      ALERT,
      { ...known(), traces: Array.from({ length: 50 }, () => hostile) },
      undefined,
    )
    assert.ok(evidence.length <= 1_500)
    assert.doesNotMatch(evidence, /[^\P{C}\n]/u)
    assert.equal(
      evidence.split('\n').some(line => line.startsWith('Subject:')),
      false,
    )
  })

  it('is nothing where nothing is known', () => {
    const nothing = {
      ...known(),
      signatures: [],
      statuses: [],
      traces: [],
      firstBadMs: undefined,
      changes: [],
      missing: [],
    }
    assert.deepEqual(toAnnotations(ALERT, nothing, undefined), {})
  })
})

function known(): Evidence {
  const at = (seconds: number): number => Date.UTC(2026, 0, 1, 0, 0, seconds)
  return {
    window: { startMs: at(0), endMs: at(60) },
    signatures: findSignatures([count('connect_refused', 1)], [trace()]),
    statuses: [{ status: '502', count: 1, total: 12 }],
    load: undefined,
    traces: [trace()],
    firstBadMs: at(30),
    lastGoodMs: at(29),
    curve: undefined,
    limitedClients: [],
    changes: [{ timeMs: at(10), what: 'configuration 3f2a91 came into force' }],
    missing: ['changes: no answer in time'],
  }
}

function count(reason: string, value: number): { labels: Record<string, string>; value: number } {
  return { labels: { http_route: '/api/orders', gateway_upstream_name: 'orders', gateway_reason: reason }, value }
}

function trace(): ProvingTrace {
  return {
    traceId: ID,
    timeMs: 0,
    durationMs: 12.4,
    method: 'GET',
    path: '/api/orders/17',
    route: '/api/orders',
    upstream: 'orders',
    status: '502',
    reason: 'connect_refused',
    source: 'http://10.0.0.1:9464',
    spans: [
      {
        spanId: '1',
        parentSpanId: undefined,
        service: 'myesi-api',
        name: 'GET',
        kind: 'client',
        startMs: 0,
        durationMs: 1,
        isError: true,
        attributes: { 'server.address': '10.0.0.7', 'server.port': '9001' },
        exception: 'connect ECONNREFUSED 10.0.0.7:9001',
      },
    ],
  }
}
