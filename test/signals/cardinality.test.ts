import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { seriesBudget } from '../../src/operations/series-budget'
import { scrape } from '../support/ops-port'
import { rawExchange } from '../support/raw-http'
import { sendMany } from '../support/send-many'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRawUpstream, type RawUpstream } from '../support/start-raw-upstream'

const PER_ROUND = 10_000
const FAMILIES = {
  'http.server.request.duration': 'http_server_request_duration_seconds',
  'gateway.stream.duration': 'gateway_stream_duration_seconds',
  'gateway.stream.active': 'gateway_stream_active',
  'http.server.active_requests': 'http_server_active_requests',
  'gateway.requests': 'gateway_requests',
  'http.client.request.duration': 'http_client_request_duration_seconds',
  'gateway.upstream.retries': 'gateway_upstream_retries',
  'gateway.rate_limiting.requests': 'gateway_rate_limiting_requests',
} as const

describe('the number of series', () => {
  let upstream: RawUpstream
  let gateway: RunningGateway
  let config: string

  before(async () => {
    let answers = 0
    // Valid and invalid statuses, each as a page, as a stream, and broken off in the middle.
    upstream = await startRawUpstream(socket => {
      const status = 200 + (answers++ % 800)
      const type = answers % 7 === 0 ? 'text/event-stream' : 'text/plain'
      const isBroken = answers % 11 === 0
      const empty = status === 204 || status === 304
      const body = empty ? '' : `Content-Length: ${isBroken ? 100 : 2}\r\nContent-Type: ${type}\r\n`
      socket.write(`HTTP/1.1 ${status} Whatever\r\n${body}\r\n${empty ? '' : 'ok'}`)
      if (isBroken) socket.end()
    })
    config = JSON.stringify({
      upstreams: {
        app: { targets: [upstream.url], retries: { attempts: 2 } },
        gone: { targets: ['http://127.0.0.1:9'] },
      },
      routes: [
        { name: 'any', match: { path: '/any/:id' }, upstream: 'app' },
        {
          name: 'read',
          match: { path: '/read', methods: ['GET'] },
          upstream: 'app',
          rateLimit: { limit: 50, window: '1m' },
        },
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        { name: 'host', match: { path: '/:page', host: '*.shop.example' }, upstream: 'app' },
      ],
    })
    gateway = await startGateway({ config, env: { LOG_LEVEL: 'info' } })
  })

  after(async () => {
    await gateway?.stop()
    await upstream?.stop()
  })

  /** Every request is different: paths, hosts, agents, traces and queries are used once. */
  function hostile(index: number): { path: string; method: string; headers: Record<string, string> } {
    const id = `${index}-${Math.random().toString(36).slice(2)}`
    const starts = [`/any/${id}`, '/read', `/gone/${id}`, `/${id}`, `/any/${id}/%3Cscript%3E`, `/read/${id}`]
    const methods = METHODS.filter(method => method !== 'CONNECT' && method !== 'UPGRADE')
    return {
      path: `${starts[index % starts.length]}?${id}=${id}`,
      method: methods[index % methods.length]!,
      headers: {
        host: index % 3 === 0 ? `${id}.shop.example` : `${id}.example`,
        'user-agent': id,
        [`x-${id}`]: id,
        traceparent: `00-${index.toString(16).padStart(32, 'a')}-${index.toString(16).padStart(16, 'b')}-00`,
        'x-forwarded-for': `10.${index % 256}.${(index >> 8) % 256}.1`,
      },
    }
  }

  async function seriesNow(): Promise<Readonly<Record<string, number>>> {
    const families = await scrape(gateway.opsUrl)
    return Object.fromEntries(
      Object.entries(FAMILIES).map(([instrument, name]) => {
        const samples = families.get(name)?.samples ?? []
        const isSeries = (sample: { name: string }): boolean => !/_(?:bucket|sum)$/.test(sample.name)
        return [instrument, samples.filter(isSeries).length]
      }),
    )
  }

  it('stays within the budget, whatever clients and upstreams send', async () => {
    const { config: parsed } = parseGatewayFile(config, 'gateway.yaml', {})
    const budget = new Map(seriesBudget(parsed!).map(({ instrument, series }) => [instrument, series]))
    assert.deepEqual([...budget.keys()].sort(), Object.keys(FAMILIES).sort())
    await sendMany(gateway.url, PER_ROUND, hostile)
    const series = await seriesNow()
    for (const [instrument, count] of Object.entries(series)) {
      assert.ok(count > 0, `${instrument} was not recorded at all`)
      assert.ok(count <= budget.get(instrument)!, `${instrument} has ${count} series, of ${budget.get(instrument)}`)
    }
  }).timeout(120_000)

  it('is small for all metrics without a budget', async () => {
    const budgeted = new Set<string>(Object.values(FAMILIES))
    for (const { name, samples } of (await scrape(gateway.opsUrl)).values()) {
      if (budgeted.has(name)) continue
      const sets = new Set(samples.map(({ labels: { le: _le, ...labels } }) => JSON.stringify(labels)))
      assert.ok(sets.size <= 50, `${name} has ${sets.size} series and no budget in src/operations/series-budget.ts`)
    }
  })

  it('does not grow with bytes that are not a valid request', async () => {
    const before = await seriesNow()
    for (const line of [
      'GET / HTTP/9.9',
      'GET / HTTP/2.0',
      'GET / HTTP/0.9',
      'GET / HTTP/1.2',
      'HACK / HTTP/1.1',
      'get / HTTP/1.1',
      'GET http://[::1 HTTP/1.1',
      'GET \u0000 HTTP/1.1',
      `GET /${'x'.repeat(20_000)} HTTP/1.1`,
    ]) {
      const answer = await rawExchange(gateway.port, `${line}\r\nHost: x\r\nConnection: close\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 (?:4\d\d|501|505) /, line)
    }
    const after = await seriesNow()
    const routed = (await scrape(gateway.opsUrl))
      .get('http_server_request_duration_seconds')!
      .samples.filter(({ labels }) => labels['http_route'] !== undefined)
    assert.deepEqual([...new Set(routed.map(({ labels }) => labels['network_protocol_version']))], ['1.1'])
    for (const [instrument, count] of Object.entries(after)) {
      assert.ok(count <= before[instrument]! + 4, `${instrument}: ${before[instrument]} before, ${count} after`)
    }
  })
})
