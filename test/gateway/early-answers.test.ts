import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const SIZE = 20 * 1024 * 1024

describe('an answer that comes before the whole body', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let client: RawConnection

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      request.once('data', () => response.writeHead(413).end('too much'))
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] }, none: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'none', match: { path: '/none' }, upstream: 'none' },
      ],
    })
    client = await openRaw(pipeline.port)
  })
  afterEach(async () => {
    client.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  function upload(path: string): void {
    client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`)
    client.send(Buffer.alloc(SIZE))
  }

  const ANSWERS: readonly (readonly [path: string, status: number, from: string])[] = [
    ['/nowhere', 404, 'the gateway'],
    ['/none', 502, 'the gateway'],
    ['/app', 413, 'the upstream'],
  ]
  for (const [path, status, from] of ANSWERS) {
    it(`of ${from} reaches even a client that sends everything before it reads: ${status}`, async () => {
      client.socket.pause()
      upload(path)
      await pipeline.ended(1)
      client.socket.resume()
      const answer = await client.closed()
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nConnection: close\\r\\n`))
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    })
  }

  it('ends the connection although the client neither sends the rest nor leaves', async () => {
    client.send(`POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`)
    await client.waitFor('"no_route"')
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
  })

  it('is the last one on its connection, whatever comes behind the body', async () => {
    client.send('POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    await client.waitFor('"no_route"')
    client.send('helloGET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.closed()
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    assert.equal(upstream.requests.length, 0)
    assert.equal(pipeline.counted.length, 1)
  })
})
