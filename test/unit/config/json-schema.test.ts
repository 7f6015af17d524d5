import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import { gatewayJsonSchema } from '../../../src/config/json-schema'
import { POLICIES } from '../../../src/policies/registry'
import { schemaByPlace } from '../../support/gateway-schema'
import { configOf, gatewayYaml, problemsIn, type Additions } from './gateway-yaml'

const ROOT = join(__dirname, '../../../..')
const POLICY_NAMES: readonly string[] = POLICIES.map(({ name }) => name)
const PUBLISHED = readFileSync(join(ROOT, 'docs/gateway.schema.json'), 'utf8')

describe('docs/gateway.schema.json', () => {
  const schema = z.fromJSONSchema(JSON.parse(PUBLISHED) as z.core.JSONSchema.JSONSchema)

  it('is what `npm run schema` writes', () => {
    assert.equal(PUBLISHED, gatewayJsonSchema(), 'run: npm run schema')
  })

  it('is named by the gateway.yaml in this repository, and takes it', () => {
    const text = readFileSync(join(ROOT, 'gateway.yaml'), 'utf8')
    assert.match(text, /^# yaml-language-server: \$schema=docs\/gateway\.schema\.json\n/)
    assert.equal(schema.safeParse(parse(text)).error, undefined)
  })

  const valid: readonly Additions[] = [
    {},
    { entrypoint: 'headersTimeout: 1.5s, maxHeaderSize: 64KiB, maxConnections: 5, trustedProxies: [10.0.0.0/8]' },
    { entrypoint: 'maxUrlLength: 1KiB, maxHeaderFields: 50, maxBodySize: 1GiB', route: 'maxBodySize: 1MiB' },
    { entrypoint: 'overload: { maxRequests: 0, maxEventLoopDelay: 0s }' },
    { entrypoint: 'minUploadRate: 1KiB', route: 'minUploadRate: 0B' },
    { route: 'cors: { origins: ["https://*.shop.example", "*"], methods: [GET], headers: [x-a], maxAge: 1h }' },
    { entrypoint: 'access: { deny: [10.0.0.0/8] }', route: 'access: { allow: [192.0.2.7], deny: [] }' },
    { entrypoint: 'headersTimeout: "${T:-5s}", maxConnections: "${N:-5}"' },
    { upstream: 'timeouts: { connect: 250ms }, maxConnections: 1' },
    { upstream: 'retries: { attempts: 2 }', route: 'retry: always' },
    { upstream: 'circuitBreaker: {}, panicThreshold: 0' },
    { upstream: 'healthCheck: { path: /healthz, interval: 5s }' },
    { upstream: 'timeouts: { idle: 5s, total: 1m }', route: 'timeouts: { response: 1s }' },
    { upstream: 'balance: hash, hashKey: header:x-tenant' },
    {
      upstreams: '  b: { targets: [http://h, { url: http://i, weight: 5 }, { url: http://j }] }',
      routes: '  - { name: b, match: { path: /b }, upstream: b }',
    },
    { upstream: 'ejection: {}, maxHeaderSize: 64KiB' },
    { routes: 'defaults: { routes: { maxBodySize: 1KiB }, upstreams: { timeouts: { connect: 1s } } }' },
    { routes: 'policySets: { small: { maxBodySize: 1KiB } }', route: 'use: [small], without: [maxBodySize]' },
    { upstream: 'ejection: { failures: 0, for: 1s, conditions: [connect, 500] }' },
    { upstream: 'circuitBreaker: { failures: 1, openFor: 1s, conditions: [500] }' },
    { upstream: 'retries: { attempts: "${N:-2}", conditions: [connect, 503, "504"] }' },
    { match: 'path: /a:b/:c, host: "*.a.example", methods: [get]' },
    { match: 'path: /a, exact: true, headers: { X-Tenant: acme, accept: "a b" }' },
    { route: 'rateLimit: { limit: 1, window: 1s, onStoreFailure: open }' },
    { route: 'rateLimit: [{ name: a, limit: 1, window: 1s, key: client }]' },
    { route: 'rewrite: { stripPrefix: /orders, addPrefix: /v2 }' },
    { entrypoint: 'telemetry: { sample: 0.1 }', route: 'telemetry: { rules: [{ methods: [POST], sample: 1 }] }' },
    { entrypoint: 'maintenance: true', route: 'maintenance: { retryAfter: 10m }' },
    { routes: '  - { name: b, match: { path: /b }, redirect: { to: "https://b.example/*", status: 302 } }' },
    { routes: '  - { name: b, match: { path: /b }, redirect: { to: / } }' },
    { routes: '  - { name: b, match: { path: /b }, respond: { status: 404, headers: { X-A: b }, body: no } }' },
    { route: 'requestHeaders: { set: { X-A: b }, add: { x-b: c }, remove: [x-c] }, responseHeaders: {}' },
    {
      upstreams: `consumers: { acme: { tier: gold, scopes: [a:b], apiKeys: [sha256:${'0a'.repeat(32)}, "\${HASH}"] } }`,
      route: 'auth: { apiKey: { header: X-Key, forward: true }, scopes: [a:b] }',
    },
    {
      upstreams: 'tokens: { sso: { issuer: i, audience: [a, b], jwks: "https://l.example/k", algorithms: [ES256] } }',
      route: 'auth: { jwt: { tokens: sso, forward: false } }, rateLimit: { limit: 1, window: 1s, key: [consumer] }',
    },
  ]
  for (const additions of valid) {
    it(`takes what the gateway takes: ${JSON.stringify(additions)}`, () => {
      const text = gatewayYaml(additions)
      assert.equal(schema.safeParse(parse(text)).error, undefined)
      if (!text.includes('${')) configOf(text)
    })
  }

  const invalid: readonly Additions[] = [
    { entrypoint: 'headersTimeout: 5' },
    { entrypoint: 'headersTimeout: 5 sec' },
    { entrypoint: 'maxHeaderSize: 16k' },
    { entrypoint: 'maxConnections: 0' },
    { entrypoint: 'maxHeaderFields: 9' },
    { route: 'maxBodySize: 5' },
    { route: 'minUploadRate: 5' },
    { route: 'access: [10.0.0.0/8]' },
    { route: 'cors: {}' },
    { route: 'cors: { origins: [shop.example] }' },
    { entrypoint: 'overload: { maxRequests: -1 }' },
    { entrypoint: 'access: { allow: 10.0.0.0/8 }' },
    { entrypoint: 'trustedProxies: [1]' },
    { entrypoint: 'unknown: 1' },
    { upstream: 'retries: {}' },
    { upstream: 'retries: { attempts: 2, conditions: [501] }' },
    { route: 'retry: sometimes' },
    { upstream: 'balance: fair' },
    { upstream: 'tls: { ca: 1 }' },
    { route: 'timeouts: { connect: 1s }' },
    { upstreams: '  b: { targets: [{ url: http://h, weight: 0 }] }' },
    { upstreams: '  b: { targets: [{ weight: 1 }] }' },
    { upstreams: '  b: { targets: [{ url: http://h, wieght: 1 }] }' },
    { upstream: 'healthCheck: { path: "/a b" }' },
    { upstream: 'circuitBreaker: { openFor: 1 }' },
    { upstream: 'panicThreshold: 101' },
    { upstream: 'ejection: { for: 1 }' },
    { upstream: 'ejection: { failures: -1 }' },
    { upstream: 'maxHeaderSize: 100' },
    { upstreams: '  b: { targets: [] }' },
    { upstreams: '  b: { targets: [http://h/path] }' },
    { upstreams: '  "a b": { targets: [http://h] }' },
    { route: 'auth: { apiKey: { header: 1 } }' },
    { route: 'auth: { apiKey: {}, scopes: orders:read }' },
    { route: 'rateLimit: { limit: 1 }' },
    { route: 'rateLimit: { limit: 1, window: 1s, onStoreFailure: maybe }' },
    { route: 'rateLimit: [{ limit: 1, window: 1s }]' },
    { match: 'host: a.example' },
    { match: 'path: a' },
    { match: 'path: /a/' },
    { match: 'path: /a/*' },
    { match: 'path: /a, host: "http://a"' },
    { match: 'path: /a, methods: []' },
    { match: 'path: /a, exact: 1' },
    { entrypoint: 'maintenance: soon' },
    { route: 'telemetry: { sample: 10% }' },
    { route: 'telemetry: { sample: 2 }' },
    { route: 'maintenance: { retryAfter: 10 }' },
    { routes: '  - { name: b, match: { path: /b }, redirect: { to: //b.example } }' },
    { routes: '  - { name: b, match: { path: /b }, redirect: { to: /c, status: 300 } }' },
    { routes: '  - { name: b, match: { path: /b }, respond: { status: 100 } }' },
    { route: 'requestHeaders: { set: { x-a: 1 } }' },
    { route: 'responseHeaders: { remove: x-a }' },
    { route: 'responseHeaders: { add: { "x a": b } }' },
    { match: 'path: /a, headers: { "x a": b }' },
    { match: 'path: /a, headers: { x-a: " b" }' },
    { match: 'path: /a, headers: { x-a: 1 }' },
  ]
  for (const additions of invalid) {
    it(`refuses in the editor what the gateway refuses: ${JSON.stringify(additions)}`, () => {
      const text = gatewayYaml(additions)
      assert.ok(problemsIn(text).length > 0)
      assert.equal(schema.safeParse(parse(text)).success, false)
    })
  }

  it('describes every key, and has the default of every key that may be left out', () => {
    const undescribed: string[] = []
    const withoutDefault: string[] = []
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return
      const { properties, required = [] } = node as {
        properties?: Record<string, Record<string, unknown>>
        required?: string[]
      }
      for (const [key, value] of Object.entries(properties ?? {})) {
        if (typeof value.description !== 'string') undescribed.push(`${path}.${key}`)
        // A route without a policy does not have it.
        const isPolicy = path === '$.properties.routes.items' && POLICY_NAMES.includes(key)
        const isOptional = !required.includes(key) && value.not === undefined && !isPolicy
        if (isOptional && value.default === undefined) withoutDefault.push(key)
      }
      for (const [key, value] of Object.entries(node)) walk(value, `${path}.${key}`)
    }
    walk(schemaByPlace(), '$')
    assert.deepEqual(undescribed, [])
    // Where leaving the key out means that there is none.
    assert.deepEqual(withoutDefault.toSorted(), [
      'access',
      'accessLog',
      'addPrefix',
      'affinity',
      'apiKey',
      'availability',
      'availability',
      'basic',
      'body',
      'ca',
      'cache',
      'cert',
      'ciphers',
      'circuitBreaker',
      'clientCertificates',
      'consumerHeader',
      'cookie',
      'cookie',
      'credentials',
      'defaults',
      'errorPage',
      'external',
      'fields',
      'fields',
      'forward',
      'grpc',
      'headers',
      'headers',
      'headers',
      'headers',
      'healthCheck',
      'host',
      'host',
      'idle',
      'idle',
      'jwt',
      'key',
      'key',
      'kubernetes',
      'latency',
      'latency',
      'match',
      'maxAge',
      'maxBodySize',
      'maxConnectionsPerClient',
      'maxWebSocketsPerClient',
      'methods',
      'methods',
      'methods',
      'methods',
      'name',
      'namespace',
      'path',
      'path',
      'pattern',
      'policySets',
      'port',
      'query',
      'query',
      'redirectHttp',
      'resolvers',
      'response',
      'responseHeader',
      'responseHeader',
      'responseHeader',
      'retries',
      'routes',
      'rules',
      'rules',
      'sample',
      'sample',
      'scheme',
      'scheme',
      'secret',
      'server',
      'serverName',
      'signIn',
      'stripPrefix',
      'telemetry',
      'tier',
      'tls',
      'tls',
      'total',
      'total',
      'ttl',
      'ttl',
      'upstream',
      'upstream',
      'upstreams',
      'url',
      'window',
    ])
  })
})
