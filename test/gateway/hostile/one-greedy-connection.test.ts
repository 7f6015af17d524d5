import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../../support/raw-http'
import { send } from '../../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { until } from '../../support/until'

const HEALTHY = 100
/** Milliseconds for 100 sequential requests, with a margin for a busy machine. */
const WORST_P99_MS = 250

const GET = (path: string): string => `GET /app/${path} HTTP/1.1\r\nHost: a\r\n\r\n`

describe('one connection with more requests than an upstream has connections', () => {
  const large = Buffer.alloc(1024 * 1024)
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let greedy: RawConnection
  let underWay = 0
  let most = 0

  beforeEach(async () => {
    underWay = 0
    most = 0
    upstream = await startUpstream((request, response) => {
      if (request.url === '/app/fast') return void response.end('ok')
      most = Math.max(most, ++underWay)
      response.on('close', () => underWay--)
      if (request.url === '/app/large') response.end(large)
    })
    pipeline = await startPipeline(proxyTo(upstream.url))
    greedy = await openRaw(pipeline.port)
  })
  afterEach(async () => {
    greedy.destroy()
    await pipeline.stop()
    await upstream.stop()
  })

  /** A second client that sends requests all the time. */
  async function healthyClient(): Promise<void> {
    const times: number[] = []
    for (let i = 0; i < HEALTHY; i++) {
      const started = performance.now()
      assert.equal((await send(pipeline.port, '/app/fast')).status, 200)
      times.push(performance.now() - started)
    }
    const p99 = times.toSorted((a, b) => a - b)[Math.floor(0.99 * HEALTHY)] as number
    assert.ok(p99 < WORST_P99_MS, `p99 ${p99} ms`)
  }

  it('uses one of them for 200 requests that are never answered, and other clients are not affected', async () => {
    greedy.send(GET('slow').repeat(200))
    await until(() => upstream.requests.length > 0, { what: 'the attack' })
    await healthyClient()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })

  it('uses one of them for 400 large responses behind a slow one, and other clients are not affected', async () => {
    greedy.send(GET('slow') + GET('large').repeat(400))
    await until(() => upstream.requests.length > 0, { what: 'the attack' })
    await healthyClient()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })

  it('uses one of them for large responses that it does not read, and other clients are not affected', async () => {
    greedy.socket.pause()
    greedy.send(GET('large').repeat(400))
    await until(() => upstream.requests.length > 0, { what: 'the attack' })
    await healthyClient()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })
})
