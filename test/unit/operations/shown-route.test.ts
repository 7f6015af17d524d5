import assert from 'node:assert/strict'
import { textsAbout } from '../../../src/operations/route-wording'
import { routesPage } from '../../../src/operations/routes-page'
import { shownRoutes } from '../../../src/operations/shown-route'
import { configOf } from '../../support/ops-sources'

const UPSTREAMS = {
  orders: { targets: ['http://127.0.0.1:9001', 'http://127.0.0.1:9002'], timeouts: { connect: '2s', response: '10s' } },
  patient: { targets: ['http://127.0.0.1:9003'], retries: { attempts: 3 } },
}
const CONSUMERS = { acme: { tier: 'gold', apiKeys: [`sha256:${'0a'.repeat(32)}`] } }
const TOKENS = { sso: { issuer: 'https://login.example/', audience: 'orders', jwks: 'https://login.example/keys' } }

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
        { upstream: null, redirect: null, respond: { status: 404, bodyBytes: 6 }, maintenance: false, rewrite: {} },
        { upstream: 'orders', redirect: null, respond: null, maintenance: true, rewrite: { addPrefix: '/v2' } },
      ],
    )
    const page = pageOf(routes)
    for (const text of ['302 to /new/*', 'fixed response 404, 6 bytes', '503 for maintenance', 'with /v2 in front']) {
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
    assert.ok(pageOf(routes).includes('request with authorization set, x-kind added, cookie removed'))
    assert.deepEqual(route.rewrite, { stripPrefix: '/a', addPrefix: '/v2' })
    assert.deepEqual([route.exact, route.headers], [true, { 'x-version': '2' }])
    assert.doesNotMatch(JSON.stringify(routes) + pageOf(routes), /secret/)
  })

  it('says who is let in', () => {
    const [open, closed] = shown(
      { match: { path: '/a' }, upstream: 'orders' },
      {
        match: { path: '/b' },
        upstream: 'orders',
        access: { allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'], certificates: [] },
        auth: { apiKey: { header: 'X-Api-Key' }, scopes: ['orders:read'] },
        websocket: false,
        maxBodySize: '1KiB',
        minUploadRate: '0B',
      },
    )
    assert.deepEqual(
      [open?.auth, open?.access, open?.webSocket, open?.maxBodyBytes, open?.minUploadRate],
      [null, [], { idleMs: 300_000 }, null, 100],
    )
    assert.deepEqual(closed?.auth, {
      apiKeyHeader: 'x-api-key',
      tokens: null,
      basic: false,
      external: null,
      certificate: false,
      scopes: ['orders:read'],
    })
    assert.deepEqual(closed.access, [{ allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'], certificates: [] }])
    assert.deepEqual([closed.webSocket, closed.maxBodyBytes, closed.minUploadRate], [null, 1_024, 0])
  })

  it('says whose tokens are taken, and never what they are checked with', () => {
    const auth = { apiKey: {}, jwt: { tokens: 'sso' }, scopes: ['orders:read'] }
    const routes = shown({ match: { path: '/a' }, upstream: 'orders', auth })
    assert.deepEqual(routes[0]?.auth, {
      apiKeyHeader: 'x-api-key',
      tokens: 'sso',
      basic: false,
      external: null,
      certificate: false,
      scopes: ['orders:read'],
    })
    assert.ok(pageOf(routes).includes('API key (header x-api-key) or token (sso), scope orders:read'))
    assert.doesNotMatch(JSON.stringify(routes) + pageOf(routes), /login\.example/)
  })

  it('says which pages of other origins may use it', () => {
    const cors = { origins: ['https://*.shop.example'], methods: ['GET'], credentials: true, maxAge: '1m' }
    const routes = shown({ match: { path: '/a' }, upstream: 'orders', cors })
    assert.deepEqual(routes[0]?.cors, {
      origins: ['https://*.shop.example'],
      methods: ['GET'],
      headers: null,
      exposeHeaders: [],
      credentials: true,
      maxAgeSeconds: 60,
    })
    assert.ok(pageOf(routes).includes('pages of https://*.shop.example by GET with credentials'))
  })

  it('says of WebSockets what is not as always', () => {
    const routes = shown(
      { match: { path: '/a' }, upstream: 'orders', websocket: { idleTimeout: '10m' } },
      { match: { path: '/b' }, upstream: 'orders', websocket: false },
      { match: { path: '/c' }, upstream: 'orders' },
      { match: { path: '/d' }, respond: {} },
    )
    assert.deepEqual(
      routes.map(route => textsAbout(route, 'changes', 'upgrades')),
      [['WebSockets silent for up to 10m'], ['no WebSockets'], [], []],
    )
  })

  it('says beside all of them when requests are turned away whatever their route', () => {
    const [route] = shown({ match: { path: '/a' }, upstream: 'orders' })
    assert.ok(route)
    const page = (maxRequests: number, maxEventLoopDelayMs: number): string =>
      String(routesPage([route], { maxRequests, maxEventLoopDelayMs }))
    assert.ok(page(50, 250).includes('503 above 50 requests at once or 250ms of event loop delay'))
    assert.ok(page(0, 250).includes('503 above 250ms of event loop delay'))
    assert.doesNotMatch(page(0, 0), /All routes/)
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
        tiers: {},
        windowMs: 86_400_000,
        algorithm: 'fixed-window',
        key: ['header:x-tenant'],
        bypass: [],
        dryRun: true,
        onStoreFailure: 'local',
      },
    ])
  })

  it('says by how much the limits of tiers differ', () => {
    const rateLimit = { limit: 60, window: '1m', key: 'consumer', tiers: { gold: 1_000 }, onStoreFailure: 'closed' }
    const routes = shown({ match: { path: '/a' }, upstream: 'orders', auth: { apiKey: {} }, rateLimit })
    assert.deepEqual(routes[0]?.rateLimits[0]?.tiers, { gold: 1_000 })
    assert.ok(pageOf(routes).includes('60 per 1m by consumer (gold 1000, closed without Redis)'))
  })
})

function shown(...routes: object[]): ReturnType<typeof shownRoutes> {
  const named = routes.map((route, index) => ({ name: String.fromCharCode(97 + index), ...route }))
  return shownRoutes(configOf({ consumers: CONSUMERS, tokens: TOKENS, upstreams: UPSTREAMS, routes: named }))
}

function pageOf(routes: ReturnType<typeof shownRoutes>): string {
  return String(routesPage(routes, { maxRequests: 0, maxEventLoopDelayMs: 0 }))
}
