import assert from 'node:assert/strict'
import { FAULT_REASONS, OWN_FAULT_REASONS } from '../../src/errors/reasons'
import { sampleValue } from '../support/exposition'
import { listTraces, openTrace, scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { until } from '../support/until'

const REQUESTS = 'gateway_requests_total'

describe('a local reply', () => {
  let gateway: RunningGateway

  before(async () => {
    const routes = [
      { name: 'app', match: { path: '/app' }, upstream: 'app' },
      { name: 'old', match: { path: '/old/:id' }, redirect: { to: '/new/*' } },
      { name: 'fixed', match: { path: '/fixed' }, respond: { status: 503, body: 'no' } },
    ]
    const config = { upstreams: { app: { targets: ['http://127.0.0.1:1'] } }, routes }
    gateway = await startGateway({ config: JSON.stringify(config) })
    assert.equal((await send(gateway.port, '/old/7/a')).status, 308)
    assert.equal((await send(gateway.port, '/fixed/a')).status, 503)
  })
  after(() => gateway.stop())

  it('has a SERVER span with its route, alone in its trace, without an error', async () => {
    const traces = await until(
      async () => {
        const found = await listTraces(gateway.opsUrl)
        return found.length === 2 && found
      },
      { what: 'both traces are kept' },
    )
    const spans = await Promise.all(traces.map(async ({ traceId }) => openTrace(gateway.opsUrl, traceId)))
    assert.deepEqual(
      spans
        .map(trace => (trace ?? []).map(({ kind, name, attributes }) => ({ kind, name, attributes })))
        .map(([server, ...others]) => [
          server?.kind,
          server?.name,
          server?.attributes['http.route'],
          Number(server?.attributes['http.response.status_code']),
          server?.attributes['gateway.outcome'],
          server?.attributes['gateway.upstream.name'],
          server?.attributes['error.type'],
          others.length,
        ])
        .toSorted((a, b) => String(a[1]).localeCompare(String(b[1]))),
      [
        [2, 'GET /fixed', '/fixed', 503, 'ok', undefined, undefined, 0],
        [2, 'GET /old/:id', '/old/:id', 308, 'ok', undefined, undefined, 0],
      ],
    )
  })

  it('counts as ok without an upstream, and exposes its possible faults from the start', async () => {
    const families = await scrape(gateway.opsUrl)
    for (const route of ['/old/:id', '/fixed']) {
      assert.equal(sampleValue(families, REQUESTS, { http_route: route, gateway_outcome: 'ok' }), 1)
      for (const reason of FAULT_REASONS) {
        const labels = { http_route: route, gateway_outcome: 'fault', gateway_reason: reason }
        assert.equal(sampleValue(families, REQUESTS, labels), OWN_FAULT_REASONS.includes(reason) ? 0 : undefined)
      }
    }
    const duration = { http_route: '/old/:id', http_response_status_code: '308' }
    assert.equal(sampleValue(families, 'http_server_request_duration_seconds_count', duration), 1)
  })
})
