import assert from 'node:assert/strict'
import { openRaw } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream, type SeenRequest } from '../support/start-upstream'

describe('fields of the client’s connection', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'all', match: { path: '/:any' }, upstream: 'app' }],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** What the upstream saw of a request with these fields. */
  async function forward(...fields: string[]): Promise<SeenRequest> {
    const client = await openRaw(pipeline.port)
    client.send(`GET /app HTTP/1.1\r\nHost: shop.example\r\n${fields.join('\r\n')}\r\n\r\n`)
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    return upstream.requests.at(-1)!
  }

  it('end here', async () => {
    const { headers } = await forward(
      'Keep-Alive: timeout=5',
      'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic c2VjcmV0',
      'Proxy-Authenticate: Basic',
      'TE: gzip',
      'Trailer: X-Sum',
      'Upgrade: websocket',
      'HTTP2-Settings: AAMAAABkAAQ',
    )
    const names = ['keep-alive', 'proxy-connection', 'proxy-authorization', 'proxy-authenticate', 'trailer', 'upgrade']
    for (const name of [...names, 'te', 'http2-settings']) assert.equal(headers[name], undefined, name)
    assert.equal(headers.connection, 'keep-alive', 'the gateway’s own')
  })

  it('end here when Connection names them, in whatever spelling and number', async () => {
    const { headers } = await forward(
      'Connection: X-One , x-TWO,,keep-alive',
      'Connection: x-three',
      'X-One: 1',
      'X-Two: 2',
      'X-Three: 3',
      'X-Four: 4',
    )
    for (const name of ['x-one', 'x-two', 'x-three']) assert.equal(headers[name], undefined, name)
    assert.equal(headers['x-four'], '4')
  })

  // CVE-2026-33805 of another gateway: the client had it strip the very fields its upstream trusted.
  for (const own of ['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded', 'Via']) {
    it(`cannot have the gateway’s own ${own} stripped`, async () => {
      const { headers } = await forward(`Connection: ${own}`, `${own}: forged`)
      const value = String(headers[own.toLowerCase()])
      assert.notEqual(value, 'undefined')
      assert.ok(!value.includes('forged'), value)
    })
  }

  it('cannot have the framing stripped: the body still ends where it ends', async () => {
    const client = await openRaw(pipeline.port)
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
    upstream.handler = (request, response) => {
      request.resume()
      request.on('end', () => response.end('ok'))
    }
    client.send(
      `POST /app HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Host\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    )
    await client.waitFor('\r\n\r\nok')
    client.destroy()
    assert.ok(upstream.requests.every(request => request.url !== '/smuggled'))
    assert.equal(upstream.requests.at(-1)?.headers.host, `127.0.0.1:${upstream.port}`)
  })

  it('that ask to close end the client’s connection, not the upstream’s', async () => {
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.match(await client.closed(), /\r\nConnection: close\r\n/)
    assert.equal(upstream.requests.at(-1)?.headers.connection, 'keep-alive')
  })
})
