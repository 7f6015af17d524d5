import assert from 'node:assert/strict'
import type { ProvingTrace } from '../../../../src/incidents/evidence/evidence'
import type { Send } from '../../../../src/incidents/backends/backend'
import { logSource, type LogKind } from '../../../../src/incidents/evidence/log-sources'
import { findLogs, redactLine } from '../../../../src/incidents/evidence/logs'
import { alertRecord, BEGAN } from '../../../support/incident-record'
import { bodyOf, startUpstream, type RunningUpstream } from '../../../support/start-upstream'

const SHOWN = { clients: false, consumers: false, headers: ['x-shop'] }
const TRACES: readonly ProvingTrace[] = alertRecord().evidence?.traces ?? []
const [ID = '', OTHER = ''] = TRACES.map(({ traceId }) => traceId)
const LINE = `order 17 failed, trace_id=${ID} password=hunter2hunter`

/** The answers of the three stores to a query for lines, as their documentation has them. */
const ANSWERS: Readonly<Record<LogKind, string>> = {
  loki: JSON.stringify({
    status: 'success',
    data: {
      resultType: 'streams',
      result: [{ stream: { service_name: 'orders' }, values: [[`${BEGAN}123456`, LINE]] }],
      stats: {},
    },
  }),
  opensearch: JSON.stringify({
    took: 3,
    timed_out: false,
    hits: {
      total: { value: 1, relation: 'eq' },
      hits: [
        {
          _index: 'logs-1',
          _source: { '@timestamp': new Date(BEGAN).toISOString(), service: { name: 'orders' }, message: LINE },
        },
      ],
    },
  }),
  victorialogs: `${JSON.stringify({
    _time: new Date(BEGAN).toISOString(),
    _stream: '{}',
    _msg: LINE,
    service: 'orders',
  })}\n`,
}

