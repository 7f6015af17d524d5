import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createAuthority } from '../../support/certificates'
import { answerOn, openHttp2, sendHttp2 } from '../../support/http2-client'
import { send } from '../../support/send'
import { startHttp2Upstream, type Http2Upstream } from '../../support/start-http2-upstream'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const H2C = { protocol: 'h2c' }
const { NGHTTP2_REFUSED_STREAM, NGHTTP2_INTERNAL_ERROR } = constants

describe('an upstream over HTTP/2', () => {
  let upstream: Http2Upstream
  let pipeline: Pipeline | undefined

  beforeEach(async () => {
    upstream = await startHttp2Upstream()
  })
  afterEach(async () => {
    await pipeline?.stop()
    pipeline = undefined
    await upstream.stop()
  })

  const start = async (changed: object = {}, route: object = {}): Promise<Pipeline> =>
    (pipeline = await startPipeline(
      proxyTo(upstream.url, {
        entrypoint: { http2: { cleartext: true } },
        upstream: { ...H2C, ...changed },
        route,
      }),
    ))

  it('gets requests of HTTP/1.1 clients with their header sections and bodies', async () => {
    upstream.handler = (stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        stream.respond({ ':status': 201, 'x-method': headers[':method'], 'set-cookie': ['a=1', 'b=2'] })
        stream.end(Buffer.concat(chunks))
      })
    }
    const { port } = await start()
    const answer = await send(port, { path: '/app?q=1', method: 'POST', headers: { 'x-a': 'b' }, body: 'hello' })
    assert.equal(answer.status, 201)
    assert.equal(answer.text, 'hello')
    assert.equal(answer.headers['x-method'], 'POST')
    assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
    const [seen] = upstream.requests
    assert.equal(seen![':path'], '/app?q=1')
    assert.equal(seen![':authority'], `127.0.0.1:${upstream.port}`)
    assert.equal(seen!['x-a'], 'b')
    assert.equal(seen!['via'], '1.1 myesi-gateway')
    assert.equal(seen!['connection'], undefined)
    assert.equal(seen!['host'], undefined)
  })

  it('sends trailers and 1xx responses to HTTP/2 clients', async () => {
    upstream.handler = stream => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>; rel=preload' })
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }))
      stream.end('body')
    }
    const { url } = await start()
    const session = await openHttp2(url)
    const stream = session.request({ ':path': '/app' })
    const early: number[] = []
    stream.on('headers', headers => early.push(Number(headers[':status'])))
    const answer = await answerOn(stream)
    assert.deepEqual([answer.text, answer.trailers['x-sum'], early], ['body', 'abc', [103]])
    session.destroy()
  })

  it('shares connections between requests and opens another one only when all are full', async () => {
    const waiting: ServerHttp2Stream[] = []
    upstream.handler = stream => waiting.push(stream)
    const running = await start({ http2: { maxConnections: 2, maxStreams: 3 } })
    const { port } = running
    const answers = Array.from({ length: 8 }, async () => send(port, '/app'))
    await until(() => waiting.length === 6, { what: 'six streams on two connections' })
    assert.equal(upstream.opened, 2)
    await until(() => running.upstreams()[0]!.targets[0]!.connections.waitingCalls === 2, { what: 'two calls wait' })
    upstream.handler = stream => {
      stream.respond({ ':status': 200 })
      stream.end('late')
    }
    for (const stream of waiting) upstream.handler(stream, {})
    assert.deepEqual(
      (await Promise.all(answers)).map(({ status }) => status),
      Array.from({ length: 8 }, () => 200),
    )
    assert.equal(upstream.opened, 2)
    assert.equal(running.upstreams()[0]!.targets[0]!.protocol, 'h2c')
  })

  it('gets no more streams than its settings allow', async () => {
    await upstream.stop()
    let most = 0
    let open = 0
    upstream = await startHttp2Upstream(
      stream => {
        most = Math.max(most, ++open)
        setImmediate(() => {
          open--
          stream.respond({ ':status': 200 })
          stream.end()
        })
      },
      { settings: { maxConcurrentStreams: 2 } },
    )
    const { port } = await start({ http2: { maxConnections: 1 } })
    const answers = await Promise.all(Array.from({ length: 20 }, async () => send(port, '/app')))
    assert.ok(answers.every(({ status }) => status === 200))
    assert.ok(most <= 2, `${most} at once`)
  })

  it('gets a refused request again, whatever its method, and with its body', async () => {
    let calls = 0
    const answer = upstream.handler
    upstream.handler = (stream, headers) => {
      if (calls++ === 0) return stream.close(NGHTTP2_REFUSED_STREAM)
      stream.resume()
      stream.on('end', () => answer(stream, headers))
    }
    const running = await start()
    const { port } = running
    const { status } = await send(port, { path: '/app', method: 'POST', body: 'x'.repeat(10_000) })
    assert.equal(status, 200)
    assert.equal(upstream.requests.length, 2)
    assert.equal((await running.ended(1))[0]!.outcome, 'ok')
  })

  it('does not get a request again that it may have processed', async () => {
    upstream.handler = stream => stream.close(NGHTTP2_INTERNAL_ERROR)
    const running = await start({ retries: { attempts: 3 } })
    const { port } = running
    assert.equal((await send(port, { path: '/app', method: 'POST', body: 'x' })).status, 502)
    assert.equal(upstream.requests.length, 1)
    assert.deepEqual(
      (await running.ended(1)).map(({ reason }) => reason),
      ['reset'],
    )
  })

  it('answers 502 when it refuses all attempts', async () => {
    upstream.handler = stream => stream.close(NGHTTP2_REFUSED_STREAM)
    const { port } = await start()
    assert.equal((await send(port, '/app')).status, 502)
    assert.equal(upstream.requests.length, 4)
  })

  it('drains by GOAWAY: streams in flight finish, later ones use another connection', async () => {
    const waiting: ServerHttp2Stream[] = []
    upstream.handler = stream => waiting.push(stream)
    const { port } = await start()
    const first = send(port, '/app')
    await until(() => waiting.length === 1, { what: 'the first is in flight' })
    for (const session of upstream.sessions) session.close()
    const second = until(async () => upstream.opened === 2, { what: 'another connection' })
    const later = send(port, '/app')
    await second
    await until(() => waiting.length === 2, { what: 'the second is in flight' })
    for (const stream of waiting) {
      stream.respond({ ':status': 200 })
      stream.end('done')
    }
    assert.deepEqual([(await first).text, (await later).text], ['done', 'done'])
  })

  it('loses no request while it restarts its connections under load', async () => {
    const running = await start({ http2: { maxStreams: 20 } })
    const { port } = running
    let sent = 0
    const worker = async (): Promise<void> => {
      while (sent < 300) {
        if (sent++ % 40 === 20) for (const session of upstream.sessions) session.close()
        assert.equal((await send(port, '/app')).status, 200)
      }
    }
    await Promise.all(Array.from({ length: 10 }, worker))
    assert.ok(upstream.opened > 3, `${upstream.opened} connections`)
    assert.ok((await running.ended(300)).every(({ outcome }) => outcome === 'ok'))
  })

  it('is not waited for longer than its timeout, and its other streams go on', async () => {
    const { port } = await start({ timeouts: { response: '200ms' } })
    upstream.handler = (stream, headers) => {
      if (headers[':path'] === '/app?slow') return
      stream.respond({ ':status': 200 })
      stream.end()
    }
    assert.equal((await send(port, '/app?slow')).status, 504)
    assert.equal((await send(port, '/app')).status, 200)
    assert.equal(upstream.opened, 1)
  })

  it('applies backpressure in both directions', async () => {
    const size = 4_000_000
    upstream.handler = stream => {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    }
    const { url } = await start()
    const session = await openHttp2(url)
    const answer = await sendHttp2(session, { ':path': '/app', ':method': 'POST' }, Buffer.alloc(size, 97))
    assert.equal(answer.text.length, size)
    session.destroy()
  })

  it('learns that the client has left', async () => {
    let reset: Promise<unknown> | undefined
    upstream.handler = stream => void (reset = once(stream, 'close'))
    const running = await start()
    const { url } = running
    const session = await openHttp2(url)
    const stream = session.request({ ':path': '/app' })
    stream.on('error', () => {})
    await until(() => reset !== undefined, { what: 'the call' })
    stream.close(constants.NGHTTP2_CANCEL)
    await reset
    assert.equal((await running.ended(1))[0]!.outcome, 'client_closed')
    session.destroy()
  })

  it('is ejected and checked like one over HTTP/1.1', async () => {
    const other = await startHttp2Upstream()
    await start({
      targets: [upstream.url, other.url],
      healthCheck: { path: '/healthz', interval: '20ms', unhealthyAfter: 1, healthyAfter: 1 },
    })
    const running = pipeline!
    const { port } = running
    const states = (): boolean[] => running.upstreams()[0]!.targets.map(({ healthy }) => healthy)
    await until(() => other.requests.length > 1, { what: 'checks' })
    assert.deepEqual(states(), [true, true])
    upstream.handler = stream => {
      stream.respond({ ':status': 503 })
      stream.end()
    }
    await until(() => states()[0] === false, { what: 'the check fails' })
    for (let i = 0; i < 4; i++) assert.equal((await send(port, '/app')).status, 200)
    await other.stop()
    // Of two targets that are out, all are asked.
    await until(() => states()[1] === false, { what: 'the other check fails' })
    assert.match(String(running.upstreams()[0]!.targets[1]!.healthCheck!.lastFailure), /ECONN|closed/)
  })

  it('gets copies of requests as a mirror', async () => {
    const copies = await startHttp2Upstream((stream, headers) => {
      let body = ''
      stream.on('data', (chunk: Buffer) => (body += chunk.toString()))
      stream.on('end', () => {
        headers['x-body'] = body
        stream.respond({ ':status': 200 }, { endStream: true })
      })
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url], ...H2C }, copies: { targets: [copies.url], ...H2C } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app', mirror: { upstream: 'copies' } }],
    })
    const { status } = await send(pipeline.port, { path: '/app', method: 'POST', body: 'hello' })
    assert.equal(status, 200)
    await until(() => copies.requests[0]?.['x-body'] === 'hello', { what: 'the copy' })
    await pipeline.stop()
    await copies.stop()
  })

  it('refuses WebSockets with 501', async () => {
    const { port } = await start()
    const headers = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    assert.equal((await send(port, { path: '/app', headers })).status, 501)
  })

  it('that speaks HTTP/1.1 instead is a bad answer and gets no request', async () => {
    const http1 = await startUpstream()
    await start({ targets: [http1.url], timeouts: { connect: '300ms' } })
    const { status } = await send(pipeline!.port, '/app')
    assert.equal(status, 502)
    assert.equal((await pipeline!.ended(1))[0]!.reason, 'bad_response')
    assert.equal(http1.requests.length, 0)
    await http1.stop()
  })
})

