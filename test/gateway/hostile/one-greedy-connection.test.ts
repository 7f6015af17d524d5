import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../../support/raw-http'
import { proxyTo, startPipeline, type Pipeline } from '../../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../../support/start-upstream'
import { askBeside } from '../../support/under-load'
import { until } from '../../support/until'

/** Requests of the other clients together. */
const HEALTHY = 100
const MANY = 20
/** The 99th percentile is at most three times that without the attack, and this many milliseconds more: docs/upstreams.md. */
const MORE_MS = 250

const GET = (path: string): string => `GET /app/${path} HTTP/1.1\r\nHost: a\r\n\r\n`

describe('one connection with more requests than an upstream has connections', function () {
  this.timeout(60_000)
  const large = Buffer.alloc(1024 * 1024)
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let greedy: RawConnection
  let underWay = 0
  let most = 0
  /** The 99th percentile without the attack, by the number of other clients. */
  const p99Before = new Map<number, number>()

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

  const p99Of = async (clients: number): Promise<number> =>
    (await askBeside(pipeline.port, clients, HEALTHY, '/app/fast')).p99

  async function startAttack(bytes: string): Promise<void> {
    for (const clients of [1, MANY]) p99Before.set(clients, await p99Of(clients))
    upstream.requests.length = 0
    greedy.send(bytes)
    await until(() => upstream.requests.length > 0, { what: 'the attack' })
  }

  async function othersAreNotAffected(): Promise<void> {
    for (const clients of [1, MANY]) {
      const bound = 3 * (p99Before.get(clients) as number) + MORE_MS
      const p99 = await p99Of(clients)
      assert.ok(p99 < bound, `p99 of ${clients} clients ${p99} ms, at most ${bound} ms`)
    }
  }

  it('uses one of them for 200 requests that are never answered, and other clients are not affected', async () => {
    await startAttack(GET('slow').repeat(200))
    await othersAreNotAffected()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })

  it('uses one of them for 400 large responses behind a slow one, and other clients are not affected', async () => {
    await startAttack(GET('slow') + GET('large').repeat(400))
    await othersAreNotAffected()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })

  it('uses one of them for large responses that it does not read, and other clients are not affected', async () => {
    greedy.socket.pause()
    await startAttack(GET('large').repeat(400))
    await othersAreNotAffected()
    assert.equal(most, 1, 'requests of the greedy one at the upstream')
  })
})
