import assert from 'node:assert/strict'
import { once } from 'node:events'
import { openRaw, type RawConnection } from '../support/raw-http'
import { sendMany } from '../support/send-many'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const SLOW_HEADERS = 225
const SLOW_BODIES = 225
const SLOW_READERS = 50
const HEALTHY = 200

describe('five hundred deliberately slow clients', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let slow: RawConnection[] = []

  before(async () => {
    // More than the buffers between upstream and client hold, so that the client has to read.
    const large = Buffer.alloc(32 * 1024 * 1024)
    upstream = await startUpstream((request, response) => {
      request.on('error', () => undefined) // the gateway closes it
      request.resume()
      if (request.url === '/large') response.end(large)
      else request.on('end', () => response.end('ok'))
    })
    pipeline = await startPipeline({
      entrypoint: { headersTimeout: '8s', stallTimeout: '8s', maxConnections: 600, maxConnectionsPerClient: 600 },
      upstreams: {
        app: { targets: [upstream.url], maxConnections: 400, timeouts: { response: '1s' } },
        downloads: { targets: [upstream.url], timeouts: { response: '1s' } },
      },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'large', match: { path: '/large' }, upstream: 'downloads' },
      ],
    })
  })
  after(async () => {
    for (const client of slow) client.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  it('do not affect other clients, and are all disconnected and counted', async function () {
    this.timeout(60_000)
    slow = await Promise.all(
      Array.from({ length: SLOW_HEADERS + SLOW_BODIES + SLOW_READERS }, () => openRaw(pipeline.port)),
    )
    const headers = slow.slice(0, SLOW_HEADERS)
    const bodies = slow.slice(SLOW_HEADERS, SLOW_HEADERS + SLOW_BODIES)
    const readers = slow.slice(SLOW_HEADERS + SLOW_BODIES)
    for (const client of headers) client.send('GET /app HTTP/1.1\r\nHost: a\r\nX-Slow: ')
    for (const client of bodies) client.send('POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbegun')
    for (const client of readers) {
      client.socket.pause()
      client.send('GET /large HTTP/1.1\r\nHost: a\r\n\r\n')
    }
    await until(() => upstream.requests.length === SLOW_BODIES + SLOW_READERS, {
      what: 'all of them are slow',
      timeoutMs: 30_000,
    })

    assert.deepEqual([...(await sendMany(pipeline.url, HEALTHY, () => ({ path: '/app' })))], [[200, HEALTHY]])

    for (const client of [...headers, ...bodies]) {
      assert.match(await client.closed(30_000), /^HTTP\/1\.1 408 Request Timeout\r\n[^]*"request_timeout"/)
    }
    const counted = await pipeline.ended(HEALTHY + slow.length)
    const tally = (reason: string | undefined): number => counted.filter(request => request.reason === reason).length
    assert.deepEqual(
      [tally(undefined), tally('request_timeout'), tally('client_stalled')],
      [HEALTHY, SLOW_HEADERS + SLOW_BODIES, SLOW_READERS],
    )
    for (const client of readers) client.socket.resume()
    await Promise.all(readers.map(async ({ socket }) => socket.closed || once(socket, 'close')))
    await until(async () => (await pipeline.connections()) === 0, { what: 'every connection is closed' })
  })

  it('cannot exceed the maximum of connections: more are closed at once', async () => {
    slow = await Promise.all(Array.from({ length: 600 }, () => openRaw(pipeline.port)))
    await until(async () => (await pipeline.connections()) === 600, { what: 'all of them are here' })
    const oneMore = await openRaw(pipeline.port)
    assert.equal(await oneMore.closed(), '')
    slow[0]?.send('GET /app HTTP/1.1\r\nHost: a\r\n\r\n')
    await slow[0]?.waitFor('\r\n\r\nok')
  })
})
