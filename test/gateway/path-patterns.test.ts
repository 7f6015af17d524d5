import assert from 'node:assert/strict'
import { send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a path pattern', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    const route = (name: string, match: object, rewrite?: object): object => ({
      name,
      match,
      upstream: 'app',
      responseHeaders: { set: { 'x-route': name } },
      ...(rewrite && { rewrite }),
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('article', { path: '/articles', pattern: '/articles/(?<id>[0-9]+)-.*' }, { path: '/v2/articles/:id' }),
        route('year', { path: '/articles', pattern: '^/articles/(?P<year>\\d{4})$' }, { path: '/years/:year' }),
        route('articles', { path: '/articles' }),
        route('part', { path: '/parts', pattern: '/parts/x(?<part>.*)' }, { path: '/v2/:part' }),
        route('user', { path: '/users/:id/:kind' }, { path: '/v2/:kind/of/:id' }),
        route('gone', { path: '/gone/:what', exact: true }, { path: '/' }),
        route('any-case', { path: '/Shop/:id', ignoreCase: true }, { stripPrefix: '/Shop' }),
        route('any-case-pattern', { path: '/files', pattern: '/files/[a-z]+\\.txt', ignoreCase: true }),
        route('slow', { path: '/slow', pattern: '/slow/(a+)+b' }),
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const CASES: readonly (readonly [asked: string, route: string, forwarded: string])[] = [
    ['/articles/17-title', 'article', '/v2/articles/17'],
    ['/articles/17-title/more?a=b', 'article', '/v2/articles/17?a=b'],
    ['/articles/2026', 'year', '/years/2026'],
    ['/articles/title', 'articles', '/articles/title'],
    ['/articles', 'articles', '/articles'],
    ['/parts/xa/b', 'part', '/v2/a/b'],
    ['/users/7/orders', 'user', '/v2/orders/of/7'],
    ['/users/7/orders/1/', 'user', '/v2/orders/of/7/1/'],
    ['/gone/x', 'gone', '/'],
    ['/shop/7', 'any-case', '/7'],
    ['/SHOP/Ab', 'any-case', '/Ab'],
    ['/Files/A.TXT', 'any-case-pattern', '/Files/A.TXT'],
  ]
  for (const [asked, route, forwarded] of CASES) {
    it(`makes ${forwarded} for the upstream from ${asked}, on the route "${route}"`, async () => {
      const answer = await send(pipeline.port, asked)
      assert.deepEqual([answer.status, answer.headers['x-route']], [200, route])
      assert.equal(upstream.requests.at(-1)?.url, forwarded)
    })
  }

  it('refuses the request when the values of its groups would change the path’s meaning', async () => {
    const calls = upstream.requests.length
    for (const path of ['/parts/x/a', '/parts/x..', '/parts/x../a']) {
      assert.equal((await send(pipeline.port, path)).status, 400, path)
    }
    assert.equal(upstream.requests.length, calls)
  })

  it('takes time in proportion to the path’s length', async () => {
    const startedAt = performance.now()
    assert.equal((await send(pipeline.port, `/slow/${'a'.repeat(6_000)}`)).status, 404)
    assert.ok(performance.now() - startedAt < 1_000)
  })
})