describe('log lines of failing requests', () => {
  let store: RunningUpstream
  let asked: string
  let answer: string
  let status: number

  beforeEach(async () => {
    status = 200
    store = await startUpstream((request, response) => {
      void bodyOf(request).then(body => {
        asked = `${request.method} ${decodeURIComponent((request.url ?? '').replaceAll('+', ' '))} ${body.toString()}`
        response.writeHead(status).end(answer)
      })
    })
  })
  afterEach(async () => store.stop())

  const find = async (kind: LogKind, query?: string) => {
    const source = logSource({ kind, url: `${store.url}/`, query, token: 'a-token-for-the-logs' })
    return findLogs(TRACES, source, { shown: SHOWN, signal: AbortSignal.timeout(2_000) })
  }

  for (const kind of ['loki', 'opensearch', 'victorialogs'] as const) {
    it(`come from ${kind}, with time, service and trace, redacted`, async () => {
      answer = ANSWERS[kind]
      const [line, ...others] = await find(kind)
      assert.deepEqual(others, [])
      assert.deepEqual([line?.traceId, line?.service, Math.floor(line?.timeMs ?? 0)], [ID, 'orders', BEGAN])
      assert.match(line?.text ?? '', /order 17 failed/)
      assert.doesNotMatch(line?.text ?? '', /hunter2/)
      assert.equal(store.requests[0]?.headers.authorization, 'Bearer a-token-for-the-logs')
      assert.ok(asked.includes(ID) && asked.includes(OTHER), 'all traces are asked for at once')
      assert.equal(store.requests.length, 1)
    })
  }

  it('are asked for in the chosen streams, index or filter, and in the time of the requests', async () => {
    answer = ANSWERS.loki
    await find('loki', '{app="orders"}')
    assert.match(
      asked,
      /^GET \/loki\/api\/v1\/query_range\?query=\{app="orders"\} \|~ "[0-9a-f|]+"&start=\d{19}&end=\d{19}&limit=100&direction=forward/,
    )
    answer = ANSWERS.opensearch
    await find('opensearch', 'my-logs')
    assert.match(asked, /^POST \/my-logs\/_search \{"size":100,.*"gte":"\d{4}-/)
    answer = ANSWERS.victorialogs
    await find('victorialogs', '{app="orders"}')
    assert.match(
      decodeURIComponent(asked.replaceAll('+', ' ')),
      /^POST \/select\/logsql\/query query=\{app="orders"\} \(trace_id:in\("[^)]+\) or _msg:~"[0-9a-f|]+"\) \| sort by \(_time\) \| limit 100&start=/,
    )
  })

  it('are asked for with the credentials of a file where one is configured', async () => {
    const seen: [string, Readonly<Record<string, string>> | undefined][] = []
    for (const kind of ['loki', 'opensearch', 'victorialogs'] as const) {
      answer = ANSWERS[kind]
      const send: Send = async (url, init) => {
        seen.push([kind, init.headers])
        return fetch(url, { ...init, headers: { ...init.headers, 'x-scope-orgid': 'shop' } })
      }
      const source = logSource({ kind, url: store.url, query: undefined, token: undefined, send })
      await findLogs(TRACES, source, { shown: SHOWN, signal: AbortSignal.timeout(2_000) })
      assert.equal(store.requests.at(-1)?.headers['x-scope-orgid'], 'shop')
    }
    assert.deepEqual(
      seen.map(([kind, headers]) => [kind, headers?.['authorization']]),
      [
        ['loki', undefined],
        ['opensearch', undefined],
        ['victorialogs', undefined],
      ],
    )
  })

  it('say that credentials may be wrong', async () => {
    answer = ''
    status = 401
    await assert.rejects(find('loki'), /the log store answered 401: are its credentials right\?/)
  })

  it('are few and short', async () => {
    const values = Array.from({ length: 90 }, (_, index) => [
      `${BEGAN + index}000000`,
      `${ID} ${OTHER} ${'x'.repeat(5_000)}`,
    ])
    answer = JSON.stringify({ data: { result: [{ stream: {}, values }] } })
    const lines = await find('loki')
    assert.equal(lines.length, 10)
    assert.ok(lines.every(({ text }) => text.length <= 400))
  })

  it('are reported as missing where the store refuses or answers something else', async () => {
    answer = 'no'
    for (const kind of ['loki', 'opensearch', 'victorialogs'] as const) await assert.rejects(find(kind))
    status = 500
    await assert.rejects(find('loki'), /answered 500/)
  })

  it('contain no planted secret, client or header value, in text or JSON', () => {
    const secrets = [
      'hunter2hunter',
      'sk-live-12345',
      '203.0.113.9',
      '2001:db8::17',
      'mona@example.com',
      'eyJhbGciOi.eyJzdWIi.c2ln',
      'acme-corp',
    ]
    const lines = [
      'password=hunter2hunter api_key: "sk-live-12345" from 203.0.113.9 and 2001:db8::17 by mona@example.com',
      'Authorization: Bearer sk-live-12345 GET https://mona:hunter2hunter@shop.example/a?key=sk-live-12345 eyJhbGciOi.eyJzdWIi.c2ln',
      JSON.stringify({
        msg: 'failed for 203.0.113.9',
        client: { address: '203.0.113.9' },
        consumer: 'acme-corp',
        headers: { 'x-tenant': 'acme-corp', 'x-shop': 'berlin', cookie: 'sk-live-12345' },
        'http.request.query': 'sk-live-12345',
        deep: { a: { b: { accessToken: 'hunter2hunter' } } },
      }),
    ]
    for (const line of lines) {
      const text = redactLine(line, SHOWN)
      for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`)
    }
    assert.match(redactLine(lines[2] ?? '', SHOWN), /"x-shop":"berlin"/)
    assert.match(redactLine('from 203.0.113.9', { ...SHOWN, clients: true }), /203\.0\.113\.9/)
  })

  it('has a time that stays: 15:12:27 is no address', () => {
    assert.equal(redactLine('at 15:12:27 it failed', SHOWN), 'at 15:12:27 it failed')
  })
})
