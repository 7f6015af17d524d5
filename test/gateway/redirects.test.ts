import assert from 'node:assert/strict'
import { rawExchange } from '../support/raw-http'
import { send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'

describe('redirects', () => {
  let pipeline: Pipeline

  before(async () => {
    const route = (path: string, redirect: object, more: object = {}): object => ({
      name: path.slice(1).replaceAll(/\W/g, '-'),
      match: { path },
      redirect,
      ...more,
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        route('/alone', { to: '/new' }),
        route('/old', { to: '/new/*' }),
        {
          name: 'everything',
          match: { path: '/:path', host: 'old.example' },
          redirect: { to: 'https://new.example/*' },
        },
        route('/users/:id', { to: '/people/*', status: 302 }),
        route('/moved', { to: 'HTTPS://Shop.Example/*', status: 301 }),
        route('/shop', { to: 'https://shop.example:8443/a/*', status: 307 }),
        route('/site', { to: 'https://shop.example' }),
        route('/top', { to: '/*' }),
        route('/with', { to: '/new?from=old', status: 303 }),
        route(
          '/edited',
          { to: '/new' },
          { responseHeaders: { set: { 'Cache-Control': 'no-store', Location: '/evil' } } },
        ),
        route('/limited', { to: '/new' }, { rateLimit: { limit: 1, window: '1m' } }),
      ],
    })
  })
  after(() => pipeline.stop())

  const CASES: Readonly<Record<string, readonly [number, string]>> = {
    '/alone': [308, '/new'],
    '/alone/a/b?c=d': [308, '/new?c=d'],
    '/old': [308, '/new'],
    '/old/': [308, '/new/'],
    '/old/a/b/?c=d&e': [308, '/new/a/b/?c=d&e'],
    '/old?': [308, '/new'],
    '/old/%7Ea/caf%c3%a9': [308, '/new/~a/caf%C3%A9'],
    '/users/7': [302, '/people'],
    '/users/7/orders/8': [302, '/people/orders/8'],
    '/moved': [301, 'https://shop.example/'],
    '/moved?a': [301, 'https://shop.example/?a'],
    '/moved/a': [301, 'https://shop.example/a'],
    '/shop': [307, 'https://shop.example:8443/a'],
    '/shop/b?c': [307, 'https://shop.example:8443/a/b?c'],
    '/site/b?c': [308, 'https://shop.example/?c'],
    '/with/a?c=d': [303, '/new?from=old&c=d'],
    '/top': [308, '/'],
    '/top?a': [308, '/?a'],
    '/top/a': [308, '/a'],
  }
  for (const [path, [status, location]] of Object.entries(CASES)) {
    it(`lead from ${path} to ${location}`, async () => {
      const answer = await send(pipeline.port, path)
      assert.deepEqual([answer.status, answer.headers.location, answer.text], [status, location, ''])
      assert.equal(answer.headers['content-length'], '0')
    })
  }

  it('move a whole host if the path consists of parameters only', async () => {
    for (const path of ['/a', '/a/b/c?d=e']) {
      const { headers } = await send(pipeline.port, { path, headers: { host: 'old.example' } })
      assert.equal(headers.location, `https://new.example${path}`)
    }
  })

  const SITE = 'http://gateway.example'
  for (const path of [
    '/top//evil.example',
    '/top///evil.example/a',
    '//top//evil.example',
    '/top/%2F/evil.example',
    '/top/%2fevil.example',
    '/top/\\evil.example',
    '/top/%5cevil.example',
    '/top/.//evil.example',
    '/top/..//evil.example',
    '/top/@evil.example',
    '/top/:80@evil.example',
    '/top/%09/evil.example',
    '/top/https://evil.example',
    '/top?//evil.example',
    '/moved/@evil.example',
    '/moved//evil.example',
    '/moved/.evil.example',
  ]) {
    it(`cannot be made to lead to another site: ${path}`, async () => {
      const { status, headers } = await send(pipeline.port, path)
      if (status === 400) return
      const { host } = new URL(headers.location ?? '', SITE)
      assert.equal(host, path.startsWith('/moved') ? 'shop.example' : 'gateway.example')
    })
  }

  it('never send invalid header bytes, because the parser rejects such a request', async () => {
    for (const byte of ['\xe9', '\x7f', '\t', '\0']) {
      const answer = await rawExchange(pipeline.port, `GET /old?a=${byte} HTTP/1.1\r\nHost: a\r\n\r\n`)
      assert.match(answer, /^HTTP\/1\.1 400 /)
    }
  })

  it('answer any method, and HEAD without a body like GET', async () => {
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await send(pipeline.port, { path: '/old/a', method, ...(method === 'PUT' && { body: 'hello' }) })
      assert.deepEqual([answer.status, answer.headers.location, answer.text], [308, '/new/a', ''], method)
    }
    assert.equal((await send(pipeline.port, { path: '/old/a', method: 'TRACE' })).status, 405)
  })

  it('also answer a WebSocket handshake', async () => {
    const upgrade =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    const answer = await rawExchange(pipeline.port, `GET /old/a HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n\r\n`, 10_000)
    assert.match(answer, /^HTTP\/1\.1 308 /)
    assert.match(answer, /\r\nLocation: \/new\/a\r\n/)
  })

  it('carry the header fields of the route, except those that they set themselves', async () => {
    const { headers } = await send(pipeline.port, '/edited')
    assert.deepEqual([headers['cache-control'], headers.location], ['no-store', '/new'])
  })

  it('count against the limits of their route', async () => {
    const first = await send(pipeline.port, '/limited')
    assert.deepEqual([first.status, typeof first.headers.ratelimit], [308, 'string'])
    assert.equal((await send(pipeline.port, '/limited')).status, 429)
  })

  it('close a connection whose request body has not arrived completely', async () => {
    const request = 'POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n'
    const answer = await rawExchange(pipeline.port, request, 10_000)
    assert.match(answer, /\r\nConnection: close\r\n/)
  })
})
