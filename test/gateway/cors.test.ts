import assert from 'node:assert/strict'
import { problemOf, send, type Answer } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const SHOP = 'https://shop.example'

describe('CORS', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream((_request, response) => {
      response.setHeader('Access-Control-Allow-Origin', 'https://upstream.example')
      response.setHeader('Access-Control-Allow-Credentials', 'true')
      response.setHeader('Access-Control-Expose-Headers', 'X-Upstream')
      response.setHeader('Vary', 'Accept-Encoding')
      response.end('ok')
    })
    const origins = [SHOP, 'https://*.shop.example', 'http://localhost:3000']
    pipeline = await startPipeline({
      entrypoint: { trustedProxies: ['127.0.0.1'] },
      consumers: { page: { apiKeys: [`sha256:${'0'.repeat(64)}`] } },
      upstreams: { app: { targets: [upstream.url] }, gone: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        {
          name: 'app',
          match: { path: '/app', methods: ['GET', 'POST'] },
          upstream: 'app',
          access: { deny: ['192.0.2.1'] },
          cors: { origins, credentials: true, exposeHeaders: ['X-Total'], maxAge: '10m' },
          responseHeaders: { set: { 'X-Frame-Options': 'DENY' } },
        },
        { name: 'put', match: { path: '/app', methods: ['PUT', 'OPTIONS'] }, upstream: 'app' },
        { name: 'any', match: { path: '/any' }, upstream: 'app', cors: { origins: ['*'], headers: ['X-A', 'X-B'] } },
        { name: 'theirs', match: { path: '/theirs' }, upstream: 'app' },
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone', cors: { origins: [SHOP] } },
        {
          name: 'limited',
          match: { path: '/limited' },
          upstream: 'app',
          rateLimit: { limit: 1, window: '1h' },
          cors: { origins: [SHOP] },
        },
        {
          name: 'asked',
          match: { path: '/asked' },
          upstream: 'app',
          rateLimit: { limit: 1, window: '1h' },
          cors: { origins: [SHOP] },
        },
        {
          name: 'locked',
          match: { path: '/locked' },
          upstream: 'app',
          auth: { apiKey: { header: 'x-api-key' } },
          cors: { origins: [SHOP] },
        },
      ],
    })
  })
  beforeEach(() => {
    upstream.requests.length = 0
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  function ask(path: string, method: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const question = { origin: SHOP, 'access-control-request-method': method }
    return send(pipeline.port, { path, method: 'OPTIONS', headers: { ...question, ...headers } })
  }
  function get(path: string, origin?: string): Promise<Answer> {
    return send(pipeline.port, { path, headers: origin === undefined ? {} : { origin } })
  }
  const allowedOrigin = ({ headers }: Answer): string | undefined => headers['access-control-allow-origin']

  describe('preflight requests', () => {
    it('are answered by the gateway, for the route that takes the requested method', async () => {
      const before = pipeline.counted.length
      const answer = await ask('/app', 'POST', { 'access-control-request-headers': 'content-type,x-api-key' })
      assert.deepEqual([answer.status, answer.text], [204, ''])
      assert.equal(allowedOrigin(answer), SHOP)
      assert.equal(answer.headers['access-control-allow-credentials'], 'true')
      assert.equal(answer.headers['access-control-allow-methods'], 'GET, POST')
      assert.equal(answer.headers['access-control-allow-headers'], 'content-type,x-api-key')
      assert.equal(answer.headers['access-control-max-age'], '600')
      assert.match(answer.headers.vary ?? '', /^Origin, /)
      assert.equal(answer.headers['x-frame-options'], 'DENY', 'what the route sets is on this answer too')
      assert.deepEqual(upstream.requests, [])
      assert.deepEqual((await pipeline.ended(before + 1)).slice(before), [
        { route: '/app', outcome: 'ok', reason: undefined },
      ])
    })

    it('get the fields and origins that the route allows, also when it allows any origin', async () => {
      const answer = await ask('/any', 'DELETE', { 'access-control-request-headers': 'x-evil' })
      assert.equal(answer.headers['access-control-allow-headers'], 'x-a, x-b')
      assert.equal(answer.headers['access-control-allow-methods'], 'GET, HEAD, POST, PUT, PATCH, DELETE, QUERY')
      assert.equal(allowedOrigin(answer), '*')
    })

    it('are answered before credentials and limits are checked', async () => {
      for (let i = 0; i < 3; i++) {
        assert.equal((await ask('/locked', 'GET')).status, 204)
        assert.equal((await ask('/asked', 'GET')).status, 204)
      }
      assert.equal((await get('/asked', SHOP)).status, 200, 'nothing was counted')
    })

    it('get no permission for an origin that is not allowed', async () => {
      const answer = await ask('/app', 'GET', { origin: 'https://evil.example' })
      assert.equal(answer.status, 204)
      const names = Object.keys(answer.headers).filter(name => name.startsWith('access-control-'))
      assert.deepEqual(names, [])
    })

    it('are refused for a client that the access lists deny', async () => {
      assert.equal((await ask('/app', 'GET', { 'x-forwarded-for': '192.0.2.1' })).status, 403)
    })

    it('go to the upstream where the route leaves CORS to it', async () => {
      assert.equal(allowedOrigin(await ask('/theirs', 'GET')), 'https://upstream.example')
      assert.equal(allowedOrigin(await ask('/app', 'PUT')), 'https://upstream.example')
      assert.deepEqual(
        upstream.requests.map(({ method }) => method),
        ['OPTIONS', 'OPTIONS'],
      )
    })

    it('get 404 where no route would take the request', async () => {
      assert.equal((await ask('/nowhere', 'GET')).status, 404)
    })

    it('are told from plain OPTIONS requests, which are handled like any other request', async () => {
      const answer = await send(pipeline.port, { path: '/any', method: 'OPTIONS', headers: { origin: SHOP } })
      assert.deepEqual([answer.status, answer.text], [200, 'ok'])
    })
  })

  it('replaces the CORS fields of the upstream in responses', async () => {
    const answer = await get('/app', SHOP)
    assert.equal(answer.text, 'ok')
    assert.equal(allowedOrigin(answer), SHOP)
    assert.equal(answer.headers['access-control-allow-credentials'], 'true')
    assert.equal(answer.headers['access-control-expose-headers'], 'x-total')
    assert.equal(answer.headers.vary, 'Accept-Encoding, Origin')
  })

  it('sends the same response to all origins where all are allowed', async () => {
    for (const origin of [SHOP, 'null', undefined]) {
      const answer = await get('/any', origin)
      assert.equal(allowedOrigin(answer), '*')
      assert.equal(answer.headers['access-control-allow-credentials'], undefined)
      assert.equal(answer.headers.vary, 'Accept-Encoding')
    }
  })

  const ORIGINS: readonly (readonly [origin: string, mayRead: boolean])[] = [
    [SHOP, true],
    ['https://a.shop.example', true],
    ['https://a.b.shop.example', true],
    ['http://localhost:3000', true],
    ['http://localhost', false],
    ['http://localhost:30001', false],
    ['http://shop.example', false],
    ['http://a.shop.example', false],
    ['https://shop.example:8443', false],
    ['https://a.shop.example:8443', false],
    ['https://evilshop.example', false],
    ['https://shop.example.evil.example', false],
    ['https://evil.example/.shop.example', false],
    ['https://evil.example?.shop.example', false],
    ['https://evil.example#.shop.example', false],
    ['https://evil.example\\.shop.example', false],
    ['https://user@a.shop.example', false],
    ['https://.shop.example', false],
    ['https://*.shop.example', false],
    ['null', false],
    ['*', false],
    ['', false],
  ]
  for (const [origin, mayRead] of ORIGINS) {
    it(`responses ${mayRead ? 'may' : 'may not'} be read by ${JSON.stringify(origin)}`, async () => {
      const answer = await get('/app', origin)
      assert.equal(answer.text, 'ok', 'it is the browser that decides')
      assert.equal(allowedOrigin(answer), mayRead ? origin : undefined)
      assert.equal(answer.headers['access-control-allow-credentials'], mayRead ? 'true' : undefined)
      assert.equal(answer.headers.vary, 'Accept-Encoding, Origin')
    })
  }

  it('sends Vary, so that caches keep responses to different origins apart, also without an Origin', async () => {
    const answer = await get('/app')
    assert.equal(allowedOrigin(answer), undefined)
    assert.equal(answer.headers.vary, 'Accept-Encoding, Origin')
  })

  it('adds its fields to local replies, so that a page can read why its request failed', async () => {
    await get('/limited', SHOP)
    for (const [path, status, reason] of [
      ['/gone', 502, 'connect_refused'],
      ['/limited', 429, 'limited'],
      ['/locked', 401, 'unauthenticated'],
    ] as const) {
      const answer = await get(path, SHOP)
      assert.deepEqual([answer.status, problemOf(answer)['reason']], [status, reason])
      assert.equal(allowedOrigin(answer), SHOP, path)
      assert.equal(answer.headers.vary, 'Origin')
    }
  })
})
