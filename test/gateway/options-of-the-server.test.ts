import assert from 'node:assert/strict'
import { openRaw } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const OPTIONS = 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'

describe('OPTIONS *', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  async function start(entrypoint: object): Promise<void> {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      entrypoint,
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'all', match: { path: '/:page' }, upstream: 'app' }],
    })
  }
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  it('is answered by the gateway with the methods that it forwards, and keeps the connection', async () => {
    await start({})
    const client = await openRaw(pipeline.port)
    client.send(`${OPTIONS}GET /page HTTP/1.1\r\nHost: a\r\n\r\n`)
    const received = await client.waitFor('\r\n\r\nok')
    client.destroy()
    assert.match(received, /^HTTP\/1\.1 204 No Content\r\nAllow: [A-Z, -]*GET, HEAD[A-Z, -]*\r\n/)
    assert.doesNotMatch(received, /CONNECT|SOURCE/)
    assert.deepEqual(
      upstream.requests.map(({ url }) => url),
      ['/page'],
    )
    const [answered] = await pipeline.ended(2)
    assert.deepEqual(answered, { route: undefined, outcome: 'ok', reason: undefined })
  })

  it('is refused for a client that the access lists deny', async () => {
    await start({ access: { deny: ['127.0.0.1'] } })
    const client = await openRaw(pipeline.port)
    client.send(OPTIONS)
    assert.match(await client.waitFor('"forbidden"'), /^HTTP\/1\.1 403 /)
    client.destroy()
  })
})
