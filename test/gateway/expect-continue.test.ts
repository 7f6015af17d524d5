import assert from 'node:assert/strict'
import { openRaw } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'

const HEAD = (path: string, method = 'POST', version = '1.1'): string =>
  `${method} ${path} HTTP/${version}\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`

describe('Expect: 100-continue', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => void bodyOf(request).then(body => response.end(body)))
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] }, none: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app', methods: ['POST', 'PUT'] }, upstream: 'app' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'app', rateLimit: { limit: 1, window: '1h' } },
        { name: 'none', match: { path: '/none' }, upstream: 'none' },
      ],
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('is answered by the gateway and not forwarded to the upstream', async () => {
    const client = await openRaw(pipeline.port)
    client.send(HEAD('/app'))
    assert.equal(await client.waitFor('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n')
    client.send('hello')
    assert.match(await client.waitFor('\r\n\r\nhello'), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
    client.destroy()
    assert.equal(upstream.requests[0]?.headers.expect, undefined)
  })

  for (const spelling of ['100-Continue', '100-CONTINUE']) {
    it(`is also recognised as ${spelling}`, async () => {
      const client = await openRaw(pipeline.port)
      client.send(HEAD('/app').replace('100-continue', spelling))
      assert.equal(await client.waitFor('\r\n\r\n'), 'HTTP/1.1 100 Continue\r\n\r\n')
      client.destroy()
    })
  }

  it('does not delay a client that sends its body at once', async () => {
    const client = await openRaw(pipeline.port)
    client.send(`${HEAD('/app')}hello`)
    await client.waitFor('\r\n\r\nhello')
    client.destroy()
  })

  it('is ignored in HTTP/1.0', async () => {
    const client = await openRaw(pipeline.port)
    client.send(`${HEAD('/app', 'POST', '1.0')}hello`)
    assert.match(await client.closed(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nhello$/)
  })

  const REFUSED: readonly (readonly [path: string, method: string, status: number])[] = [
    ['/nowhere', 'POST', 404],
    ['/app', 'DELETE', 405],
    ['/app/../etc', 'POST', 400],
    ['/', 'POST', 405],
  ]
  for (const [path, method, status] of REFUSED) {
    it(`gets no 100 where the request is refused with ${status}, and the connection closes`, async () => {
      const client = await openRaw(pipeline.port)
      client.send(HEAD(path, method))
      // The client may still send its body or not, so the meaning of the next bytes is unknown.
      const answer = await client.closed()
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nConnection: close\\r\\n`))
      assert.ok(!answer.includes('100 Continue'))
      assert.equal(upstream.requests.length, 0)
    })
  }

  it('gets no 100 where the client is over its limit', async () => {
    const first = await openRaw(pipeline.port)
    first.send(`${HEAD('/limited')}hello`)
    await first.waitFor('\r\n\r\nhello')
    first.destroy()
    const second = await openRaw(pipeline.port)
    second.send(HEAD('/limited'))
    const answer = await second.closed()
    assert.match(answer, /^HTTP\/1\.1 429 [^]*\r\nConnection: close\r\n/)
    assert.ok(!answer.includes('100 Continue'))
    assert.equal(upstream.requests.length, 1)
  })
})
