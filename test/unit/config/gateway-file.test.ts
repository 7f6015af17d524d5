import assert from 'node:assert/strict'
import { PROXY_ONLY_HEADERS } from '../../../src/config/values/header'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FILES_ON_DISK } from '../../../src/config/config-files'
import { readGatewayFile } from '../../../src/config/gateway-file'
import type { GatewayConfig } from '../../../src/config/gateway-config'
import { LIMIT_DEFAULTS, ROUTE_DEFAULTS, WITHOUT_POLICIES } from '../../support/config-defaults'
import { configOf, gatewayYaml } from './gateway-yaml'

const ROOT = join(__dirname, '../../../..')

const SMALLEST = `
upstreams:
  orders: { targets: [http://127.0.0.1:9001] }
routes:
  - { name: orders, upstream: orders, match: { path: /orders } }
`

const LARGEST = `
entrypoint:
  trustedProxies: [10.0.0.0/8, "FD00::/8", 192.0.2.7/32, "::1/128", 10.0.0.0/1]
  headersTimeout: 500ms
  requestTimeout: 1.5h
  stallTimeout: 10s
  minUploadRate: 1KiB
  keepAliveTimeout: 1d
  maxHeaderSize: 1MiB
  maxHeaderFields: 10000
  maxUrlLength: 512KiB
  maxBodySize: 10GiB
  overload: { maxRequests: 0, maxEventLoopDelay: 1m }
  access: { deny: [192.0.2.0/24] }
  metrics: false
  proxyOnlyHeaders: [X-Real-User]
  underscoreHeaders: true
  maxConnections: 1000000
  http2: { tls: false, cleartext: true, maxStreams: 1, maxResets: 100000, maxControlFrames: 10, streamWindow: 16KiB, connectionWindow: 64MiB, maxMemory: 1GiB }
  maintenance: { retryAfter: 10m }
upstreams:
  orders:
    targets: [http://127.0.0.1:9001/, "HTTPS://Orders.Example:443"]
    timeouts: { connect: 250ms, response: 1m }
    maxConnections: 1
  users.v2: { targets: ["http://[::1]:9002"] }
routes:
  - name: orders
    match: { path: /v1/orders:batch/:id, host: "*.Shop.Example", methods: [get, POST, Get], exact: true, headers: { X-Tenant: acme, Accept: a/b } }
    upstream: orders
    rewrite: { stripPrefix: /v1, addPrefix: /v2/x }
    requestHeaders: { set: { X-B: b, X-A: a }, remove: [Cookie] }
    responseHeaders: { add: { Set-Cookie: a=b } }
    access: { allow: [10.0.0.0/8, "FD00::/8"], deny: [10.9.9.9] }
    cors: { origins: ["HTTPS://Shop.example:443", "https://*.shop.example:8443"], headers: [X-A], credentials: true, maxAge: 10m }
    maxBodySize: 64KiB
    minUploadRate: 0B
    rateLimit:
      - { name: burst, limit: 5, window: 1s }
      - name: steady
        limit: 100
        window: 1m
        algorithm: gcra
        key: [client, "header:X-Tenant"]
        cost: { post: 5 }
        bypass: [10.0.0.0/8, "FD00::/8"]
        dryRun: true
        legacyHeaders: true
        offenders: clear
        onStoreFailure: closed
  - name: everything-else
    match: { path: /:path, host: shop.example }
    upstream: users.v2
    maintenance: false
    rateLimit: { limit: 1000000000, window: 24d, onStoreFailure: open }
`

