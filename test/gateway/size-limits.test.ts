import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openRaw } from '../support/raw-http'
import { answerOf, open, problemOf, responseTo, send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('size limits of a request', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      bodyOf(request).then(
        body => response.end(String(body.length)),
        () => undefined, // the gateway closes it
      )
    })
    pipeline = await startPipeline({
      entrypoint: { maxUrlLength: '100B', maxHeaderFields: 10, maxBodySize: '1000B' },
      upstreams: {
        app: { targets: [upstream.url], circuitBreaker: { failures: 1 }, retries: { attempts: 3 } },
        free: { targets: [upstream.url] },
      },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app', retry: 'always' },
        { name: 'large', match: { path: '/large' }, upstream: 'free', maxBodySize: '1MiB' },
        { name: 'none', match: { path: '/none' }, upstream: 'free', maxBodySize: '0B' },
      ],
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const chunked = { 'transfer-encoding': 'chunked' }
  const post = (path: string, body: string): ReturnType<typeof send> =>
    send(pipeline.port, { path, method: 'POST', body })

  it('allow a URL of maxUrlLength, query included, and not one byte more', async () => {
    const path = `/app?q=${'x'.repeat(93)}`
    assert.equal((await send(pipeline.port, path)).status, 200)
    const answer = await send(pipeline.port, `${path}x`)
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [414, 'uri_too_long'])
    assert.equal(upstream.requests.length, 1)
  })

  for (const length of [20_000, 200_000]) {
    it(`report a URL that exceeds any header section as too long: ${length} bytes`, async () => {
      const client = await openRaw(pipeline.port)
      client.send(`GET /app/${'x'.repeat(length)} HTTP/1.1\r\nHost: a\r\n\r\n`)
      assert.match(await client.waitFor(/\r\n\r\n\{.*\}$/), /^HTTP\/1\.1 414 URI Too Long\r\n[^]*"uri_too_long"/)
      client.destroy()
      assert.deepEqual(await pipeline.ended(1), [{ route: undefined, outcome: 'refusal', reason: 'uri_too_long' }])
    })
  }

  it('allow maxHeaderFields header fields and no more', async () => {
    const fields = (count: number): string[] => Array.from({ length: count }, (_, i) => [`x-${i}`, 'a']).flat()
    const counted = ['host', 'a', 'connection', 'close']
    assert.equal((await send(pipeline.port, { path: '/app', headers: [...counted, ...fields(8)] })).status, 200)
    const answer = await send(pipeline.port, { path: '/app', headers: [...counted, ...fields(9)] })
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [431, 'header_too_large'])
  })

  it('allow a body of maxBodySize in either framing', async () => {
    assert.equal((await post('/app', 'x'.repeat(1_000))).text, '1000')
    const upload = open(pipeline.port, { path: '/app', method: 'POST', headers: chunked })
    upload.write('x'.repeat(500))
    upload.end('x'.repeat(500))
    assert.equal((await answerOf(await responseTo(upload))).text, '1000')
  })

  it('refuse a longer body by its announced length before the upstream is called', async () => {
    const answer = await post('/app', 'x'.repeat(1_001))
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [413, 'body_too_large'])
    assert.deepEqual(upstream.requests, [])
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'body_too_large' }])
  })

  it('refuse any body where a route allows none', async () => {
    assert.equal((await post('/none', 'x')).status, 413)
    assert.equal((await send(pipeline.port, '/none')).status, 200)
  })

  it('can be raised by a single route', async () => {
    assert.equal((await post('/large', 'x'.repeat(50_000))).text, '50000')
    assert.equal((await post('/large', 'x'.repeat(1_048_577))).status, 413)
  })

  it('answer a too large body with 413 instead of 100 Continue', async () => {
    const client = await openRaw(pipeline.port)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n')
    assert.match(
      await client.waitFor('"body_too_large"'),
      /^HTTP\/1\.1 413 Payload Too Large\r\n[^]*\r\nConnection: close\r\n/,
    )
    client.destroy()
  })

  it('abort a chunked body with 413: the call is cancelled, not retried, and no fault of the target', async () => {
    const cut: Promise<unknown>[] = []
    upstream.handler = request => {
      cut.push(once(request, 'error'))
      request.resume()
    }
    const upload = open(pipeline.port, { path: '/app', method: 'POST', headers: chunked })
    upload.on('error', () => undefined) // the gateway closes its connection
    upload.write('x'.repeat(900))
    await until(() => upstream.requests.length === 1, { what: 'the upstream has been asked' })
    upload.write('x'.repeat(101))
    const answer = await answerOf(await responseTo(upload))
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [413, 'body_too_large'])
    assert.equal(answer.headers.connection, 'close')
    await Promise.all(cut)
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'body_too_large' }])
    assert.equal(upstream.requests.length, 1, 'not retried')
    upload.destroy()
    upstream.handler = (_request, response) => response.end('ok')
    assert.equal((await send(pipeline.port, '/app')).status, 200, 'the circuit is closed')
  })

  it('break the connection if the response has already begun', async () => {
    upstream.handler = (request, response) => {
      request.on('error', () => undefined)
      request.resume()
      response.write('begun')
    }
    const client = await openRaw(pipeline.port)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
    await client.waitFor('begun')
    client.send(`400\r\n${'x'.repeat(1_024)}\r\n`)
    const answer = await client.closed()
    assert.ok(!answer.includes('413'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'body_too_large' }])
  })
})
