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
        route('status', { path: '/status', exact: true, methods: ['GET'] }),
        route('tenant', { path: '/tenant', headers: { 'X-Tenant': 'acme' } }),
        route('typed', { path: '/typed', headers: { 'Content-Type': 'a/b' } }),
        route('tenant-exact', { path: '/tenant/:id', exact: true, methods: ['PUT'], headers: { 'x-tenant': 'acme' } }),
        route('shop', { path: '/in', host: 'shop.example' }),
        route('shops', { path: '/in', host: '*.shop.example' }),
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** The route template that the newest request was counted under. */
  async function routeOf(
    path: string,
    method = 'GET',
    host = 'other.example',
    fields: readonly string[] = [],
  ): Promise<string | undefined> {
    const before = pipeline.counted.length
    await send(pipeline.port, { path, method, headers: ['Host', host, ...fields] })
    return (await pipeline.ended(before + 1)).at(-1)?.route
  }

  it('are chosen by the most specific path that has the method', async () => {
    assert.equal(await routeOf('/api/orders'), '/api/orders')
    assert.equal(await routeOf('/api/orders/7/items?x=1'), '/api/orders/:id')
    assert.equal(await routeOf('/api/orders/7', 'POST'), '/api/orders')
    assert.equal(await routeOf('/api//orders/%37/'), '/api/orders/:id')
    assert.equal(await routeOf('/api/ordersx'), undefined)
  })

  it('are chosen by host, without regard to port and letter case', async () => {
    assert.equal(await routeOf('/in', 'GET', 'shop.example'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'SHOP.Example:8443'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'shop.example.'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'a.shop.example'), '/in')
    assert.equal(await routeOf('/in', 'GET', 'evilshop.example'), undefined)
    assert.equal(await routeOf('/in', 'GET', 'shop.example.evil.example'), undefined)
  })

  it('with an exact path do not match paths below it', async () => {
    assert.equal(await routeOf('/status?a=/b'), '/status')
    assert.equal(await routeOf('//st%61tus'), '/status')
    assert.equal(await routeOf('/status/'), undefined)
    assert.equal(await routeOf('/status/x'), undefined)
    assert.equal((await send(pipeline.port, { path: '/status', method: 'PUT' })).headers.allow, 'GET, HEAD')
    assert.equal((await send(pipeline.port, { path: '/status/x', method: 'PUT' })).status, 404)
  })

  it('are chosen by header fields, and a client cannot send such a field twice', async () => {
    const host = 'other.example'
    const acme = ['x-TENANT', 'acme'] as const
    assert.equal(await routeOf('/tenant', 'GET', host, acme), '/tenant')
    assert.equal(await routeOf('/tenant/7', 'PUT', host, acme), '/tenant/:id')
    assert.equal(await routeOf('/tenant/7', 'GET', host, acme), '/tenant')
    assert.equal(await routeOf('/tenant/7/8', 'PUT', host, acme), '/tenant')
    assert.equal(await routeOf('/tenant', 'GET', host), undefined)
    assert.equal(await routeOf('/tenant', 'GET', host, ['x-tenant', 'Acme']), undefined)
    assert.equal(await routeOf('/tenant', 'GET', host, [...acme, 'X-Tenant', 'evil']), undefined)
    assert.equal(await routeOf('/tenant', 'GET', host, ['x-tenant', 'acme, evil']), undefined)
  })

  it('are not chosen by the first of two fields when Node hides the second', async () => {
    const typed = (...types: readonly string[]): Promise<string | undefined> =>
      routeOf(
        '/typed',
        'GET',
        'other.example',
        types.flatMap(type => ['Content-Type', type]),
      )
    assert.equal(await typed('a/b'), '/typed')
    assert.equal(await typed('a/b', 'c/d'), undefined)
  })

  it('strip their prefix', async () => {
    const pathOf = async (path: string): Promise<unknown> => (await send(pipeline.port, path)).headers['x-path']
    assert.equal(await pathOf('/api/orders'), '/orders')
    assert.equal(await pathOf('/api/orders?a=/api/'), '/orders?a=/api/')
    assert.equal(await pathOf('/api/orders/7'), '/api/orders/7')
  })

  it('answer 404 for unknown paths, without naming existing routes', async () => {
    const answer = await send(pipeline.port, '/nowhere')
    assert.equal(answer.status, 404)
    assert.deepEqual(problemOf(answer), {
      type: 'tag:myesi-gateway,2026:no_route',
      title: 'No route matches this request',
      status: 404,
      outcome: 'refusal',
      reason: 'no_route',
    })
  })

  it('answer 405 for other methods, with Allow listing those they take', async () => {
    const answer = await send(pipeline.port, { path: '/api/orders', method: 'DELETE' })
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.allow, 'GET, POST, HEAD')
    assert.equal(problemOf(answer)['reason'], 'method_not_allowed')
  })

  it('never forward TRACE, not even with a route for every method', async () => {
    const calls = upstream.requests.length
    for (const path of ['/api/orders', '/in']) {
      const answer = await send(pipeline.port, { path, method: 'TRACE', headers: { Host: 'shop.example' } })
      assert.equal(answer.status, 405)
      assert.match(answer.headers.allow ?? '', /^GET, .*HEAD/)
      assert.equal(problemOf(answer)['reason'], 'method_not_allowed')
    }
    assert.equal(upstream.requests.length, calls)
  })

  it('for GET also take HEAD', async () => {
    const answer = await send(pipeline.port, { path: '/api/orders/7', method: 'HEAD' })
    assert.equal(answer.status, 200)
    assert.equal(upstream.requests.at(-1)?.method, 'HEAD')
  })
})
