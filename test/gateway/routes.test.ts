import assert from 'node:assert/strict'
import { problemOf, send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('routes', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream((request, response) => response.setHeader('X-Path', request.url ?? '').end())
    const route = (name: string, match: object, more: object = {}): object => ({
      name,
      match,
      upstream: 'app',
      ...more,
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('orders', { path: '/api/orders', methods: ['GET', 'POST'] }, { rewrite: { stripPrefix: '/api' } }),
        route('order', { path: '/api/orders/:id', methods: ['GET'] }),
        route('shop', { path: '/in', host: 'shop.example' }),
        route('shops', { path: '/in', host: '*.shop.example' }),
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** The template under which the newest request was counted. */
  async function routeOf(path: string, method = 'GET', host = 'other.example'): Promise<string | undefined> {
    const before = pipeline.counted.length
    await send(pipeline.port, { path, method, headers: { Host: host } })
    return (await pipeline.ended(before + 1)).at(-1)?.route
  }

  it('are chosen by the most specific path that has the method', async () => {
    assert.equal(await routeOf('/api/orders'), '/api/orders')
    assert.equal(await routeOf('/api/orders/7/items?x=1'), '/api/orders/:id')
    assert.equal(await routeOf('/api/orders/7', 'POST'), '/api/orders')
    assert.equal(await routeOf('/api//orders/%37/'), '/api/orders/:id')
    assert.equal(await routeOf('/api/ordersx'), undefined)
  })

  it('are chosen by host, port and case aside', async () => {
    assert.equal(await routeOf('/in', 'GET', 'shop.example'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'SHOP.Example:8443'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'shop.example.'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'a.shop.example'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'evilshop.example'), undefined)
    assert.equal(await routeOf('/in', 'GET', 'shop.example.evil.example'), undefined)
  })

  it('strip their prefix', async () => {
    const pathOf = async (path: string): Promise<unknown> => (await send(pipeline.port, path)).headers['x-path']
    assert.equal(await pathOf('/api/orders'), '/orders')
    assert.equal(await pathOf('/api/orders?a=/api/'), '/orders?a=/api/')
    assert.equal(await pathOf('/api/orders/7'), '/api/orders/7')
  })

  it('that do not exist are 404, which carries nothing of those that do', async () => {
    const answer = await send(pipeline.port, '/nowhere')
    assert.equal(answer.status, 404)
    assert.deepEqual(problemOf(answer), {
      type: 'urn:myesi-gateway:problem:no_route',
      title: 'No route matches this request',
      status: 404,
      outcome: 'refusal',
      reason: 'no_route',
    })
  })

  it('that do not take the method are 405 with those they take', async () => {
    const answer = await send(pipeline.port, { path: '/api/orders', method: 'DELETE' })
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.allow, 'GET, POST, HEAD')
    assert.equal(problemOf(answer)['reason'], 'method_not_allowed')
  })

  it('are never asked with TRACE, also those for every method', async () => {
    const calls = upstream.requests.length
    for (const path of ['/api/orders', '/in']) {
      const answer = await send(pipeline.port, { path, method: 'TRACE', headers: { Host: 'shop.example' } })
      assert.equal(answer.status, 405)
      assert.match(answer.headers.allow ?? '', /^GET, .*HEAD/)
      assert.equal(problemOf(answer)['reason'], 'method_not_allowed')
    }
    assert.equal(upstream.requests.length, calls)
  })

  it('that take GET take HEAD', async () => {
    const answer = await send(pipeline.port, { path: '/api/orders/7', method: 'HEAD' })
    assert.equal(answer.status, 200)
    assert.equal(upstream.requests.at(-1)?.method, 'HEAD')
  })
})
