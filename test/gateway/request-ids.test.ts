import assert from 'node:assert/strict'
import { send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const OWN = /^(?:[0-9a-f]{32}-[0-9a-f]{16}|[0-9a-f-]{36})$/

describe('the request id', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'X-Request-Id': 'of-the-upstream' }).end('ok')
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function start(entrypoint: object): Promise<void> {
    pipeline = await startPipeline({
      entrypoint,
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'fixed', match: { path: '/fixed' }, respond: { status: 204 } },
        {
          name: 'own',
          match: { path: '/own' },
          upstream: 'app',
          responseHeaders: { set: { 'x-request-id': 'of-the-route' } },
        },
      ],
    })
  }

  /** The ids in the response, at the upstream and in the log. */
  async function idsOf(path: string, headers: Record<string, string> = {}): Promise<unknown[]> {
    const calls = upstream.requests.length
    const ended = pipeline.counted.length
    const answer = await send(pipeline.port, { path, headers })
    await pipeline.ended(ended + 1)
    const logged = pipeline.logs.findLast(({ event }) => event === 'request')?.['request_id']
    return [answer.headers['x-request-id'], upstream.requests[calls]?.headers['x-request-id'], logged]
  }

  it('is in every response, at the upstream and in the log, and clients cannot choose it', async () => {
    await start({})
    const seen = new Set<unknown>()
    for (const path of ['/app', '/fixed', '/', '/nothing', '/app/%00']) {
      const [answered, called, logged] = await idsOf(path, { 'X-Request-Id': 'of-the-client' })
      assert.match(String(answered), OWN, path)
      assert.equal(logged, answered)
      assert.equal(called, path === '/app' ? answered : undefined)
      seen.add(answered)
    }
    assert.equal(seen.size, 5)
  })

  it('is taken from a trusted proxy', async () => {
    await start({ trustedProxies: ['127.0.0.1'] })
    assert.deepEqual(await idsOf('/app', { 'X-Request-Id': 'r-7' }), ['r-7', 'r-7', 'r-7'])
    for (const unusable of ['a b', 'x'.repeat(129)]) {
      assert.match(String((await idsOf('/app', { 'X-Request-Id': unusable }))[0]), OWN)
    }
  })

  it('is edited in responses by the route’s header edits', async () => {
    await start({})
    const [answered, called, logged] = await idsOf('/own')
    assert.equal(answered, 'of-the-route')
    assert.equal(called, logged)
  })

  it('has the field name that the file configures', async () => {
    await start({ requestId: { header: 'X-Correlation-Id' } })
    const { headers } = await send(pipeline.port, { path: '/app', headers: { 'X-Request-Id': 'of-the-client' } })
    assert.match(String(headers['x-correlation-id']), OWN)
    assert.equal(headers['x-request-id'], 'of-the-upstream')
    assert.equal(upstream.requests[0]?.headers['x-request-id'], 'of-the-client')
    assert.equal(upstream.requests[0]?.headers['x-correlation-id'], headers['x-correlation-id'])
  })
})
