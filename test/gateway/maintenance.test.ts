import assert from 'node:assert/strict'
import { problemOf, send, type Answer } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('maintenance', () => {
  let upstream: RunningUpstream

  before(async () => {
    upstream = await startUpstream()
  })
  after(() => upstream.stop())

  async function startWith(entrypoint: object): Promise<Pipeline> {
    const route = (name: string, more: object = {}): object => ({
      name,
      match: { path: `/${name}`, methods: ['GET'] },
      upstream: 'app',
      ...more,
    })
    return startPipeline({
      entrypoint,
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('open'),
        route('closed', { maintenance: true, rateLimit: { limit: 1, window: '1m' } }),
        route('later', { maintenance: { retryAfter: '1500ms' }, responseHeaders: { set: { 'X-A': 'b' } } }),
        route('always', { maintenance: false }),
        { name: 'moved', match: { path: '/moved' }, redirect: { to: '/open' } },
      ],
    })
  }

  function refusal(answer: Answer): unknown[] {
    return [answer.status, problemOf(answer)['reason'], answer.headers['retry-after']]
  }

  describe('of a route', () => {
    let pipeline: Pipeline
    before(async () => {
      pipeline = await startWith({})
    })
    after(() => pipeline.stop())

    it('refuses its requests, and no others', async () => {
      assert.deepEqual(refusal(await send(pipeline.port, '/closed/a')), [503, 'maintenance', undefined])
      assert.deepEqual(pipeline.counted.at(-1), { route: '/closed', outcome: 'refusal', reason: 'maintenance' })
      assert.equal((await send(pipeline.port, '/open')).status, 200)
      assert.equal((await send(pipeline.port, '/moved')).status, 308)
      assert.deepEqual(
        upstream.requests.map(({ url }) => url),
        ['/open'],
      )
    })

    it('sends Retry-After where the file sets it', async () => {
      const answer = await send(pipeline.port, '/later')
      assert.deepEqual(refusal(answer), [503, 'maintenance', '2'])
      assert.equal(answer.headers['x-a'], 'b')
    })

    it('uses up no rate limit', async () => {
      for (let i = 0; i < 3; i++) {
        const answer = await send(pipeline.port, '/closed')
        assert.deepEqual([answer.status, answer.headers.ratelimit], [503, undefined])
      }
    })

    it('still answers 405 for methods that the route does not take', async () => {
      assert.equal((await send(pipeline.port, { path: '/closed', method: 'PUT' })).status, 405)
    })
  })

  describe('of the entrypoint', () => {
    let pipeline: Pipeline
    before(async () => {
      pipeline = await startWith({ maintenance: { retryAfter: '10m' } })
    })
    after(() => pipeline.stop())

    it('applies to every route that does not override it', async () => {
      assert.deepEqual(refusal(await send(pipeline.port, '/open')), [503, 'maintenance', '600'])
      assert.deepEqual(refusal(await send(pipeline.port, '/moved')), [503, 'maintenance', '600'])
      assert.deepEqual(refusal(await send(pipeline.port, '/closed')), [503, 'maintenance', undefined])
      assert.deepEqual(refusal(await send(pipeline.port, '/later')), [503, 'maintenance', '2'])
      assert.equal((await send(pipeline.port, '/always')).status, 200)
    })

    it('does not apply to the gateway’s own pages and unknown paths', async () => {
      assert.equal((await send(pipeline.port, '/')).status, 200)
      assert.equal((await send(pipeline.port, '/nowhere')).status, 404)
    })
  })
})
