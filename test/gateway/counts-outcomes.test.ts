import assert from 'node:assert/strict'
import { FAULT_REASONS } from '../../src/errors/reasons'
import { parseExposition, sampleValue, type ExposedFamily } from '../support/exposition'
import { freePort } from '../support/free-port'
import { openRaw, rawExchange } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const REQUESTS = 'gateway_requests_total'

describe('gateway_requests_total', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === '/app/500') response.writeHead(500)
      if (request.url !== '/app/never') response.end('ok')
    })
    const config = {
      upstreams: { app: { targets: [upstream.url] }, down: { targets: [`http://127.0.0.1:${await freePort()}`] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'down', match: { path: '/down', methods: ['GET'] }, upstream: 'down' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1h' } },
        {
          name: 'guarded',
          match: { path: '/guarded' },
          upstream: 'app',
          auth: { apiKey: {}, scopes: ['read'] },
          maintenance: true,
          maxBodySize: '1MiB',
        },
      ],
    }
    gateway = await startGateway({ config: JSON.stringify(config) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  async function metrics(): Promise<Map<string, ExposedFamily>> {
    return parseExposition(await (await fetch(`${gateway.opsUrl}/metrics`)).text(), 'text')
  }
  const ended = async (labels: Record<string, string>): Promise<number> =>
    sampleValue(await metrics(), REQUESTS, labels) ?? 0

  it('exposes every fault of every route with 0 before the first request', async () => {
    const families = await metrics()
    for (const [route, name] of [
      ['/app', 'app'],
      ['/down', 'down'],
      ['/limited', 'app'],
    ] as const) {
      for (const reason of FAULT_REASONS) {
        const labels = {
          http_route: route,
          gateway_upstream_name: name,
          gateway_outcome: 'fault',
          gateway_reason: reason,
        }
        assert.equal(sampleValue(families, REQUESTS, labels), 0, `${route} ${reason}`)
      }
    }
    assert.equal(sampleValue(families, REQUESTS, { gateway_outcome: 'refusal', gateway_reason: 'shed' }), 0)
  })

  it('exposes with 0 every refusal that the configuration makes possible, and no other', async () => {
    const families = await metrics()
    const reasonsOf = (route: string | undefined): string[] =>
      [...families.values()]
        .flatMap(({ samples }) => samples)
        .filter(({ name, labels }) => name === REQUESTS && labels['http_route'] === route)
        .filter(({ labels }) => labels['gateway_outcome'] === 'refusal')
        .map(({ labels, value }) => `${labels['gateway_reason']} ${value}`)
        .sort()
    const always = ['loop_detected 0', 'overloaded 0', 'request_timeout 0']
    assert.deepEqual(reasonsOf('/app'), always)
    assert.deepEqual(reasonsOf('/limited'), ['limited 0', ...always].sort())
    assert.deepEqual(reasonsOf('/guarded'), [
      'bad_request 0',
      'body_too_large 0',
      'forbidden 0',
      'loop_detected 0',
      'maintenance 0',
      'overloaded 0',
      'request_timeout 0',
      'unauthenticated 0',
    ])
    assert.deepEqual(reasonsOf(undefined), [
      'bad_request 0',
      'expectation_failed 0',
      'header_too_large 0',
      'method_not_allowed 0',
      'no_route 0',
      'request_timeout 0',
      'shed 0',
      'uri_too_long 0',
    ])
  })

  it('counts each request once, by its outcome', async () => {
    await send(gateway.port, '/app')
    await send(gateway.port, '/app/500')
    await send(gateway.port, '/down')
    await send(gateway.port, { path: '/down', method: 'PUT' })
    await send(gateway.port, '/nowhere?token=secret')
    await send(gateway.port, '/limited')
    await send(gateway.port, '/limited')
    await rawExchange(gateway.port, 'nonsense\r\n\r\n')
    const impatient = await openRaw(gateway.port)
    impatient.send('GET /app/never HTTP/1.1\r\nHost: a\r\n\r\n')
    await until(() => upstream.requests.some(({ url }) => url === '/app/never'), { what: 'the call' })
    impatient.destroy()
    await until(() => ended({ gateway_reason: 'client_closed' }), { what: 'the last one is counted' })
    const all = [...(await metrics()).values()].flatMap(({ samples }) => samples)
    const counted = all
      .filter(({ name, value }) => name === REQUESTS && value > 0)
      .map(({ labels, value }) =>
        [labels['http_route'], labels['gateway_outcome'], labels['gateway_reason'], value].filter(Boolean).join(' '),
      )
    assert.deepEqual(
      counted.toSorted((a, b) => a.localeCompare(b)),
      [
        '/app client_closed client_closed 1',
        '/app fault upstream_5xx 1',
        '/app ok 1',
        '/down fault connect_refused 1',
        '/limited ok 1',
        '/limited refusal limited 1',
        'refusal bad_request 1',
        'refusal method_not_allowed 1',
        'refusal no_route 1',
      ],
    )
  })

  it('matches one log line for each request, which has the trace id of the response and no secret', async () => {
    const problem = problemOf(await send(gateway.port, '/down?token=secret'))
    const line = await gateway.process.waitForLog('line', entry => entry['trace_id'] === problem['trace_id'])
    assert.partialDeepStrictEqual(line, {
      event: 'request',
      level: 'error',
      method: 'GET',
      path: '/down',
      route: '/down',
      upstream: 'down',
      status: 502,
      outcome: 'fault',
      reason: 'connect_refused',
      client: '127.0.0.1',
      error: { code: 'ECONNREFUSED' },
    })
    assert.ok(!gateway.process.lines.some(text => text.includes('secret')))
  })
})
