import assert from 'node:assert/strict'
import { openRaw } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('connection header fields of the client', () => {
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

  it('that ask to close end the client’s connection, not the upstream’s', async () => {
    const client = await openRaw(pipeline.port)
    client.send('GET /app HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    assert.match(await client.closed(), /\r\nConnection: close\r\n/)
    assert.equal(upstream.requests.at(-1)?.headers.connection, 'keep-alive')
  })
})