describe('a valid gateway.yaml', () => {
  it('needs upstreams and routes, and has safe defaults for the rest', () => {
    const expected: GatewayConfig = {
      sha256: createHash('sha256').update(SMALLEST).digest('hex'),
      files: FILES_ON_DISK,
      entrypoint: {
        trustedProxies: [],
        proxyOnlyHeaders: PROXY_ONLY_HEADERS,
        underscoreHeaders: false,
        traceContext: 'all',
        requestId: { header: 'x-request-id', traceHeader: 'traceresponse', traceFor: 'trusted' },
        proxyStatus: undefined,
        headersTimeoutMs: 15_000,
        requestTimeoutMs: 0,
        stallTimeoutMs: 60_000,
        minUploadRate: 100,
        minDownloadRate: 1_024,
        responseBuffer: { perResponseBytes: 1_048_576, totalBytes: 67_108_864 },
        keepAliveTimeoutMs: 65_000,
        maxHeaderBytes: 16_384,
        maxHeaderFields: 100,
        maxUrlBytes: 8_192,
        overload: { maxRequests: 10_000, maxEventLoopDelayMs: 500 },
        access: undefined,
        metrics: true,
        tls: undefined,
        http2: {
          tls: true,
          cleartext: false,
          maxStreams: 128,
          maxResets: 200,
          maxControlFrames: 1_000,
          streamWindowBytes: 65_536,
          connectionWindowBytes: 1_048_576,
          maxMemoryBytes: 10_485_760,
        },
        maxConnections: 10_000,
        maxConnectionsPerClient: 9_000,
      },
      inherited: { routes: {}, upstreams: {} },
      consumers: [],
      upstreams: [
        {
          name: 'orders',
          targets: [{ origin: 'http://127.0.0.1:9001', weight: 1 }],
          balance: 'round-robin',
          hashKey: ['client'],
          timeouts: { connectMs: 1_000, responseMs: 30_000 },
          protocol: 'http1',
          http2: { maxConnections: 4, maxStreams: 100 },
          maxConnections: 128,
          maxHeaderBytes: 16_384,
          fairness: { reservePercent: 10, streamPercent: 50 },
          connectionLifetimeMs: 60_000,
          retries: undefined,
          circuitBreaker: undefined,
          ejection: {
            failures: 5,
            openForMs: 10_000,
            on: ['connect', 'reset', 'response_timeout', 'bad_response', 500, 502, 503, 504],
          },
          healthCheck: undefined,
          panicThreshold: 50,
        },
      ],
      routes: [
        {
          ...ROUTE_DEFAULTS,
          name: 'orders',
          match: { path: '/orders', exact: false, host: undefined, methods: undefined, headers: [] },
          upstream: 'orders',
        },
      ],
    }
    assert.deepEqual(configOf(SMALLEST), expected)
  })

  it('comes out in milliseconds, bytes, upper-case methods and lower-case hosts', () => {
    const { entrypoint, upstreams, routes } = configOf(LARGEST)
    assert.deepEqual(entrypoint, {
      trustedProxies: ['10.0.0.0/8', 'fd00::/8', '192.0.2.7/32', '::1/128', '10.0.0.0/1'],
      proxyOnlyHeaders: ['x-real-user'],
      underscoreHeaders: true,
      requestId: { header: 'x-request-id', traceHeader: 'traceresponse', traceFor: 'trusted' },
      traceContext: 'all',
      proxyStatus: undefined,
      headersTimeoutMs: 500,
      requestTimeoutMs: 5_400_000,
      stallTimeoutMs: 10_000,
      minUploadRate: 1_024,
      minDownloadRate: 1_024,
      responseBuffer: { perResponseBytes: 1_048_576, totalBytes: 67_108_864 },
      keepAliveTimeoutMs: 86_400_000,
      maxHeaderBytes: 1_048_576,
      maxHeaderFields: 10_000,
      maxUrlBytes: 524_288,
      overload: { maxRequests: 0, maxEventLoopDelayMs: 60_000 },
      access: { allow: [], deny: ['192.0.2.0/24'], certificates: [] },
      metrics: false,
      tls: undefined,
      http2: {
        tls: false,
        cleartext: true,
        maxStreams: 1,
        maxResets: 100_000,
        maxControlFrames: 10,
        streamWindowBytes: 16_384,
        connectionWindowBytes: 67_108_864,
        maxMemoryBytes: 1_073_741_824,
      },
      maxConnections: 1_000_000,
      maxConnectionsPerClient: 900_000,
    })
    assert.deepEqual(
      upstreams.map(({ name, targets, timeouts, maxConnections }) => ({ name, targets, ...timeouts, maxConnections })),
      [
        {
          name: 'orders',
          targets: [
            { origin: 'http://127.0.0.1:9001', weight: 1 },
            { origin: 'https://orders.example', weight: 1 },
          ],
          connectMs: 250,
          responseMs: 60_000,
          maxConnections: 1,
        },
        {
          name: 'users.v2',
          targets: [{ origin: 'http://[::1]:9002', weight: 1 }],
          connectMs: 1_000,
          responseMs: 30_000,
          maxConnections: 128,
        },
      ],
    )
    assert.deepEqual(routes, [
      {
        ...WITHOUT_POLICIES,
        sharedLimits: [],
        grpcWeb: false,
        rawPath: false,
        semicolons: 'allow',
        name: 'orders',
        match: {
          path: '/v1/orders:batch/:id',
          exact: true,
          host: '*.shop.example',
          methods: ['GET', 'POST'],
          headers: [
            { name: 'accept', value: 'a/b' },
            { name: 'x-tenant', value: 'acme' },
          ],
        },
        upstream: 'orders',
        auth: undefined,
        redirect: undefined,
        respond: undefined,
        maintenance: { retryAfterMs: 600_000 },
        rewrite: { stripPrefix: '/v1', addPrefix: '/v2/x' },
        requestHeaders: {
          set: [
            { name: 'x-a', value: 'a' },
            { name: 'x-b', value: 'b' },
          ],
          add: [],
          remove: ['cookie'],
        },
        responseHeaders: { set: [], add: [{ name: 'set-cookie', value: 'a=b' }], remove: [] },
        timeouts: {},
        retry: 'idempotent',
        access: [
          { allow: [], deny: ['192.0.2.0/24'], certificates: [] },
          { allow: ['10.0.0.0/8', 'fd00::/8'], deny: ['10.9.9.9'], certificates: [] },
        ],
        cors: {
          origins: ['https://shop.example', 'https://*.shop.example:8443'],
          methods: undefined,
          headers: ['x-a'],
          exposeHeaders: [],
          credentials: true,
          maxAgeSeconds: 600,
        },
        maxBodySize: 65_536,
        minUploadRate: 0,
        websocket: { idleTimeoutMs: 300_000 },
        slo: undefined,
        rateLimit: [
          { ...LIMIT_DEFAULTS, name: 'burst', limit: 5, windowMs: 1_000 },
          {
            name: 'steady',
            limit: 100,
            tiers: {},
            windowMs: 60_000,
            algorithm: 'gcra',
            key: ['client', 'header:x-tenant'],
            cost: { standard: 1, methods: { POST: 5 } },
            bypass: ['10.0.0.0/8', 'fd00::/8'],
            dryRun: true,
            legacyHeaders: true,
            offenders: 'clear',
            onStoreFailure: 'closed',
          },
        ],
      },
      {
        ...ROUTE_DEFAULTS,
        name: 'everything-else',
        match: { path: '/:path', exact: false, host: 'shop.example', methods: undefined, headers: [] },
        upstream: 'users.v2',
        access: [{ allow: [], deny: ['192.0.2.0/24'], certificates: [] }],
        maxBodySize: 10_737_418_240,
        minUploadRate: 1_024,
        rateLimit: [
          {
            ...LIMIT_DEFAULTS,
            name: 'default',
            limit: 1_000_000_000,
            windowMs: 2_073_600_000,
            onStoreFailure: 'open',
          },
        ],
      },
    ])
  })

  it('has routes that answer in the place of an upstream', () => {
    const { routes } = configOf(`
upstreams:
  a: { targets: [http://h] }
routes:
  - { name: a, upstream: a, match: { path: /a }, maintenance: true }
  - { name: b, redirect: { to: HTTPS://Shop.Example/* }, match: { path: /b } }
  - { name: c, redirect: { to: /new, status: 303 }, match: { path: /c } }
  - { name: d, respond: {}, match: { path: /d } }
  - { name: e, respond: { status: 503, headers: { X-A: b }, body: down }, match: { path: /e } }
`)
    assert.deepEqual(
      routes.map(({ upstream, redirect, respond, maintenance }) => upstream ?? redirect ?? respond ?? maintenance),
      [
        'a',
        { to: 'https://shop.example', keepsRest: true, status: 308 },
        { to: '/new', keepsRest: false, status: 303 },
        { status: 200, headers: [], body: undefined },
        { status: 503, headers: [{ name: 'x-a', value: 'b' }], body: 'down' },
      ],
    )
    assert.deepEqual(routes[0]?.maintenance, { retryAfterMs: undefined })
  })

  it('calls a policy that stands alone "default", or as it is named', () => {
    const nameOf = (rateLimit: string): string | undefined =>
      configOf(gatewayYaml({ route: `rateLimit: ${rateLimit}` })).routes[0]?.rateLimit[0]?.name
    assert.equal(nameOf('{ limit: 5, window: 1s }'), 'default')
    assert.equal(nameOf('{ name: burst, limit: 5, window: 1s }'), 'burst')
  })

  it('may repeat itself with anchors', () => {
    const { routes } = configOf(`
upstreams:
  a: { targets: [http://h] }
routes:
  - { name: a, upstream: a, match: { path: /a }, rateLimit: &usual { limit: 5, window: 1s } }
  - { name: b, upstream: a, match: { path: /b }, rateLimit: *usual }
`)
    assert.deepEqual(routes[1]?.rateLimit, routes[0]?.rateLimit)
  })

  for (const [ending, text] of [
    ['a byte order mark', `\ufeff${SMALLEST}`],
    ['the line ends of Windows', SMALLEST.replaceAll('\n', '\r\n')],
  ] as const) {
    it(`may have ${ending}`, () => {
      assert.deepEqual(configOf(text).routes, configOf(SMALLEST).routes)
    })
  }

  it('is frozen to the bottom', () => {
    const walk = (value: unknown, path: string): void => {
      if (typeof value !== 'object' || value === null) return
      assert.ok(Object.isFrozen(value), `${path} can be changed`)
      for (const [key, inner] of Object.entries(value)) walk(inner, `${path}.${key}`)
    }
    walk(configOf(LARGEST), 'config')
  })

  it('may hold a few thousand routes', () => {
    const routes = Array.from(
      { length: 3_000 },
      (_, index) => `  - { name: r${index}, upstream: a, match: { path: /r${index} } }`,
    )
    const text = `upstreams:\n  a: { targets: [http://h] }\nroutes:\n${routes.join('\n')}\n`
    assert.equal(configOf(text).routes.length, 3_000)
  })
})

describe('the gateway.yaml in this repository', () => {
  const file = join(ROOT, 'gateway.yaml')

  it('is valid without any variable set', async () => {
    const { config, problems } = await readGatewayFile(file, {})
    assert.deepEqual(problems, [])
    assert.equal(config?.upstreams[0]?.targets[0]?.origin, 'http://127.0.0.1:9001')
    assert.equal(config?.sha256, createHash('sha256').update(readFileSync(file)).digest('hex'))
  })

  it('takes the demo upstream from DEMO_UPSTREAM_URL', async () => {
    const { config } = await readGatewayFile(file, { DEMO_UPSTREAM_URL: 'http://127.0.0.1:9' })
    assert.equal(config?.upstreams[0]?.targets[0]?.origin, 'http://127.0.0.1:9')
  })

  it('shows two limits that differ', async () => {
    const { config } = await readGatewayFile(file, {})
    assert.deepEqual(
      config?.routes.map(({ match, rateLimit }) => [match.path, rateLimit[0]?.limit, rateLimit[0]?.windowMs]),
      [
        ['/demo', 100, 60_000],
        ['/api/orders', 20, 60_000],
      ],
    )
  })
})
