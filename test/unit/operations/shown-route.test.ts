import assert from 'node:assert/strict'
import { routesPage } from '../../../src/operations/routes-page'
import { shownRoutes } from '../../../src/operations/shown-route'
import { configOf } from '../../support/ops-sources'

const UPSTREAMS = {
  orders: { targets: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'], timeouts: { connect: '2s', response: '10s' } },
  patient: { targets: ['http://127.0.0.1:9003'], retries: { attempts: 3 } },
}

describe('a route as it is shown', () => {
  it('says what it is asked by and where it leads', () => {
    const [route] = shown({ match: { path: '/a', host: '*.example.com', methods: ['GET'] }, upstream: 'orders' })
    assert.equal(route?.name, 'a')
    assert.deepEqual([route.host, route.methods, route.path], ['*.example.com', ['GET'], '/a'])
    assert.deepEqual([route.upstream, route.targets], ['orders', ['http://127.0.0.1:9001', 'http://127.0.0.1:9002']])
  })

  it('says what answers in the place of an upstream, and what is closed', () => {
    const routes = shown(
      { match: { path: '/a' }, redirect: { to: '/new/*', status: 302 } },
      { match: { path: '/b' }, respond: { status: 404, body: 'secret' } },
      { match: { path: '/c' }, upstream: 'orders', maintenance: true, rewrite: { addPrefix: '/v2' } },
    )
    assert.deepEqual(
      routes.map(({ upstream, redirect, respond, maintenance, rewrite }) => ({
        upstream,
        redirect,
        respond,
        maintenance,
        rewrite,
      })),
      [
        { upstream: null, redirect: { to: '/new/*', status: 302 }, respond: null, maintenance: false, rewrite: {} },
        { upstream: null, redirect: null, respond: { status: 404 }, maintenance: false, rewrite: {} },
        { upstream: 'orders', redirect: null, respond: null, maintenance: true, rewrite: { addPrefix: '/v2' } },
      ],
    )
    const page = String(routesPage(routes))
    for (const text of ['302 to <code>/new/*</code>', '404, the same for all', 'closed for maintenance', '/v2']) {
      assert.ok(page.includes(text), text)
    }
    assert.doesNotMatch(page, /secret/)
  })

  it('says with null that any host and method will do', () => {
    const [route] = shown({ match: { path: '/a' }, upstream: 'orders' })
    assert.deepEqual([route?.host, route?.methods], [null, null])
  })

  it('says what is edited without saying what is put there, which may be a credential', () => {
    const edits = { set: { authorization: 'Bearer secret' }, add: { 'x-kind': 'secret' }, remove: ['cookie'] }
    const routes = shown({
      match: { path: '/a', headers: { 'x-version': '2' }, exact: true },
      upstream: 'orders',
      requestHeaders: edits,
      rewrite: { stripPrefix: '/a', addPrefix: '/v2' },
    })
    const [route] = routes
    assert.deepEqual(route?.requestHeaders, { set: ['authorization'], add: ['x-kind'], remove: ['cookie'] })
    assert.deepEqual(route.responseHeaders, { set: [], add: [], remove: [] })
    assert.deepEqual(route.rewrite, { stripPrefix: '/a', addPrefix: '/v2' })
    assert.deepEqual([route.exact, route.headers], [true, { 'x-version': '2' }])
    assert.doesNotMatch(JSON.stringify(routes), /secret/)
  })

  it('says who is let in', () => {
    const [open, closed] = shown(
      { match: { path: '/a' }, upstream: 'orders' },
      {
        match: { path: '/b' },
        upstream: 'orders',
        access: { allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] },
        auth: { apiKey: { header: 'X-Api-Key' }, scopes: ['orders:read'] },
        websocket: false,
        maxBodySize: '1KiB',
      },
    )
    assert.deepEqual([open?.auth, open?.access, open?.webSocket, open?.maxBodyBytes], [null, [], true, null])
    assert.deepEqual(closed?.auth, { apiKeyHeader: 'x-api-key', scopes: ['orders:read'] })
    assert.deepEqual(closed.access, [{ allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] }])
    assert.deepEqual([closed.webSocket, closed.maxBodyBytes], [false, 1_024])
  })

  it('has the timeouts of its upstream, but for its own', () => {
    const [route] = shown({ match: { path: '/a' }, upstream: 'orders', timeouts: { response: '3s', total: '1m' } })
    assert.deepEqual(route?.timeouts, { connectMs: 2_000, responseMs: 3_000, idleMs: 3_000, totalMs: 60_000 })
  })

  it('says how often its upstream may be called for one request', () => {
    const routes = shown(
      { match: { path: '/a' }, upstream: 'patient' },
      { match: { path: '/b' }, upstream: 'patient', retry: 'never' },
      { match: { path: '/c' }, upstream: 'orders' },
    )
    assert.deepEqual(
      routes.map(({ attempts }) => attempts),
      [3, 1, 1],
    )
  })

  it('says how its clients are limited', () => {
    const rateLimit = [{ name: 'daily', limit: 5000, window: '1d', key: ['header:x-tenant'], dryRun: true }]
    const [route] = shown({ match: { path: '/a' }, upstream: 'orders', rateLimit })
    assert.deepEqual(route?.rateLimits, [
      {
        policy: 'daily',
        limit: 5_000,
        windowMs: 86_400_000,
        algorithm: 'fixed-window',
        key: ['header:x-tenant'],
        bypass: [],
        dryRun: true,
        onStoreFailure: 'local',
      },
    ])
  })
})

function shown(...routes: object[]): ReturnType<typeof shownRoutes> {
  const named = routes.map((route, index) => ({ name: String.fromCharCode(97 + index), ...route }))
  return shownRoutes(configOf({ upstreams: UPSTREAMS, routes: named }))
}
