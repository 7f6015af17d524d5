import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const SIZE = 20 * 1024 * 1024

describe('an early response, sent before the whole request body has arrived,', () => {
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
    it(`from ${from} reaches even a client that sends everything before it reads: ${status}`, async () => {
      client.socket.pause()
      upload(path)
      await pipeline.ended(1)
      client.socket.resume()
      const answer = await client.closed()
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\nConnection: close\\r\\n`))
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    })
  }

  for (const [what, expect] of [
    ['waits for leave to send its body', 'Expect: 100-continue\r\n'],
    ['is late with its body', ''],
  ] as const) {
    it(`from an upstream that reads only the header section reaches a client that ${what}`, async () => {
      upstream.handler = (_request, response) => void response.writeHead(401).end('who are you')
      client.send(`POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n${expect}\r\n`)
      const answer = await client.waitFor('who are you')
      assert.match(answer, /^HTTP\/1\.1 401 [^]*\r\nConnection: close\r\n/, 'and not 100 before it')
      assert.equal(upstream.requests[0]?.headers['content-length'], '100000')
      await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
      assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'ok', reason: undefined }])
    })
  }

  it('is not sent for a body that follows its header section later, which arrives whole', async () => {
    upstream.handler = (request, response) => void bodyOf(request).then(body => response.end(body))
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n')
    await until(() => upstream.requests.length === 1, { what: 'the header section' })
    client.send('hello ')
    client.send('world')
    await client.waitFor(/^HTTP\/1\.1 200 [^]*\r\n\r\nhello world$/)
    client.send('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    await until(() => upstream.requests.length === 2, { what: 'the next header section' })
    client.send('again')
    await client.waitFor(/\r\n\r\nagain$/)
  })

  it('ends the connection even if the client neither sends the rest nor closes', async () => {
    client.send(`POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: ${SIZE}\r\n\r\n`)
    await client.waitFor('"no_route"')
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
  })

  it('is the last one on its connection, whatever follows the body', async () => {
    client.send('POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n')
    await client.waitFor('"no_route"')
    client.send('helloGET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.closed()
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    assert.equal(upstream.requests.length, 0)
    assert.equal(pipeline.counted.length, 1)
  })
})
