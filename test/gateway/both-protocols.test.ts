import assert from 'node:assert/strict'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { exchange, PROTOCOLS, type Call, type ProtocolClient, type Reply } from '../support/protocol-clients'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const KEY = newApiKey()

for (const [protocol, connect] of Object.entries(PROTOCOLS)) {
  describe(`requests and responses over ${protocol}`, () => {
    let upstream: RunningUpstream
    let pipeline: Pipeline
    let client: ProtocolClient

    before(async () => {
      upstream = await startUpstream()
    })
    beforeEach(async () => {
      upstream.handler = (_request, response) => response.end('ok')
      upstream.requests.length = 0
      pipeline = await startPipeline({
        entrypoint: {
          http2: { cleartext: true },
          maxUrlLength: '1KiB',
          maxHeaderFields: 20,
          stallTimeout: '300ms',
          minUploadRate: '1KiB',
        },
        consumers: { acme: { apiKeys: [hashApiKey(KEY)] } },
        upstreams: { app: { targets: [upstream.url] }, none: { targets: ['http://127.0.0.1:1'] } },
        routes: [
          { name: 'app', match: { path: '/app' }, upstream: 'app' },
          { name: 'small', match: { path: '/small' }, upstream: 'app', maxBodySize: '10B' },
          { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1m' } },
          { name: 'near', match: { path: '/guarded' }, upstream: 'app', access: { allow: ['192.0.2.1'] } },
          { name: 'keyed', match: { path: '/keyed' }, upstream: 'app', auth: { apiKey: {} } },
          { name: 'get', match: { path: '/get', methods: ['GET'] }, upstream: 'app' },
          { name: 'none', match: { path: '/none' }, upstream: 'none' },
          { name: 'slow', match: { path: '/slow' }, upstream: 'app', timeouts: { response: '100ms' } },
          { name: 'closed', match: { path: '/closed' }, upstream: 'app', maintenance: true },
          { name: 'moved', match: { path: '/moved' }, redirect: { to: '/app', status: 308 } },
        ],
      })
      client = await connect(pipeline.port)
    })
    afterEach(async () => {
      client.close()
      await pipeline.stop()
    })
    after(async () => {
      await upstream.stop()
    })

    const send = (call: Call | string, body?: string | Buffer): Promise<Reply> =>
      exchange(client, typeof call === 'string' ? { path: call } : call, body)
    const post = (path: string, headers: Record<string, string> = {}): Call => ({ method: 'POST', path, headers })

    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, 'a']))
    const REFUSALS: readonly [what: string, call: Call, status: number, reason: string][] = [
      ['no route', { path: '/nowhere' }, 404, 'no_route'],
      ['a method that the route has not', post('/get'), 405, 'method_not_allowed'],
      ['a method that nobody knows', { method: 'PROPPATCHX', path: '/app' }, 501, 'not_implemented'],
      ['an address that is not allowed', { path: '/guarded' }, 403, 'forbidden'],
      ['no credential', { path: '/keyed' }, 401, 'unauthenticated'],
      ['an unknown key', { path: '/keyed', headers: { 'x-api-key': newApiKey() } }, 401, 'unauthenticated'],
      ['a path that servers read differently', { path: '/app/%2e%2e/guarded' }, 400, 'bad_request'],
      ['a URL that is too long', { path: `/app?${'a'.repeat(1_100)}` }, 414, 'uri_too_long'],
      ['too many fields', { path: '/app', headers: many }, 431, 'header_too_large'],
      ['an unknown expectation', post('/app', { expect: 'more' }), 417, 'expectation_failed'],
      ['a body that is announced as too large', post('/small', { 'content-length': '11' }), 413, 'body_too_large'],
      ['maintenance', { path: '/closed' }, 503, 'maintenance'],
      ['an upstream that is not there', { path: '/none' }, 502, 'connect_refused'],
    ]
    for (const [what, call, status, reason] of REFUSALS) {
      it(`are refused for ${what}: ${reason}`, async () => {
        const length = Number(call.headers?.['content-length'] ?? 0)
        const { body, reply } = client.open(call)
        // A body that is not wanted is not sent.
        if (length === 0) body.end()
        const answer = await reply
        assert.deepEqual([answer.status, (JSON.parse(answer.text) as { reason: string }).reason], [status, reason])
        assert.equal(answer.headers['content-type'], 'application/problem+json')
        assert.equal(upstream.requests.length, 0)
        assert.deepEqual(
          (await pipeline.ended(1)).map(ended => ended.reason),
          [reason],
        )
      })
    }

    it('carry bodies of known and of unknown length', async () => {
      upstream.handler = (request, response) => void bodyOf(request).then(body => response.end(String(body.length)))
      const body = Buffer.alloc(1_000_000, 'x')
      const known = await send(post('/app', { 'content-length': '1000000' }), body)
      const { body: upload, reply } = client.open(post('/app'))
      upload.write(body.subarray(0, 500_000))
      upload.end(body.subarray(500_000))
      assert.deepEqual([known.text, (await reply).text], ['1000000', '1000000'])
      assert.equal(upstream.requests[0]?.headers['content-length'], '1000000')
      assert.equal(upstream.requests[1]?.headers['transfer-encoding'], 'chunked')
    })

    it('are refused when a body of unknown length becomes too large', async () => {
      upstream.handler = request => void request.on('error', () => {}).resume()
      const { body, reply } = client.open(post('/small'))
      body.write(Buffer.alloc(6))
      body.write(Buffer.alloc(6))
      assert.equal((await reply).status, 413)
      assert.deepEqual((await pipeline.ended(1))[0], { route: '/small', outcome: 'refusal', reason: 'body_too_large' })
    })

    it('are refused when their body stands still', async () => {
      upstream.handler = request => void request.on('error', () => {}).resume()
      const { body, reply } = client.open(post('/app', { 'content-length': '1000' }))
      body.write('begun')
      assert.equal((await reply).status, 408)
      assert.deepEqual((await pipeline.ended(1))[0]?.reason, 'request_timeout')
    })

    it('are authenticated, and counted by limits', async () => {
      assert.equal((await send({ path: '/keyed', headers: { 'x-api-key': KEY } })).status, 200)
      assert.equal(upstream.requests[0]?.headers['x-consumer-name'], 'acme')
      const [first, second] = [await send('/limited'), await send('/limited')]
      assert.deepEqual([first.status, second.status], [200, 429])
      assert.match(String(second.headers['ratelimit']), /r=0/)
      assert.ok(Number(second.headers['retry-after']) > 0)
    })

    it('are redirected', async () => {
      const { status, headers } = await send('/moved')
      assert.deepEqual([status, headers.location], [308, '/app'])
    })

    it('time out', async () => {
      upstream.handler = request => void request.resume()
      assert.equal((await send('/slow')).status, 504)
      assert.deepEqual(await pipeline.ended(1), [{ route: '/slow', outcome: 'fault', reason: 'response_timeout' }])
    })

    it('return all response fields except connection fields', async () => {
      upstream.handler = (_request, response) => {
        response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'ETag', 'x', 'X-Two', '1', 'X-Two', '2'])
        response.end('whole')
      }
      const { headers, text } = await send('/app')
      assert.equal(text, 'whole')
      assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
      assert.equal(headers['x-two'], '1, 2')
      assert.equal(headers.etag, 'x')
    })

    it('return no body for responses that have none', async () => {
      for (const [method, status] of [
        ['HEAD', 200],
        ['GET', 204],
        ['GET', 304],
      ] as const) {
        upstream.handler = (_request, response) => response.writeHead(status).end()
        const answer = await send({ method, path: '/app' })
        assert.deepEqual([answer.status, answer.text], [status, ''])
      }
      const length = await send({ method: 'HEAD', path: '/nowhere' })
      assert.deepEqual([length.status, length.text], [404, ''])
      await pipeline.ended(4)
      assert.deepEqual(
        pipeline.counted.map(({ outcome }) => outcome),
        ['ok', 'ok', 'ok', 'refusal'],
      )
    })

    it('carry trailers and 1xx responses of the upstream', async () => {
      upstream.handler = (_request, response) => {
        response.writeEarlyHints({ link: '</style.css>; rel=preload' })
        response.writeHead(200, { trailer: 'x-sum' })
        response.write('a')
        response.addTrailers({ 'x-sum': '1' })
        response.end('b')
      }
      const { text, trailers, early } = await send('/app')
      assert.deepEqual([text, trailers['x-sum'], early], ['ab', '1', [[103, '</style.css>; rel=preload']]])
    })

    it('get 100 Continue when they expect it and are not refused', async () => {
      upstream.handler = (request, response) => void bodyOf(request).then(body => response.end(body))
      const expecting = post('/app', { expect: '100-continue', 'content-length': '3' })
      const { body, continued, reply } = client.open(expecting)
      await continued
      body.end('now')
      assert.equal((await reply).text, 'now')
      assert.equal(upstream.requests[0]?.headers.expect, undefined)
    })

    it('stream in both directions at once', async () => {
      upstream.handler = (request, response) => void request.pipe(response)
      const { body, part, reply } = client.open(post('/app'))
      for (const word of ['one', 'two', 'three']) {
        body.write(word)
        assert.equal(await part(), word)
      }
      body.end()
      assert.equal((await reply).text, 'onetwothree')
    })

    it('carry a large response with backpressure', async () => {
      upstream.handler = (_request, response) => response.end(Buffer.alloc(8_000_000, 'x'))
      assert.equal((await send('/app')).text.length, 8_000_000)
    })

    it('serve the gateway’s own page to GET and HEAD', async () => {
      assert.equal((JSON.parse((await send('/')).text) as { name: string }).name, 'myesi-gateway')
      const head = await send({ path: '/', method: 'HEAD' })
      assert.deepEqual([head.status, head.text], [200, ''])
      assert.equal((await send({ path: '*', method: 'OPTIONS' })).status, 204)
      assert.match((await send('/metrics')).text, /scraped/)
    })

    it('are cancelled at the upstream when the client leaves', async () => {
      let isCancelled = false
      upstream.handler = (request, response) => {
        response.write('begun')
        response.on('close', () => (isCancelled = true))
        request.resume()
      }
      const { body, part, abort } = client.open({ path: '/app' })
      body.end()
      assert.equal(await part(), 'begun')
      abort()
      await until(() => isCancelled, { what: 'the upstream sees the end' })
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_closed' }])
    })

    it('break off when the upstream does', async () => {
      upstream.handler = (_request, response) => {
        response.write('a part')
        setImmediate(() => response.destroy())
      }
      await assert.rejects(send('/app'))
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'reset' }])
    })

    it('finish when the gateway drains, and new ones go elsewhere', async () => {
      let finish = (): void => {}
      upstream.handler = (_request, response) => {
        response.write('begun, ')
        finish = () => void response.end('done')
      }
      const { body, part, reply } = client.open({ path: '/app' })
      body.end()
      assert.equal(await part(), 'begun, ')
      const isClosed = new Promise(resolve => pipeline.server.close(resolve))
      await assert.rejects(connect(pipeline.port).then(other => exchange(other, { path: '/app' })))
      finish()
      assert.equal((await reply).text, 'begun, done')
      client.close()
      await isClosed
    })
  })
}
