import assert from 'node:assert/strict'
import { openRaw, rawExchange } from '../support/raw-http'
import { problemOf, answerOf, open, responseTo } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

/** Node checks its connections once a second. */
const SOON_MS = 3_000

describe('a slow client', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
  })
  beforeEach(() => {
    upstream.handler = (request, response) => {
      request.resume()
      request.on('end', () => response.end('ok'))
    }
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(entrypoint: object): Promise<void> {
    pipeline = await startPipeline(proxyTo(upstream.url, { entrypoint }))
  }

  for (const begun of ['GET /app HTTP/1.1\r\nHost: a\r\nX-Slow', 'G']) {
    it(`gets 408 during its header section and loses its connection: ${JSON.stringify(begun)}`, async () => {
      await start({ headersTimeout: '300ms' })
      const answer = await rawExchange(pipeline.port, begun, SOON_MS)
      assert.match(
        answer,
        /^HTTP\/1\.1 408 Request Timeout\r\n[^]*Content-Type: application\/problem\+json\r\n[^]*"request_timeout"/,
      )
      assert.deepEqual(pipeline.counted, [{ route: undefined, outcome: 'refusal', reason: 'request_timeout' }])
    })
  }

  it('gets 408 during its body, with a reason of its own', async () => {
    await start({ headersTimeout: '300ms', requestTimeout: '500ms' })
    const upload = open(pipeline.port, { path: '/app', method: 'POST' })
    upload.on('error', () => undefined) // the gateway closes it
    upload.write('begun')
    const answer = await answerOf(await responseTo(upload))
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [408, 'request_timeout'])
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'request_timeout' }])
    upload.destroy()
  })

  it('may take any time for its body if no limit is set', async () => {
    await start({ headersTimeout: '300ms', requestTimeout: '0s' })
    const upload = open(pipeline.port, { path: '/app', method: 'POST' })
    const started = performance.now()
    upload.write('begun')
    await until(() => performance.now() - started > 2_500, { what: 'two looks at the connection' })
    upload.end('ended')
    assert.equal((await answerOf(await responseTo(upload))).text, 'ok')
  })

  it('that sends no next request loses its connection, and nothing is counted', async () => {
    await start({ keepAliveTimeout: '200ms' })
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await client.waitFor('\r\n\r\nok')
    await client.closed(SOON_MS)
    assert.equal(pipeline.counted.length, 1)
  })

  it('that does not read its response loses its connection, and the upstream call is cancelled', async () => {
    upstream.handler = (_request, response) => response.end(Buffer.alloc(64 * 1024 * 1024))
    pipeline = await startPipeline(
      proxyTo(upstream.url, { entrypoint: { stallTimeout: '300ms' }, upstream: { timeouts: { response: '100ms' } } }),
    )
    const client = await openRaw(pipeline.port)
    client.socket.pause()
    client.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'client_closed', reason: 'client_stalled' }])
    await until(async () => (await pipeline.connections()) === 0, { what: 'the connection is closed' })
    client.destroy()
  })

  it('above the maximum of connections is closed at once', async () => {
    await start({ maxConnections: 3 })
    const clients = await Promise.all(Array.from({ length: 3 }, () => openRaw(pipeline.port)))
    const fourth = await openRaw(pipeline.port)
    assert.equal(await fourth.closed(), '')
    clients[0]?.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await clients[0]?.waitFor('\r\n\r\nok')
    for (const client of clients) client.destroy()
  })
})
