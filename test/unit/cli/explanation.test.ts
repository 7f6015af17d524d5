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
  ],
}

async function explained(request: Partial<TypedRequest>): Promise<string[]> {
  const { config, problems } = parseGatewayFile(JSON.stringify(FILE), 'gateway.yaml', {})
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
  const lines = await explain(config, typed, await arrivalOf(typed, config.entrypoint))
  return lines.map(([subject, text]) => `${subject} ${text}`)
}

describe('the explanation of a request', () => {
  it('tells route, limits, what is forwarded and where to', async () => {
    assert.deepEqual(await explained({ target: '/api/orders?page=2', authority: 'Shop.example:8000' }), [
      'path /api/orders',
      'host shop.example',
      'client 127.0.0.1',
      'route orders: GET,POST /api/orders',
      'limit 100 per 1m by client',
      'forward GET /orders?page=2',
      'to orders: http://127.0.0.1:9001, http://127.0.0.1:9002 (weight 2) by round-robin, up to 2 attempts, response within 30s',
    ])
  })

  it('tells which other routes match, and why they come later', async () => {
    const lines = await explained({ target: '/api/orders/7' })
    assert.deepEqual(lines.slice(3, 5), [
      'route order: any method /api/orders/:id',
      'not orders: GET,POST /api/orders, which matches too; a longer path comes first',
    ])
  })

  it('tells what normalisation did', async () => {
    const [path] = await explained({ target: '//api/%6frders' })
    assert.equal(path, 'path /api/orders, normalised from //api/%6frders')
  })

  it('tells who the client is behind a proxy', async () => {
    const headers = ['X-Forwarded-For: 203.0.113.7']
    const lines = await explained({ target: '/api/orders/7', headers, peer: '10.0.0.1' })
    assert.equal(lines[2], 'client 203.0.113.7, as the trusted proxy says')
    assert.equal(lines.at(-1), 'answer 403 Not allowed (forbidden): the address is not let in')
  })

  it('tells who is let in with a credential, and that nobody is without', async () => {
    assert.deepEqual((await explained({ target: '/keyed' })).slice(4), [
      'auth an API key in x-api-key',
      'answer 401 Credentials are missing or not valid (unauthenticated): no credentials',
    ])
    const lines = await explained({ target: '/keyed', headers: [`X-Api-Key: ${KEY}`] })
    assert.equal(lines[4], 'auth an API key in x-api-key; this is shop')
    assert.deepEqual(lines.slice(5, 7), ['limit 5 per 1s by consumer (gold 50)', 'forward GET /keyed'])
  })

  it('tells what the gateway answers in the place of an upstream', async () => {
    assert.equal(
      (await explained({ target: '/moved/a' })).at(-1),
      'answer 308 to https://new.example and what is below the path',
    )
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
  ] as const) {
    it(`tells of ${what}`, async () => {
      const lines = (await explained(request)).slice(3)
      assert.equal(lines.length, expected.length)
      for (const [index, line] of lines.entries()) assert.ok(line.startsWith(expected[index] ?? ''), line)
    })
  }

  for (const [what, request, expected] of [
    ['an ambiguous path', { target: '/a/..%2fb' }, 'answer 400 The request is malformed (bad_request): ambiguous path'],
    [
      'two hosts',
      { headers: ['Host: a', 'Host: b'] },
      'answer 400 The request is malformed (bad_request): more than one Host',
    ],
    [
      'what Node does not take for a request',
      { method: 'G@T' },
      'answer 400 The request is malformed (bad_request): it is not read as a request at all',
    ],
    [
      'what is too large',
      { headers: [`x-large: ${'x'.repeat(2_000)}`] },
      'answer 431 The header section is too large (header_too_large): it is not read as a request at all',
    ],
  ] as const) {
    it(`tells that ${what} is refused as the gateway refuses it`, async () => {
      assert.deepEqual(await explained(request), [expected])
    })
  }
})
