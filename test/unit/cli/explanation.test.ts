import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { explain } from '../../../src/cli/explanation'
import { arrivalOf, type TypedRequest } from '../../../src/cli/simulated-request'
import { parseGatewayFile } from '../../../src/config/gateway-file'
import { formatProblems } from '../../../src/config/problems'

const KEY = 'a-key-of-the-shop-0123456789'
const FILE = {
  entrypoint: { trustedProxies: ['10.0.0.0/8'], maxHeaderSize: '1KiB' },
  consumers: { shop: { tier: 'gold', apiKeys: [`sha256:${createHash('sha256').update(KEY).digest('hex')}`] } },
  tokens: { sso: { issuer: 'https://login.example/', audience: 'orders', jwks: 'https://127.0.0.1:1/keys' } },
  upstreams: {
    orders: {
      targets: ['http://127.0.0.1:9001', { url: 'http://127.0.0.1:9002', weight: 2 }],
      retries: { attempts: 2 },
    },
    other: { targets: ['http://127.0.0.1:9003'] },
  },
  routes: [
    {
      name: 'orders',
      match: { path: '/api/orders', methods: ['GET', 'POST'] },
      upstream: 'orders',
      rewrite: { stripPrefix: '/api' },
      rateLimit: { limit: 100, window: '1m' },
    },
    { name: 'order', match: { path: '/api/orders/:id' }, upstream: 'other', access: { deny: ['203.0.113.0/24'] } },
    { name: 'moved', match: { path: '/moved' }, redirect: { to: 'https://new.example/*' } },
    { name: 'closed', match: { path: '/closed' }, upstream: 'other', maintenance: true },
    {
      name: 'keyed',
      match: { path: '/keyed' },
      upstream: 'other',
      auth: { apiKey: { header: 'x-api-key' } },
      rateLimit: { limit: 5, window: '1s', key: 'consumer', tiers: { gold: 50 } },
    },
    {
      name: 'shared',
      match: { path: '/shared', methods: ['POST'] },
      upstream: 'other',
      access: { deny: ['203.0.113.0/24'] },
      cors: { origins: ['https://*.shop.example'] },
      auth: { jwt: { tokens: 'sso' }, scopes: ['orders:read'] },
    },
    {
      name: 'edited',
      match: { path: '/edited' },
      upstream: 'other',
      requestHeaders: { set: { 'x-key': 'secret' }, remove: ['cookie'] },
      responseHeaders: { add: { vary: 'accept' } },
      maxBodySize: '1KiB',
      websocket: false,
    },
    { name: 'live', match: { path: '/conversations' }, upstream: 'other', websocket: { idleTimeout: '10m' } },
    {
      name: 'canary',
      match: { path: '/canary' },
      split: {
        variants: [
          { name: 'stable', upstream: 'orders', weight: 95 },
          { name: 'next', upstream: 'other', weight: 5, match: { headers: { 'x-canary': 'always' } } },
        ],
      },
    },
  ],
}
const UPGRADE = [
  'Connection: upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

async function explained(request: Partial<TypedRequest>, file: object = FILE): Promise<string[]> {
  const { config, problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
  if (!config) throw new Error(formatProblems(problems))
  const usual = {
    method: 'GET',
    scheme: 'http',
    authority: 'localhost',
    target: '/',
    headers: [],
    peer: '127.0.0.1',
  } as const
  const typed = { ...usual, ...request }
  const lines = await explain(
    config,
    typed,
    await arrivalOf(
      typed,
      config.entrypoint,
      config.routes.some(({ rawPath }) => rawPath),
    ),
  )
  return lines.map(([subject, text]) => `${subject} ${text}`)
}

describe('the explanation of a request', () => {
  it('names the place that each inherited key comes from', async () => {
    const defaults = { routes: { maxBodySize: '1KiB' }, upstreams: { panicThreshold: 10 } }
    const lines = await explained(
      { target: '/closed' },
      { ...FILE, defaults, routes: [{ ...FILE.routes[7], name: 'live', match: { path: '/closed' } }] },
    )
    const from = lines.filter(line => line.startsWith('from'))
    assert.equal(from.length, 2)
    assert.match(from[0] ?? '', /^from\s+maxBodySize: defaults\.routes \(.+:1\)$/)
    assert.match(from[1] ?? '', /^from\s+upstream other, panicThreshold: defaults\.upstreams \(.+:1\)$/)
  })

  it('tells route, limits, what is forwarded and where to', async () => {
    assert.deepEqual(await explained({ target: '/api/orders?page=2', authority: 'Shop.example:8000' }), [
      'path /api/orders',
      'host shop.example',
      'client 127.0.0.1',
      'route orders: GET,POST /api/orders',
      'limit 100 per 1m by client',
      'and 503 above 10000 requests at once or 500ms of event loop delay',
      'forward GET /orders?page=2',
      'to orders: http://127.0.0.1:9001, http://127.0.0.1:9002 (weight 2) by round-robin, up to 2 attempts, response within 30s',
    ])
  })

  it('tells the variant of a split and why, or all that may be drawn', async () => {
    const variants = async (headers: string[] = []): Promise<string[]> =>
      (await explained({ target: '/canary', headers })).filter(line => /^(?:variant|to) /.test(line))
    const toNext = 'to other: http://127.0.0.1:9003, response within 30s'
    assert.deepEqual(await variants(['x-canary: always']), ['variant next, its match selects the request', toNext])
    const drawn = await variants()
    assert.deepEqual([drawn[0], ...drawn.slice(2)], ['variant stable, 95 %', 'variant next, 5 %', toNext])
    const sticky = await variants(['cookie: gateway-variant=00000001'])
    assert.match(sticky[0] ?? '', /^variant (?:stable|next), by cookie gateway-variant$/)
    assert.equal(sticky.length, 2)
  })

  it('tells which other routes match, and why they come later', async () => {
    const lines = await explained({ target: '/api/orders/7' })
    assert.deepEqual(lines.slice(3, 5), [
      'route order: any method /api/orders/:id',
      'not orders: GET,POST /api/orders, which also matches; a longer path comes first',
    ])
  })

  it('tells what normalisation did', async () => {
    const [path] = await explained({ target: '//api/%6frders' })
    assert.equal(path, 'path /api/orders, normalised from //api/%6frders')
  })

  it('tells who the client is behind a proxy', async () => {
    const headers = ['X-Forwarded-For: 203.0.113.7']
    const lines = await explained({ target: '/api/orders/7', headers, peer: '10.0.0.1' })
    assert.equal(lines[2], 'client 203.0.113.7, reported by the trusted proxy')
    assert.equal(lines.at(-1), 'answer 403 Not allowed (forbidden): the address is not let in')
  })

  it('tells who is let in with a credential, and that nobody is without', async () => {
    assert.deepEqual((await explained({ target: '/keyed' })).slice(4), [
      'auth API key (header x-api-key)',
      'answer 401 Credentials are missing or not valid (unauthenticated): no credentials',
    ])
    const lines = await explained({ target: '/keyed', headers: [`X-Api-Key: ${KEY}`] })
    assert.equal(lines[4], 'auth API key (header x-api-key); this is shop')
    assert.equal(lines[5], 'limit 5 per 1s by consumer (gold 50)')
    assert.ok(lines.includes('forward GET /keyed'))
  })

  it('tells whose tokens are asked for', async () => {
    const lines = await explained({ target: '/shared', method: 'POST' })
    assert.ok(lines.includes('auth token (sso), scope orders:read'), lines.join('\n'))
    assert.match(lines.at(-1) ?? '', /^answer 401 /)
  })

  it('tells whether a page of another origin may use the route', async () => {
    const from = async (origin: string): Promise<string | undefined> =>
      (await explained({ target: '/shared', method: 'POST', headers: [`Origin: ${origin}`] }))[4]
    const pages = 'cors pages of https://*.shop.example'
    assert.equal(await from('https://a.shop.example'), `${pages}; https://a.shop.example is one of them`)
    assert.equal(await from('https://evil.example'), `${pages}; https://evil.example is not one of them`)
  })

  it('tells what a browser is told that asks first, by the route of the method it asks about', async () => {
    const headers = ['Origin: https://a.shop.example', 'Access-Control-Request-Method: POST']
    assert.deepEqual((await explained({ target: '/shared', method: 'OPTIONS', headers })).slice(3), [
      'route shared: POST /shared',
      'cors pages of https://*.shop.example; https://a.shop.example is one of them',
      'answer 204 to the preflight request',
    ])
  })

  it('tells a browser that asks from an address that is not let in what the gateway tells it', async () => {
    const headers = ['Origin: https://a.shop.example', 'Access-Control-Request-Method: POST']
    const request = { target: '/shared', method: 'OPTIONS', headers, peer: '203.0.113.7' }
    assert.equal((await explained(request)).at(-1), 'answer 403 Not allowed (forbidden): the address is not let in')
  })

  it('tells which header fields are edited, and never their values', async () => {
    const lines = await explained({ target: '/edited' })
    assert.deepEqual(lines.slice(4, 8), [
      'and bodies up to 1KiB',
      'and request with x-key set, cookie removed',
      'and response with vary added',
      'and no WebSockets',
    ])
    assert.doesNotMatch(lines.join('\n'), /secret/)
  })

  it('tells that a body is too large', async () => {
    const lines = await explained({ target: '/edited', method: 'POST', headers: ['Content-Length: 2000'] })
    assert.match(lines.at(-1) ?? '', /^answer 413 .*\(body_too_large\)$/)
  })

  it('tells what becomes of a WebSocket', async () => {
    const lines = await explained({ target: '/conversations', headers: UPGRADE })
    assert.ok(lines.includes('and WebSockets silent for up to 10m'), lines.join('\n'))
    assert.ok(lines.includes('forward GET /conversations as a WebSocket'), lines.join('\n'))
    const refused = await explained({ target: '/edited', headers: UPGRADE })
    assert.equal(refused.at(-1), 'answer 403 Not allowed (forbidden): no WebSockets on this route')
  })

  it('tells what the gateway answers in the place of an upstream', async () => {
    assert.equal((await explained({ target: '/moved/a' })).at(-1), 'answer 308 to https://new.example/*')
    assert.match((await explained({ target: '/closed' })).at(-1) ?? '', /^answer 503 .*\(maintenance\)$/)
  })

  for (const [what, request, expected] of [
    ['a method that no route has', { target: '/api/orders', method: 'DELETE' }, ['answer 405', 'not orders']],
    [
      'a path that no route has, with the nearest ones',
      { target: '/api/order' },
      ['answer 404', 'nearest orders', 'nearest order', 'nearest'],
    ],
    ['the own pages of the gateway', { target: '/metrics' }, ['answer the gateway answers /metrics itself']],
    [
      'what is below them',
      { target: '/metrics/x' },
      [
        'answer 404 No route matches this request (no_route): a route takes it by the path / or /metrics, not by a parameter',
      ],
    ],
  ] as const) {
    it(`tells of ${what}`, async () => {
      const lines = (await explained(request)).slice(3)
      assert.equal(lines.length, expected.length)
      for (const [index, line] of lines.entries()) assert.ok(line.startsWith(expected[index] ?? ''), line)
    })
  }

  it('tells that a route with rawPath forwards the path as it came', async () => {
    const routes = [{ name: 'npm', match: { path: '/npm' }, upstream: 'other', rawPath: true }]
    const lines = await explained({ target: '/npm/@a%2fb' }, { upstreams: { other: FILE.upstreams.other }, routes })
    assert.ok(lines.includes('forward GET /npm/@a%2fb, as it came'), lines.join('\n'))
  })

  for (const [what, request, expected] of [
    [
      'a path for which no route has rawPath',
      { target: '/projects/group%2fname' },
      'answer 400 The request is malformed (bad_request): ambiguous path: only routes with "rawPath" take %2F',
    ],
    ['an ambiguous path', { target: '/a/..%2fb' }, 'answer 400 The request is malformed (bad_request): ambiguous path'],
    [
      'two hosts',
      { headers: ['Host: a', 'Host: b'] },
      'answer 400 The request is malformed (bad_request): more than one Host',
    ],
    [
      'what Node does not take for a request',
      { method: 'G@T' },
      'answer 400 The request is malformed (bad_request): it is not a valid HTTP request',
    ],
    [
      'what is too large',
      { headers: [`x-large: ${'x'.repeat(2_000)}`] },
      'answer 431 The header section is too large (header_too_large): it is not a valid HTTP request',
    ],
  ] as const) {
    it(`tells that ${what} is refused as the gateway refuses it`, async () => {
      assert.deepEqual(await explained(request), [expected])
    })
  }
})
