import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../../support/raw-http'
import { send } from '../../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { askBeside } from '../../support/under-load'
import { until } from '../../support/until'

/** More than the number of connections of an upstream. */
const UPLOADS = 130
const STALL_MS = 2_000
/** A test cannot wait for the default of one minute; all other settings are the defaults. */
const SOON = { entrypoint: { stallTimeout: `${STALL_MS}ms` } }
const HEALTHY = 50
/** The 99th percentile is at most three times that without the attack, and this many milliseconds more: docs/upstreams.md. */
const MORE_MS = 250

describe('trickling chunked uploads', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let uploads: RawConnection[] = []
  let trickle: NodeJS.Timeout

  async function start(file: object): Promise<void> {
    upstream = await startUpstream((request, response) => {
      request.on('error', () => undefined) // the gateway closes it
      request.resume()
      request.on('end', () => response.end('ok'))
    })
    pipeline = await startPipeline(proxyTo(upstream.url, file))
  }

  async function attack(): Promise<void> {
    uploads = await Promise.all(Array.from({ length: UPLOADS }, () => openRaw(pipeline.port)))
    for (const client of uploads) client.send('POST /app HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
    // Far below stallTimeout.
    trickle = setInterval(() => {
      for (const client of uploads) client.send('1\r\nx\r\n')
    }, STALL_MS / 4)
  }
  afterEach(async () => {
    clearInterval(trickle)
    for (const client of uploads) client.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  for (const clients of [1, 20]) {
    it(`do not delay other clients with the default settings: ${clients}`, async () => {
      await start({})
      const before = await askBeside(pipeline.port, clients, 2 * HEALTHY, '/app')
      upstream.requests.length = 0
      await attack()
      await until(() => upstream.requests.length > 100, { what: 'the connections are taken' })
      const { p99 } = await askBeside(pipeline.port, clients, 2 * HEALTHY, '/app')
      const bound = 3 * before.p99 + MORE_MS
      assert.ok(p99 < bound, `p99 ${p99} ms, at most ${bound} ms`)
    })
  }

  it('lose their upstream connections within two stallTimeouts, and other requests all succeed', async () => {
    await start(SOON)
    await attack()
    const [first] = uploads as [RawConnection]
    await until(() => upstream.requests.length > 100, { what: 'the connections are taken' })
    const started = performance.now()
    const healthy = Array.from({ length: HEALTHY }, async () => {
      const { status } = await send(pipeline.port, { path: '/app', localAddress: '127.0.0.2' })
      return { status, ms: performance.now() - started }
    })
    for (const { status, ms } of await Promise.all(healthy)) {
      assert.equal(status, 200)
      assert.ok(ms < 2 * STALL_MS, `${ms} ms`)
    }
    assert.match(await first.closed(), /^HTTP\/1\.1 408 Request Timeout\r\n[^]*"request_timeout"/)
    const slow = (): number => pipeline.counted.filter(({ reason }) => reason === 'request_timeout').length
    await until(() => slow() === UPLOADS, { what: 'each is counted' })
  })

  it('may continue on a route that allows them', async () => {
    await start({ ...SOON, route: { minUploadRate: '0B' } })
    await attack()
    await until(() => upstream.requests.length > 100, { what: 'the connections are taken' })
    const started = performance.now()
    await until(() => performance.now() - started > 2 * STALL_MS, { what: 'two looks at them' })
    assert.deepEqual(pipeline.counted, [])
  })
})
