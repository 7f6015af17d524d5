import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { listTraces, openTrace, scrape } from '../support/ops-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { until } from '../support/until'
import { closeOf, messageOn, openWebSocket, refusedWebSocket, startWebSocketUpstream } from '../support/web-sockets'
import type { WebSocketUpstream } from '../support/web-sockets'

const SERVER = 2
const CLIENT = 3
const ROUTE = { http_route: '/app' }
const WEB_SOCKET = { gateway_stream: 'websocket', http_route: '/app' }

describe('WebSocket telemetry', () => {
  let upstream: WebSocketUpstream
  let gateway: RunningGateway | undefined

  before(async () => {
    upstream = await startWebSocketUpstream()
  })
  after(async () => {
    await upstream.stop()
  })
  afterEach(async () => {
    await gateway?.kill()
    gateway = undefined
  })

  async function start(env: NodeJS.ProcessEnv = {}): Promise<RunningGateway> {
    const config = JSON.stringify({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app', rateLimit: { limit: 2, window: '1m' } }],
    })
    return (gateway = await startGateway({ config, env: { TRACES_SLOW_MS: '50', ...env } }))
  }

  /** The log line of a WebSocket, once it has ended. */
  async function lineOf({ process }: RunningGateway): Promise<Readonly<Record<string, unknown>>> {
    return process.waitForLog('"websocket"', entry => entry['event'] === 'request' && entry['stream'] === 'websocket')
  }

  it('consists of separate instruments, a SERVER and a CLIENT span, and one log line', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_on' })
    const socket = await openWebSocket(`${url}/app/chat?token=secret`)
    socket.send('hello')
    await messageOn(socket)
    const open = await scrape(opsUrl)
    assert.equal(sampleValue(open, 'gateway_stream_active', WEB_SOCKET), 1)
    assert.equal(sampleValue(open, 'http_server_active_requests', { http_request_method: 'GET' }), 1)
    const called = { ...ROUTE, http_response_status_code: '101' }
    assert.equal(
      sampleValue(open, 'http_client_request_duration_seconds_count', { http_response_status_code: '101' }),
      1,
    )

    socket.close(1000)
    await closeOf(socket)
    const { trace_id: traceId, ...line } = await lineOf(gateway!)
    assert.deepEqual(
      [line['status'], line['outcome'], line['route'], line['bytes_in'], line['bytes_out']],
      [101, 'ok', '/app', 19, 11],
    )
    const families = await scrape(opsUrl)
    assert.equal(sampleValue(families, 'gateway_stream_active', WEB_SOCKET), 0)
    assert.equal(sampleValue(families, 'gateway_stream_duration_seconds_count', { ...called, ...WEB_SOCKET }), 1)
    assert.equal(sampleValue(families, 'gateway_requests_total', { ...ROUTE, gateway_outcome: 'ok' }), 1)
    assert.equal(families.get('http_server_request_duration_seconds')?.samples.length ?? 0, 0)

    const spans = (await openTrace(opsUrl, traceId as string))!
    const server = spans.find(({ kind }) => kind === SERVER)!
    const client = spans.find(({ kind }) => kind === CLIENT)!
    assert.equal(server.name, 'GET /app')
    assert.equal(client.parentSpanId, server.spanId)
    const { attributes } = server
    assert.deepEqual(
      [attributes['gateway.stream'], attributes['http.response.status_code'], attributes['url.path']],
      ['websocket', 101, '/app/chat'],
    )
    assert.equal(attributes['gateway.stream.bytes_in'], 19)
    assert.equal(attributes['gateway.stream.bytes_out'], 11)
    assert.equal(client.attributes['http.response.status_code'], 101)
    assert.match(
      String(upstream.handshakes.at(-1)?.headers['traceparent']),
      new RegExp(`^00-${String(traceId)}-${client.spanId}-`),
    )
  })

  it('keeps no slow trace, but keeps the trace when the upstream breaks the connection', async () => {
    const { url, opsUrl } = await start({ OTEL_TRACES_SAMPLER: 'always_off' })
    const calm = await openWebSocket(`${url}/app`)
    await new Promise(resolve => setTimeout(resolve, 100))
    calm.close()
    await lineOf(gateway!)
    assert.deepEqual(await listTraces(opsUrl), [])
    const broken = await openWebSocket(`${url}/app`)
    const connection = (upstream.sockets.at(-1) as unknown as { _socket: { resetAndDestroy(): void } })._socket
    connection.resetAndDestroy()
    await closeOf(broken)
    const [trace] = await until(async () => (await listTraces(opsUrl)).length > 0 && listTraces(opsUrl), {
      what: 'a kept trace',
    })
    assert.deepEqual([trace?.cause, trace?.reason, trace?.status], ['fault', 'reset', 101])
    const { labels } = (await scrape(opsUrl))
      .get('gateway_stream_duration_seconds')!
      .samples.find(sample => sample.labels['error_type'] !== undefined)!
    assert.deepEqual([labels['error_type'], labels['http_response_status_code']], ['reset', '101'])
  })

  it('records a refused handshake as an ordinary response', async () => {
    const { url, opsUrl } = await start()
    const sockets = [await openWebSocket(`${url}/app`), await openWebSocket(`${url}/app`)]
    assert.equal((await refusedWebSocket(`${url}/app`)).status, 429)
    for (const socket of sockets) socket.terminate()
    const refused = { ...ROUTE, http_response_status_code: '429' }
    const families = await until(
      async () => {
        const now = await scrape(opsUrl)
        return sampleValue(now, 'gateway_stream_duration_seconds_count', WEB_SOCKET) === 2 && now
      },
      { what: 'both have ended' },
    )
    assert.equal(sampleValue(families, 'http_server_request_duration_seconds_count', refused), 1)
    const [trace] = await listTraces(opsUrl, 'reason=limited')
    assert.equal(trace?.status, 429)
  })

  it('is a count and a log line with the stock instrumentations', async () => {
    const { url, opsUrl } = await start({ TELEMETRY_HTTP_INSTRUMENTATION: 'stock' })
    const socket = await openWebSocket(`${url}/app`)
    socket.send('hello')
    assert.equal(await messageOn(socket), 'hello')
    socket.close()
    assert.equal((await lineOf(gateway!))['outcome'], 'ok')
    const families = await scrape(opsUrl)
    assert.equal(sampleValue(families, 'gateway_requests_total', { ...ROUTE, gateway_outcome: 'ok' }), 1)
  })
})