describe('an upstream whose protocol is negotiated', () => {
  const authority = createAuthority('upstreams')
  const tls = { ca: authority.certFile }
  let pipeline: Pipeline | undefined
  afterEach(async () => {
    await pipeline?.stop()
  })

  it('is asked over HTTP/2 where it chooses that', async () => {
    const upstream = await startHttp2Upstream(undefined, { tls: authority.issue('localhost') })
    for (const protocol of ['auto', 'h2']) {
      pipeline = await startPipeline(proxyTo(upstream.url, { upstream: { protocol, tls } }))
      const answers = await Promise.all([1, 2, 3].map(async () => send(pipeline!.port, '/app')))
      assert.deepEqual(
        answers.map(({ text }) => text),
        ['ok /app', 'ok /app', 'ok /app'],
      )
      assert.equal(pipeline.upstreams()[0]!.targets[0]!.protocol, 'h2')
      await pipeline.stop()
    }
    assert.equal(upstream.opened, 2)
    await upstream.stop()
  })

  it('is asked over HTTP/1.1 where it knows no other, unless HTTP/2 is required', async () => {
    const { cert, key } = authority.issue('localhost')
    const server = createTlsServer({ cert, key }, (request, response) => response.end(request.httpVersion))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `https://localhost:${(server.address() as AddressInfo).port}`
    pipeline = await startPipeline(proxyTo(url, { upstream: { protocol: 'auto', tls } }))
    for (let i = 0; i < 3; i++) assert.equal((await send(pipeline.port, '/app')).text, '1.1')
    assert.equal(pipeline.upstreams()[0]!.targets[0]!.protocol, undefined)
    await pipeline.stop()
    pipeline = await startPipeline(proxyTo(url, { upstream: { protocol: 'h2', tls } }))
    assert.equal((await send(pipeline.port, '/app')).status, 502)
    assert.equal((await pipeline.ended(1))[0]!.reason, 'tls')
    server.close()
    server.closeAllConnections()
  })
})
