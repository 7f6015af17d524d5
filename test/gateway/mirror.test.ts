import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { IncomingHttpHeaders } from 'node:http'
import { freePort } from '../support/free-port'
import { parseExposition, sampleValue } from '../support/exposition'
import { open, send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { configOf, startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

interface Received {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

describe('a mirror', () => {
  let app: RunningUpstream
  let shadow: RunningUpstream
  const mirrored: Received[] = []
  let pipeline: Pipeline

  beforeEach(async () => {
    mirrored.length = 0
    app = await startUpstream((request, response) => void request.resume().on('end', () => response.end('answer')))
    shadow = await startUpstream((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url, headers } = request
        mirrored.push({ method, url, headers, body: Buffer.concat(chunks).toString() })
        response.end('thrown away')
      })
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await app.stop()
    await shadow.stop()
  })

  function file(mirror: object = {}, route: object = {}, target = shadow.url, upstream: object = {}): GatewayFile {
    return {
      upstreams: { app: { targets: [app.url] }, next: { targets: [target], ...upstream } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app', mirror: { upstream: 'next', ...mirror }, ...route },
      ],
    }
  }

  const arrived = (count: number): Promise<unknown> =>
    until(() => mirrored.length >= count, { what: `${count} mirrored requests` })

  it('sends a marked copy of each request with its body, rewritten as for the upstream', async () => {
    pipeline = await startPipeline(file({}, { rewrite: { stripPrefix: '/app' } }))
    const headers = { 'x-tenant': 'acme', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`, 'x-mirrored': 'no' }
    const answer = await send(pipeline.port, { path: '/app/a?b=c', method: 'POST', body: 'hello', headers })
    assert.deepEqual([answer.status, answer.text], [200, 'answer'])
    await arrived(1)
    const [copy] = mirrored
    assert.deepEqual([copy?.method, copy?.url, copy?.body], ['POST', '/a?b=c', 'hello'])
    assert.deepEqual([copy?.headers['x-mirrored'], copy?.headers['x-tenant']], ['true', 'acme'])
    assert.equal(copy?.headers['traceparent'], undefined)
    assert.equal(copy?.headers.host, new URL(shadow.url).host)
    assert.equal(copy?.headers['x-request-id'], answer.headers['x-request-id'])
    assert.equal(app.requests[0]?.headers['x-mirrored'], undefined)
  })

  it('copies chunked bodies', async () => {
    pipeline = await startPipeline(file())
    const sent = open(pipeline.port, { path: '/app', method: 'PUT' })
    const parts = Array.from({ length: 50 }, (_, i) => `part ${i} ${'x'.repeat(500)}\n`)
    for (const part of parts) sent.write(part)
    sent.end()
    await arrived(1)
    assert.equal(mirrored[0]?.body, parts.join(''))
  })

  it('takes its share of the requests', async () => {
    pipeline = await startPipeline(file({ share: 25 }))
    for (let i = 0; i < 200; i++) await send(pipeline.port, '/app')
    await pipeline.ended(200)
    // Seven standard deviations: 43.
    await until(() => mirrored.length > 7, { what: 'the mirrored requests' })
    assert.ok(mirrored.length < 93, String(mirrored.length))
  })

  it('does not delay or fail a request when its upstream is dead, silent or broken', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`
    pipeline = await startPipeline(file({}, {}, dead))
    assert.equal((await send(pipeline.port, { path: '/app', method: 'POST', body: 'a' })).status, 200)
    await pipeline.stop()
    pipeline = await startPipeline(file())
    shadow.handler = () => undefined
    for (let i = 0; i < 5; i++) assert.equal((await send(pipeline.port, '/app')).text, 'answer')
    shadow.handler = request => request.socket.destroy()
    for (let i = 0; i < 5; i++) assert.equal((await send(pipeline.port, '/app')).text, 'answer')
    assert.deepEqual(new Set((await pipeline.ended(10)).map(({ outcome }) => outcome)), new Set(['ok']))
  })

  it('drops copies above maxRequests while earlier ones wait for their response', async () => {
    shadow.handler = () => undefined
    pipeline = await startPipeline(file({ maxRequests: 2 }))
    for (let i = 0; i < 6; i++) assert.equal((await send(pipeline.port, '/app')).status, 200)
    await until(() => shadow.requests.length === 2, { what: 'two mirrored requests' })
    // A third copy would arrive before this answer.
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal(shadow.requests.length, 2)
  })

  it('does not mirror bodies above maxBodySize, nor requests that break off', async () => {
    pipeline = await startPipeline(file({ maxBodySize: '1KiB', maxRequests: 1 }))
    const large = 'x'.repeat(2_000)
    assert.equal((await send(pipeline.port, { path: '/app', method: 'POST', body: large })).status, 200)
    const chunked = open(pipeline.port, { path: '/app', method: 'POST' })
    chunked.write(large)
    chunked.end()
    const broken = connect(pipeline.port, '127.0.0.1')
    broken.write('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
    await until(() => app.requests.length === 3, { what: 'three requests' })
    broken.destroy()
    await pipeline.ended(3)
    // Each has freed its place.
    await send(pipeline.port, { path: '/app', method: 'POST', body: 'small' })
    await arrived(1)
    assert.deepEqual(
      mirrored.map(({ body }) => body),
      ['small'],
    )
  })

  it('has connections of its own, so that it takes none from clients of its upstream', async () => {
    const route = { name: 'next', match: { path: '/next' }, upstream: 'next' }
    const { upstreams, routes } = file({}, {}, shadow.url, { maxConnections: 1 })
    let answerClients = (): void => undefined
    shadow.handler = (request, response) => {
      if (request.headers['x-mirrored'] === undefined) response.end('client')
      else answerClients = () => response.end()
    }
    pipeline = await startPipeline({ upstreams, routes: [...routes, route] })
    await send(pipeline.port, '/app')
    await until(() => shadow.requests.length === 1, { what: 'the mirrored request' })
    assert.equal((await send(pipeline.port, '/next')).text, 'client')
    answerClients()
  })

  it('is refused for the upstream of its own route', async () => {
    pipeline = await startPipeline(file())
    assert.throws(() => configOf(file({ upstream: 'app' })), /"app" is the upstream of the route itself/)
    assert.throws(() => configOf(file({ upstream: 'nxt' })), /"nxt" is not an upstream of this file/)
    assert.throws(() => configOf(file({ share: 0 })), /share/)
  })
})

describe('the telemetry of a mirror', () => {
  let gateway: RunningGateway
  let app: RunningUpstream
  let shadow: RunningUpstream

  before(async () => {
    app = await startUpstream((_request, response) => response.end('answer'))
    shadow = await startUpstream((_request, response) => response.writeHead(500).end())
    const mirror = { upstream: 'next', maxBodySize: '1KiB' }
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { app: { targets: [app.url] }, next: { targets: [shadow.url] } },
        routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app', mirror }],
      }),
    })
  })
  after(async () => {
    await gateway.stop()
    await app.stop()
    await shadow.stop()
  })

  it('is apart from that of clients: its failures are no faults, and what is dropped is counted by reason', async () => {
    await send(gateway.port, '/app')
    await send(gateway.port, { path: '/app', method: 'POST', body: 'x'.repeat(2_000) })
    const labels = { http_route: '/app', gateway_upstream_name: 'next' }
    const families = await until(
      async () => {
        const found = parseExposition(await (await fetch(`${gateway.opsUrl}/metrics`)).text(), 'text')
        const count = { ...labels, http_response_status_code: '500' }
        return sampleValue(found, 'gateway_mirror_request_duration_seconds_count', count) === 1 && found
      },
      { what: 'the mirrored request on /metrics' },
    )
    const dropped = (reason: string): number | undefined =>
      sampleValue(families, 'gateway_mirror_dropped_total', { ...labels, gateway_mirror_drop_reason: reason })
    assert.deepEqual([dropped('body_too_large'), dropped('busy')], [1, 0])
    const outcome = (name: string): number | undefined =>
      sampleValue(families, 'gateway_requests_total', { http_route: '/app', gateway_outcome: name })
    assert.equal(outcome('ok'), 2)
    const calls = families.get('http_client_request_duration_seconds')
    assert.ok(calls?.samples.every(sample => sample.labels['gateway_upstream_name'] === 'app'))
  })
})
