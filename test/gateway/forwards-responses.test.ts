import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { request, type RequestListener } from 'node:http'
import { gzipSync } from 'node:zlib'
import { openRaw, rawExchange } from '../support/raw-http'
import { answerOf, responseTo, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startRawUpstream } from '../support/start-raw-upstream'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a forwarded response', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const answerWith = (handler: RequestListener): void => {
    upstream.handler = handler
  }

  it('keeps status, reason phrase, spelling of fields, and body', async () => {
    answerWith((_request, response) => {
      response.sendDate = false
      response.writeHead(418, 'Short and stout', { 'X-Mixed-Case': 'kept', ETag: '"abc"' }).end('tea')
    })
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 418)
    assert.equal(answer.statusMessage, 'Short and stout')
    assert.equal(answer.text, 'tea')
    assert.ok(answer.rawHeaders.includes('X-Mixed-Case'))
    assert.equal(answer.headers.etag, '"abc"')
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
  })

  it('keeps every Set-Cookie field, in order', async () => {
    answerWith((_request, response) => response.setHeader('Set-Cookie', ['a=1; Path=/', 'b=2', 'a=3']).end())
    const { headers } = await send(pipeline.port, '/app')
    assert.deepEqual(headers['set-cookie'], ['a=1; Path=/', 'b=2', 'a=3'])
  })

  it('keeps the bytes of its fields', async () => {
    answerWith((_request, response) => response.setHeader('X-Name', 'caf\xe9 \xff').end())
    const received = await rawExchange(pipeline.port, 'GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.ok(received.includes('\r\nX-Name: caf\xe9 \xff\r\n'))
  })

  it('that is compressed is not changed', async () => {
    const compressed = gzipSync('hello '.repeat(1_000))
    const fields = { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding', ETag: '"abc"' }
    for (const length of [{ 'Content-Length': compressed.length }, {}]) {
      answerWith((_request, response) => response.writeHead(200, { ...fields, ...length }).end(compressed))
      const { body, headers } = await send(pipeline.port, { path: '/app', headers: { 'Accept-Encoding': 'gzip, br' } })
      assert.ok(body.equals(compressed))
      assert.deepEqual([headers['content-encoding'], headers.vary, headers.etag], Object.values(fields))
      assert.equal(upstream.requests.at(-1)?.headers['accept-encoding'], 'gzip, br')
    }
  })

  it('keeps its Date, and gets one when it has none', async () => {
    answerWith((_request, response) => response.setHeader('Date', 'Mon, 23 Nov 2026 10:00:00 GMT').end())
    assert.equal((await send(pipeline.port, '/app')).headers.date, 'Mon, 23 Nov 2026 10:00:00 GMT')
    answerWith((_request, response) => {
      response.sendDate = false
      response.end()
    })
    assert.match((await send(pipeline.port, '/app')).headers.date ?? '', /GMT$/)
  })

  for (const phrase of ['', 'N\xc3\xa3o', '\xe4\xb8\xad\xe6\x96\x87']) {
    it(`is delivered although its reason phrase is ${JSON.stringify(phrase)}`, async () => {
      const bytes = Buffer.from(`HTTP/1.1 200 ${phrase}\r\nContent-Length: 2\r\n\r\nok`, 'latin1')
      const raw = await startRawUpstream(socket => socket.write(bytes))
      const proxy = await startPipeline(proxyTo(raw.url))
      const answer = await send(proxy.port, '/app')
      assert.equal(answer.status, 200)
      assert.equal(answer.text, 'ok')
      await proxy.stop()
      await raw.stop()
    })
  }

  it('keeps a 5xx status of the upstream unchanged, and counts as a fault', async () => {
    answerWith((_request, response) => response.writeHead(503, { 'Retry-After': '7' }).end('down for lunch'))
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.status, 503)
    assert.equal(answer.text, 'down for lunch')
    assert.equal(answer.headers['retry-after'], '7')
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'upstream_5xx' }])
  })

  it('to HEAD has the fields of GET and no body, and leaves the connection usable', async () => {
    answerWith((_request, response) => response.setHeader('Content-Length', '5').end('hello'))
    const client = await openRaw(pipeline.port)
    client.send('HEAD /app HTTP/1.1\r\nHost: a\r\n\r\n')
    const first = await client.waitFor('\r\n\r\n')
    assert.match(first, /\r\nContent-Length: 5\r\n/)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    const all = await client.waitFor('hello')
    assert.match(all.slice(first.length), /^HTTP\/1\.1 200 /, 'nothing between the two answers')
    client.destroy()
  })

  for (const status of [204, 304]) {
    it(`of status ${status} has no body, whatever the upstream sends, and leaves the connection usable`, async () => {
      const answer = `HTTP/1.1 ${status} Nothing\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n`
      const raw = await startRawUpstream(socket => socket.write(answer))
      const proxy = await startPipeline(proxyTo(raw.url))
      const client = await openRaw(proxy.port)
      client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
      const first = await client.waitFor('\r\n\r\n')
      assert.match(first, /\r\nETag: "a"\r\n/)
      // RFC 9110 §8.6: a 204 never has Content-Length; a 304 may have the one of the 200.
      assert.equal(/\r\nContent-Length: 5\r\n/.test(first), status === 304)
      client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
      await client.waitFor(/"a"[^]*\r\n\r\nHTTP\/1\.1 \d{3} Nothing\r\n[^]*\r\n\r\n$/)
      client.destroy()
      await proxy.stop()
      await raw.stop()
    })
  }

  it('of unknown length is chunked for HTTP/1.1, and ends with the connection for HTTP/1.0', async () => {
    answerWith((_request, response) => {
      response.write('he')
      response.end('llo')
    })
    const http11 = await openRaw(pipeline.port)
    http11.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.match(await http11.waitFor('\r\n0\r\n\r\n'), /\r\nTransfer-Encoding: chunked\r\n/)
    http11.destroy()
    const http10 = await rawExchange(pipeline.port, 'GET /app HTTP/1.0\r\n\r\n')
    assert.match(http10, /\r\nConnection: close\r\n/)
    assert.ok(!/transfer-encoding/i.test(http10))
    assert.ok(http10.endsWith('\r\n\r\nhello'))
  })

  it('keeps an HTTP/1.0 connection open where the client asks for it and the length is known', async () => {
    answerWith((_request, response) => response.setHeader('Content-Length', '2').end('ok'))
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
    assert.match(await client.waitFor('\r\n\r\nok'), /\r\nConnection: keep-alive\r\n/)
    client.send('GET /app HTTP/1.0\r\n\r\n')
    assert.match(await client.closed(), /ok[^]*\r\nConnection: close\r\n[^]*ok$/)
  })

  it('of an HTTP/1.0 upstream that ends with its connection arrives whole', async () => {
    const raw = await startRawUpstream(socket => socket.end('HTTP/1.0 200 OK\r\n\r\nhello'))
    const proxy = await startPipeline(proxyTo(raw.url))
    assert.equal((await send(proxy.port, '/app')).text, 'hello')
    await proxy.stop()
    await raw.stop()
  })

  it('keeps its trailers, with bytes and duplicates', async () => {
    answerWith((_request, response) => {
      response.writeHead(200, { Trailer: 'X-Sum' })
      response.write('hello')
      response.addTrailers([
        ['X-Sum', 'caf\xe9'],
        ['X-Sum', '2'],
      ])
      response.end()
    })
    const answer = await send(pipeline.port, '/app')
    assert.equal(answer.headers.trailer, 'X-Sum')
    assert.deepEqual(answer.rawTrailers, ['X-Sum', 'caf\xe9', 'X-Sum', '2'])
  })

  const WITHOUT_TRAILERS: Readonly<Record<string, [head: string, client: string]>> = {
    '204': ['HTTP/1.1 204 No Content\r\n', 'GET /app HTTP/1.1'],
    '304': ['HTTP/1.1 304 Not Modified\r\n', 'GET /app HTTP/1.1'],
    'a response to HEAD': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n', 'HEAD /app HTTP/1.1'],
    'a known length': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n', 'GET /app HTTP/1.1'],
    'a client of HTTP/1.0': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n', 'GET /app HTTP/1.0'],
  }
  for (const [what, [head, line]] of Object.entries(WITHOUT_TRAILERS)) {
    it(`announces no trailers if its framing cannot carry any: ${what}`, async () => {
      const hasBody = !line.startsWith('HEAD') && / 200 /.test(head)
      const body = head.includes('chunked') ? '2\r\nok\r\n0\r\nServer-Timing: a\r\n\r\n' : 'ok'
      const raw = await startRawUpstream(socket =>
        socket.write(`${head}Trailer: Server-Timing\r\nX-A: b\r\n\r\n${hasBody ? body : ''}`),
      )
      const proxy = await startPipeline(proxyTo(raw.url))
      const client = await openRaw(proxy.port)
      client.send(`${line}\r\nHost: a\r\nConnection: close\r\n\r\n`)
      const received = await client.closed()
      assert.equal(received.split('\r\n')[0], head.split('\r\n')[0])
      assert.match(received, /\r\nX-A: b\r\n/)
      assert.doesNotMatch(received, /Trailer|Server-Timing/)
      assert.deepEqual(await proxy.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
      await proxy.stop()
      await raw.stop()
    })
  }

  it('drops trailers that only the gateway may set or that belong in a header section', async () => {
    const owned =
      'Set-Cookie: a=1\r\nAccess-Control-Allow-Origin: *\r\nRateLimit: r=9\r\nRateLimit-Policy: q=9\r\nX-RateLimit-Limit: 9\r\nCache-Control: public\r\nContent-Type: text/html\r\n'
    const edited = 'X-Set: a\r\nX-Added: a\r\nX-Removed: a\r\n'
    const raw = await startRawUpstream(socket =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${owned}${edited}X-Sum: 1\r\n\r\n`),
    )
    const responseHeaders = { set: { 'X-Set': 'b' }, add: { 'X-Added': 'b' }, remove: ['X-Removed'] }
    const proxy = await startPipeline(proxyTo(raw.url, { route: { responseHeaders } }))
    assert.deepEqual((await send(proxy.port, '/app')).rawTrailers, ['X-Sum', '1'])
    await proxy.stop()
    await raw.stop()
  })

  it('ignores trailers that would change the framing of the message', async () => {
    const body = '5\r\nhello\r\n0\r\nConnection: close\r\nX-Sum: 1\r\nTrailer: a\r\n\r\n'
    const raw = await startRawUpstream(socket =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`),
    )
    const proxy = await startPipeline(proxyTo(raw.url))
    assert.deepEqual((await send(proxy.port, '/app')).rawTrailers, ['X-Sum', '1'])
    await proxy.stop()
    await raw.stop()
  })

  it('loses the fields of the upstream’s connection', async () => {
    const fields = [
      'Connection: X-Own, keep-alive',
      'X-Own: 1',
      'Keep-Alive: timeout=3',
      'Proxy-Connection: keep-alive',
    ]
    const answer = `HTTP/1.1 426 Upgrade\r\n${fields.join('\r\n')}\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n`
    const raw = await startRawUpstream(socket => socket.write(answer))
    const proxy = await startPipeline(proxyTo(raw.url))
    const { headers } = await send(proxy.port, { path: '/app', headers: { Connection: 'keep-alive' } })
    for (const name of ['x-own', 'proxy-connection', 'upgrade']) assert.equal(headers[name], undefined, name)
    assert.notEqual(headers['keep-alive'], 'timeout=3')
    await proxy.stop()
    await raw.stop()
  })

  describe('with interim (1xx) responses', () => {
    const EARLY = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nLink: </b.js>; rel=preload\r\n\r\n'
    const FINAL = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

    async function through(upstreamSays: string, clientSays: string): Promise<string> {
      const raw = await startRawUpstream(socket => socket.write(upstreamSays))
      const proxy = await startPipeline(proxyTo(raw.url))
      const client = await openRaw(proxy.port)
      client.send(clientSays)
      const received = await client.waitFor('\r\n\r\nok')
      client.destroy()
      await proxy.stop()
      await raw.stop()
      return received
    }
    const GET = 'GET /app HTTP/1.1\r\nHost: a\r\n\r\n'

    it('sends early hints to the client at once', async () => {
      const raw = await startRawUpstream(socket => socket.write(EARLY))
      const proxy = await startPipeline(proxyTo(raw.url))
      const client = await openRaw(proxy.port)
      client.send(GET)
      const received = await client.waitFor('\r\n\r\n')
      assert.match(
        received,
        /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a\.css>; rel=preload\r\nLink: <\/b\.js>; rel=preload\r\n\r\n$/,
      )
      client.destroy()
      await proxy.stop()
      await raw.stop()
    })

    it('sends 102 Processing to the client', async () => {
      assert.match(
        await through(`HTTP/1.1 102 Processing\r\n\r\n${FINAL}`, GET),
        /^HTTP\/1\.1 102 Processing\r\n\r\nHTTP\/1\.1 200 /,
      )
    })

    it('sends an unknown 1xx to the client, without connection fields', async () => {
      const upload =
        'HTTP/1.1 104 Upload Resumption Supported\r\nUpload-Offset: 7\r\nConnection: x-own\r\nX-Own: a\r\nContent-Length: 3\r\n\r\n'
      assert.match(
        await through(`${upload}HTTP/1.1 199 \r\n\r\n${FINAL}`, GET),
        /^HTTP\/1\.1 104 Upload Resumption Supported\r\nUpload-Offset: 7\r\n\r\nHTTP\/1\.1 199 \r\n\r\nHTTP\/1\.1 200 /,
      )
    })

    it('sends ten of them to the client and drops the rest', async () => {
      const received = await through(EARLY.repeat(50) + FINAL, GET)
      assert.equal(received.match(/HTTP\/1\.1 103 /g)?.length, 10)
    })

    it('stops sending them to a client that does not read', async () => {
      const hint = `HTTP/1.1 103 Early Hints\r\nLink: </${'a'.repeat(12_000)}>\r\n\r\n`
      let said = 0
      const raw = await startRawUpstream(socket => {
        const say = (): void => {
          said += hint.length
          if (said < 10_000_000) socket.write(hint, say)
          else socket.write(FINAL)
        }
        say()
      })
      const proxy = await startPipeline(proxyTo(raw.url))
      const accepted = once(proxy.server, 'connection') as Promise<[Socket]>
      const client = await openRaw(proxy.port)
      client.socket.pause()
      const [connection] = await accepted
      client.send(GET)
      await proxy.ended(1)
      assert.ok(connection.bytesWritten < 200_000, `${connection.bytesWritten} bytes`)
      client.destroy()
      await proxy.stop()
      await raw.stop()
    })

    it('sends none of them to an HTTP/1.0 client', async () => {
      const received = await through(EARLY + FINAL, 'GET /app HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
      assert.match(received, /^HTTP\/1\.1 200 /)
    })
  })

  it('that is sent early is not damaged by the client’s unfinished upload', async () => {
    answerWith((_request, response) => response.writeHead(200).end('early'))
    const upload = request({ port: pipeline.port, path: '/app', method: 'POST', agent: false })
    upload.on('error', () => undefined) // the gateway may close the upload
    upload.write('never finished')
    const answer = await answerOf(await responseTo(upload))
    assert.equal(answer.text, 'early')
    upload.destroy()
  })
})
