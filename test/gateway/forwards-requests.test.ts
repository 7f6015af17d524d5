import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { openRaw } from '../support/raw-http'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { bodyOf, startUpstream, type RunningUpstream, type SeenRequest } from '../support/start-upstream'
import { until } from '../support/until'

describe('a forwarded request', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let body: Buffer = Buffer.alloc(0)

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'all', match: { path: '/:any' }, upstream: 'app' },
        { name: 'stripped', match: { path: '/api/v1' }, upstream: 'app', rewrite: { stripPrefix: '/api' } },
      ],
    })
  })
  beforeEach(() => {
    body = Buffer.alloc(0)
    upstream.requests.length = 0
    upstream.handler = (request, response) => void read(request).then(() => response.end('ok'))
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function read(request: IncomingMessage): Promise<void> {
    body = await bodyOf(request)
  }
  const seen = (): SeenRequest => upstream.requests.at(-1)!

  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'QUERY']) {
    it(`keeps its method ${method}`, async () => {
      assert.equal((await send(pipeline.port, { method, path: '/app' })).status, 200)
      assert.equal(seen().method, method)
    })
  }

  const PATHS: Readonly<Record<string, string>> = {
    '/app': '/app',
    '/app/': '/app/',
    '/app/a;b=c,d@e:f!$&()*+=~_-.': '/app/a;b=c,d@e:f!$&()*+=~_-.',
    '/app/.hidden/..twice/...': '/app/.hidden/..twice/...',
    '//app///a//': '/app/a/',
    '/%61pp/%7e%5F%2d': '/app/~_-',
    '/app/%c3%a9%3a%3b%20': '/app/%C3%A9%3A%3B%20',
    '/app/%252e%252e': '/app/%252e%252e',
    '/app/{a}|"^`<>': '/app/%7Ba%7D%7C%22%5E%60%3C%3E',
    '/app?a=%2e%2e/%2F&&b=c%zz//..?d': '/app?a=%2e%2e/%2F&&b=c%zz//..?d',
    '/app?': '/app?',
    '/app?{"a":[1]}': '/app?{"a":[1]}',
    [`/app?${'q'.repeat(8_000)}`]: `/app?${'q'.repeat(8_000)}`,
    '/api/v1': '/v1',
    '/api/v1/orders?x=/api': '/v1/orders?x=/api',
    '/api//v1//': '/v1/',
    '/api%2Dv1': '/api-v1',
  }
  for (const [path, forwarded] of Object.entries(PATHS)) {
    it(`from ${path.slice(0, 40)} has the path ${forwarded.slice(0, 40)}`, async () => {
      const client = await openRaw(pipeline.port)
      client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      assert.match(await client.waitFor('\r\n\r\n'), /^HTTP\/1\.1 200 /)
      client.destroy()
      assert.equal(seen().url, forwarded)
    })
  }

  it('in absolute form is sent in origin form', async () => {
    const client = await openRaw(pipeline.port)
    client.send('GET http://Shop.Example:81?x=1 HTTP/1.1\r\nHost: shop.example:81\r\n\r\n')
    await client.waitFor('"myesi-gateway"')
    client.send('GET HTTP://shop.example/app?x=1 HTTP/1.1\r\nHost: SHOP.example\r\n\r\n')
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    assert.equal(seen().url, '/app?x=1')
  })

  it('keeps its fields: bytes of values, duplicates and order', async () => {
    const client = await openRaw(pipeline.port)
    client.send(
      'GET /app HTTP/1.1\r\nHost: a\r\nX-Two: 1\r\nCookie: a=b\r\nX-Two: 2\r\nX-Name: caf\xe9\xff\r\nX-Empty:\r\n\r\n',
    )
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    const { rawHeaders } = seen()
    const start = rawHeaders.indexOf('x-two')
    const fields = ['x-two', '1', 'cookie', 'a=b', 'x-two', '2', 'x-name', 'caf\xe9\xff', 'x-empty', '']
    assert.deepEqual(rawHeaders.slice(start, start + fields.length), fields)
  })

  it('has the target as its Host, so that virtual hosts of the upstream work', async () => {
    await send(pipeline.port, { path: '/app', headers: { Host: 'shop.example' } })
    assert.equal(seen().headers.host, `127.0.0.1:${upstream.port}`)
  })

  it('with a known length keeps that length', async () => {
    await send(pipeline.port, { method: 'POST', path: '/app', body: 'hello', headers: { 'Content-Length': '5' } })
    assert.equal(seen().headers['content-length'], '5')
    assert.equal(seen().headers['transfer-encoding'], undefined)
    assert.equal(body.toString(), 'hello')
  })

  it('in chunks is sent in chunks while its length is unknown', async () => {
    const client = await openRaw(pipeline.port)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n')
    await until(() => upstream.requests.length === 1, { what: 'the upstream has the request' })
    client.send('3;ext=1\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n')
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    assert.equal(seen().headers['transfer-encoding'], 'chunked')
    assert.equal(seen().headers['content-length'], undefined)
    assert.equal(body.toString(), 'hello')
  })

  it('loses its trailers and its Trailer field, because undici cannot send trailers', async () => {
    let trailers: readonly string[] = []
    upstream.handler = (request, response) => {
      void read(request).then(() => {
        trailers = request.rawTrailers
        response.end('ok')
      })
    }
    const client = await openRaw(pipeline.port)
    client.send(
      'POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n',
    )
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    assert.equal(String(body), 'hello')
    assert.deepEqual(trailers, [])
    assert.equal(seen().headers.trailer, undefined)
  })

  it('with an empty body says so in its header section', async () => {
    await send(pipeline.port, { method: 'POST', path: '/app', headers: { 'Content-Length': '0' } })
    assert.equal(seen().headers['content-length'], '0')
    await send(pipeline.port, { method: 'POST', path: '/app', body: '', headers: { 'Transfer-Encoding': 'chunked' } })
    assert.equal(body.length, 0)
    await send(pipeline.port, '/app')
    assert.equal(seen().headers['content-length'], undefined)
    assert.equal(seen().headers['transfer-encoding'], undefined)
  })

  for (const method of ['GET', 'DELETE', 'OPTIONS', 'QUERY']) {
    it(`keeps its body even if it is a ${method}`, async () => {
      await send(pipeline.port, { method, path: '/app', body: 'hello', headers: { 'Content-Length': '5' } })
      assert.equal(body.toString(), 'hello')
    })
  }

  it('keeps the bytes of its body', async () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, i) => (i * 31) % 256))
    await send(pipeline.port, { method: 'PUT', path: '/app', body: bytes })
    assert.deepEqual(body, bytes)
  })

  it('that asks for an upgrade is answered over HTTP/1.1 and is the last one on its connection', async () => {
    const client = await openRaw(pipeline.port)
    const fields = 'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n'
    client.send(`POST /app HTTP/1.1\r\n${fields}Content-Length: 5\r\n\r\nhello`)
    // Node's parser drops the bytes that follow such a request: the next response could be taken for a lost one's.
    assert.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*Connection: close\r\n\r\nok$/)
    assert.equal(body.toString(), 'hello')
    for (const name of ['upgrade', 'http2-settings']) assert.equal(seen().headers[name], undefined, name)
  })

  it('waits while all connections are in use, and is then served', async () => {
    const slow = await startRawUpstream((socket, count) => {
      setImmediate(() => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count}`))
    })
    const narrow = await startPipeline(proxyTo(slow.url, { upstream: { maxConnections: 1 } }))
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(narrow.port, '/app')))
    assert.deepEqual(answers.map(answer => answer.text).sort(), ['1', '2', '3', '4', '5'])
    assert.equal(slow.accepted, 1)
    await narrow.stop()
    await slow.stop()
  })
})
