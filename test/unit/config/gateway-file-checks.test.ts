import assert from 'node:assert/strict'
import { configOf, gatewayYaml, placeOf, problemsIn } from './gateway-yaml'

/** A file whose routes are given as `match` and what follows it. */
function withRoutes(...routes: readonly string[]): string {
  const lines = routes.map((route, index) => `  - { name: r${index}, upstream: a, match: ${route} }`)
  return ['upstreams:', '  a: { targets: [http://h] }', 'routes:', ...lines, ''].join('\n')
}

describe('what must hold between the keys of gateway.yaml', () => {
  describe('routes that match the same requests', () => {
    const ambiguous: readonly (readonly [string, string, string])[] = [
      ['{ path: /a }', '{ path: /a }', 'any method on "/a" at any host'],
      ['{ path: /a/:x/b }', '{ path: /a/:y/b }', 'any method on "/a/:y/b" at any host'],
      ['{ path: /a, methods: [GET, PUT] }', '{ path: /a, methods: [POST, put, get] }', 'PUT, GET on "/a" at any host'],
      ['{ path: /a, host: S.example }', '{ path: /a, host: s.example }', 'any method on "/a" at s.example'],
      ['{ path: /a, host: "*.s.example" }', '{ path: /a, host: "*.S.example" }', 'any method on "/a" at *.s.example'],
      ['{ path: /a, exact: true }', '{ path: /a, exact: true }', 'any method on "/a" alone at any host'],
      [
        '{ path: /a, headers: { x-a: b } }',
        '{ path: /a, headers: { X-A: b } }',
        'any method on "/a" at any host with x-a',
      ],
      // A request may have both fields.
      [
        '{ path: /a, headers: { x-a: b } }',
        '{ path: /a, headers: { x-b: b } }',
        'any method on "/a" at any host with x-b and x-a',
      ],
      [
        '{ path: /a, headers: { x-a: b, x-b: b } }',
        '{ path: /a, headers: { x-a: b, x-c: b } }',
        'any method on "/a" at any host with x-a and x-c and x-b',
      ],
    ]
    for (const [first, second, what] of ambiguous) {
      it(`are refused: ${first} and ${second}`, () => {
        const text = withRoutes(first, second)
        const problems = problemsIn(text)
        assert.deepEqual(
          problems.map(({ problem }) => problem),
          [`the route matches the same requests as routes[0] "r0" (line 4): ${what}`],
        )
        assert.deepEqual(placeOf(problems[0]!, text), { line: 5, path: 'routes[1].match', source: `${second} }` })
      })
    }

    const distinct: readonly (readonly [string, string, string])[] = [
      ['a longer path', '{ path: /a }', '{ path: /a/b }'],
      ['a literal segment', '{ path: /a/:x }', '{ path: /a/x }'],
      ['other methods', '{ path: /a, methods: [GET] }', '{ path: /a, methods: [POST] }'],
      ['listed methods', '{ path: /a }', '{ path: /a, methods: [GET] }'],
      ['HEAD listed beside GET', '{ path: /a, methods: [GET] }', '{ path: /a, methods: [HEAD] }'],
      ['a host', '{ path: /a }', '{ path: /a, host: s.example }'],
      ['an exact host', '{ path: /a, host: "*.s.example" }', '{ path: /a, host: x.s.example }'],
      ['a longer suffix', '{ path: /a, host: "*.example" }', '{ path: /a, host: "*.s.example" }'],
      ['another case of the path', '{ path: /a }', '{ path: /A }'],
      ['being exact', '{ path: /a }', '{ path: /a, exact: true }'],
      ['the value of a field', '{ path: /a, headers: { x-a: b } }', '{ path: /a, headers: { x-a: c } }'],
      ['the case of a value', '{ path: /a, headers: { x-a: b } }', '{ path: /a, headers: { x-a: B } }'],
      ['one condition more', '{ path: /a, headers: { x-a: b } }', '{ path: /a, headers: { x-b: b, x-c: b } }'],
      [
        'one field of which they want different values',
        '{ path: /a, headers: { x-a: b, x-b: b } }',
        '{ path: /a, headers: { x-a: c, x-c: b } }',
      ],
      [
        'listed methods beside conditions',
        '{ path: /a, headers: { x-a: b } }',
        '{ path: /a, methods: [GET], headers: { x-b: b } }',
      ],
      ['the catch-all', '{ path: /a }', '{ path: /:path }'],
    ]
    for (const [what, first, second] of distinct) {
      it(`are told apart by ${what}`, () => {
        assert.equal(configOf(withRoutes(first, second)).routes.length, 2)
      })
    }

    it('are reported once for each pair', () => {
      const text = withRoutes('{ path: /a }', '{ path: /a }', '{ path: /a }')
      assert.deepEqual(
        problemsIn(text).map(problem => placeOf(problem, text).line),
        [5, 6],
      )
    })
  })

  it('refuses routes of one path that ask about more than 16 sets of fields, each of which would cost every request', () => {
    const match = (index: number): string => `{ path: /a, headers: { x-a: "${index}", x-${index}: b } }`
    const indices = Array.from({ length: 17 }, (_, index) => index)
    assert.equal(configOf(withRoutes(...indices.slice(1).map(match))).routes.length, 16)
    const text = withRoutes(...indices.map(match))
    const [problem, ...others] = problemsIn(text)
    assert.equal(problem?.problem, '"headers" has too many different sets of header fields on one path')
    assert.equal(placeOf(problem, text).line, 20)
    assert.deepEqual(others, [])
  })

  it('refuses one field in two spellings, and a name that would be lost', () => {
    const problems = problemsIn(gatewayYaml({ match: 'path: /a, headers: { X-A: b, x-a: c, __proto__: d }' }))
    assert.deepEqual(
      problems.map(({ problem }) => problem),
      ['"x-a" appears twice, in different spellings', '"__proto__" cannot be a name here'],
    )
  })

  it('refuses an upstream that is not there, with the nearest name', () => {
    const text = gatewayYaml({ routes: '  - { name: b, match: { path: /b }, upstream: ordres }' })
    const [problem] = problemsIn(text)
    assert.deepEqual(problem, {
      where: 'gateway.yaml:7:47 routes[1].upstream',
      problem: '"ordres" is not an upstream of this file',
      allowed: 'orders',
      nearest: 'orders',
    })
  })

  it('names at most ten upstreams as allowed', () => {
    const upstreams = Array.from({ length: 12 }, (_, index) => `  u${index}: { targets: [http://h] }`).join('\n')
    const text = gatewayYaml({ upstreams, routes: '  - { name: b, match: { path: /b }, upstream: zzz }' })
    const problem = problemsIn(text).find(({ problem }) => problem.includes('zzz'))
    assert.equal(problem?.allowed, 'orders, u0, u1, u2, u3, u4, u5, u6, u7, u8 and 3 more')
  })

  it('warns of an upstream that no route uses', () => {
    assert.deepEqual(problemsIn(gatewayYaml({ upstreams: '  spare: { targets: [http://h] }' })), [
      { where: 'gateway.yaml:4:3 upstreams.spare', problem: '"spare" is used by no route', severity: 'warning' },
    ])
  })

  it('does not call an upstream unused while a route may mean it', () => {
    const text = gatewayYaml({
      upstreams: '  users: { targets: [http://h] }',
      routes: '  - { name: b, match: { path: /b }, upstream: usres }',
    })
    assert.deepEqual(
      problemsIn(text).map(({ problem }) => problem),
      ['"usres" is not an upstream of this file'],
    )
  })

  it('refuses two routes of one name', () => {
    const text = gatewayYaml({ routes: '  - { name: orders, match: { path: /b }, upstream: orders }' })
    const [problem, ...others] = problemsIn(text)
    assert.equal(problem?.problem, '"orders" is the name of routes[0] "orders" (line 6) too')
    assert.deepEqual(placeOf(problem, text).line, 7)
    assert.deepEqual(others, [])
  })

  it('refuses two upstreams of one name, wherever the second is', () => {
    const text = gatewayYaml({ upstreams: '  orders: { targets: [http://h] }' })
    assert.deepEqual(problemsIn(text), [
      { where: 'gateway.yaml:4:3', problem: 'the key "orders" appears twice', allowed: 'each key once' },
    ])
  })

  it('refuses a protocol that does not fit the scheme of a target, and bounds that it does not use', () => {
    const upstream = (keys: string): string[] =>
      problemsIn(gatewayYaml({ upstreams: `  a: { targets: ${keys} }` }))
        .filter(({ severity }) => severity !== 'warning')
        .map(({ where, problem, allowed }) => `${where} ${problem}; ${allowed}`)
    assert.deepEqual(upstream('["http://h"], protocol: h2'), [
      'gateway.yaml:4:18 upstreams.a.targets[0] "http://h" has no TLS, which "protocol: h2" needs; https, or protocol h2c',
    ])
    assert.deepEqual(upstream('["https://h"], protocol: h2c'), [
      'gateway.yaml:4:18 upstreams.a.targets[0] "https://h" uses TLS, which "protocol: h2c" does not; http, or protocol h2',
    ])
    assert.match(upstream('["http://h"], http2: { maxStreams: 5 }')[0]!, /"http2" has no effect/)
    assert.match(upstream('["http://h"], protocol: grpc')[0]!, /"grpc" is not known here; http1, h2, h2c, auto/)
    assert.match(upstream('["http://h"], protocol: h2c, http2: { maxStreams: 0 }')[0]!, /1 to 10000/)
    assert.deepEqual(upstream('["http://h"], protocol: auto'), [])
  })

  it('refuses a health check without a path, and one of gRPC over HTTP/1.1 or with a path', () => {
    const upstream = (keys: string): string[] =>
      problemsIn(gatewayYaml({ upstreams: `  a: { targets: ["http://h"], ${keys} }` }))
        .filter(({ severity }) => severity !== 'warning')
        .map(({ problem, allowed }) => `${problem}; ${allowed}`)
    assert.deepEqual(upstream('healthCheck: {}'), ['"path" is missing; a path, or "grpc"'])
    assert.match(upstream('healthCheck: { grpc: {} }')[0]!, /"grpc" needs HTTP\/2; "protocol: h2c"/)
    assert.match(
      upstream('protocol: h2c, healthCheck: { path: /, grpc: {} }')[0]!,
      /"path" has no effect beside "grpc"/,
    )
    assert.match(
      upstream('protocol: h2c, healthCheck: { grpc: { service: "a b" } }')[0]!,
      /is not the name of a service/,
    )
    assert.deepEqual(upstream('protocol: h2c, healthCheck: { grpc: {} }'), [])
  })

  it('refuses gRPC keys of a route whose upstream is asked over HTTP/1.1, and names that are no methods', () => {
    const route = (keys: string): string[] =>
      problemsIn(gatewayYaml({ route: keys })).map(({ problem, allowed }) => `${problem}; ${allowed}`)
    assert.match(route('grpc: {}')[0]!, /"grpc" needs HTTP\/2, and "orders" is asked over HTTP\/1.1; "protocol: h2c"/)
    assert.match(route('grpcWeb: true')[0]!, /"grpcWeb" needs HTTP\/2/)
    assert.deepEqual(route('grpcWeb: false'), [])
    assert.match(
      route('grpc: { methods: [Reserve] }').join(),
      /"Reserve" is not the full name of a method; package.Service/,
    )
  })

  it('names a key that is there twice without its quotes', () => {
    for (const key of ['"a: b"', "'a: b'"]) {
      const [again] = problemsIn(`${key}: 1\n${key}: 2\n`).filter(({ where }) => where === 'gateway.yaml:2:1')
      assert.equal(again?.problem, 'the key "a: b" appears twice')
    }
  })

  it('refuses two policies of one name on a route', () => {
    const policy = '{ name: a, limit: 5, window: 1s }'
    const text = gatewayYaml({ route: `rateLimit: [${policy}, ${policy}]` })
    const [problem, ...others] = problemsIn(text)
    assert.equal(problem?.problem, '"a" is the name of an earlier policy of this route')
    assert.deepEqual(placeOf(problem, text).path, 'routes[0].rateLimit[1].name')
    assert.deepEqual(others, [])
  })

  describe('a prefix to strip', () => {
    for (const [path, prefix, allowed, nearest] of [
      ['/a/b/:c', '/x', '/a, /a/b', '/a'],
      ['/orders', '/order', '/orders', '/orders'],
      ['/orders', '/orders/v1', '/orders', undefined],
      ['/:id', '/orders', 'no prefix: the path begins with a parameter', undefined],
    ] as const) {
      it(`is refused where the path does not begin with it: ${prefix} of ${path}`, () => {
        const text = gatewayYaml({ match: `path: "${path}"`, route: `rewrite: { stripPrefix: ${prefix} }` })
        const [problem, ...others] = problemsIn(text)
        assert.equal(problem?.problem, `"${prefix}" is not a prefix of the route's path`)
        assert.deepEqual([problem.allowed, problem.nearest], [allowed, nearest])
        assert.deepEqual(others, [])
      })
    }

    it('may be the whole path', () => {
      const text = gatewayYaml({ route: 'rewrite: { stripPrefix: /orders }' })
      assert.equal(configOf(text).routes[0]?.rewrite.stripPrefix, '/orders')
    })
  })

  it('refuses a request timeout below the headers timeout, which Node would not start with', () => {
    for (const entrypoint of ['requestTimeout: 14s', 'headersTimeout: 15s, requestTimeout: 14999ms']) {
      const [problem] = problemsIn(gatewayYaml({ entrypoint }))
      assert.match(problem?.problem ?? '', /^"\d+m?s" is shorter than headersTimeout$/)
      assert.match(problem?.allowed ?? '', /15000 ms/)
    }
    assert.equal(configOf(gatewayYaml({ entrypoint: 'requestTimeout: 15s' })).entrypoint.requestTimeoutMs, 15_000)
  })

  it('refuses credentials for pages of every origin', () => {
    const [problem, ...more] = problemsIn(gatewayYaml({ route: 'cors: { origins: ["*"], credentials: true }' }))
    assert.deepEqual(more, [])
    assert.equal(problem?.problem, 'true cannot be combined with "*" in origins')
    assert.equal(problem?.where.endsWith('routes[0].cors.credentials'), true)
  })

  it('refuses fields that say beside cors who may read an answer', () => {
    for (const [route, key] of [
      ['responseHeaders: { set: { Access-Control-Allow-Origin: "*" } }', 'responseHeaders.set'],
      ['responseHeaders: { add: { access-control-expose-headers: x-a } }', 'responseHeaders.add'],
    ] as const) {
      const [problem, ...more] = problemsIn(gatewayYaml({ route: `cors: { origins: [https://a.example] }, ${route}` }))
      assert.deepEqual(more, [])
      assert.match(problem?.problem ?? '', /is already set by "cors"/)
      assert.match(problem?.where ?? '', new RegExp(`routes\\[0\\]\\.${key}\\.access-control-`, 'i'))
      configOf(gatewayYaml({ route }))
    }
    const removed = 'responseHeaders: { set: { Vary: Accept }, remove: [Access-Control-Allow-Origin] }'
    configOf(gatewayYaml({ route: `cors: { origins: [https://a.example] }, ${removed}` }))
  })

  it('refuses a longest URL that no header section could hold', () => {
    for (const entrypoint of ['maxUrlLength: 16KiB', 'maxHeaderSize: 4KiB, maxUrlLength: 4KiB']) {
      const [problem, ...more] = problemsIn(gatewayYaml({ entrypoint }))
      assert.deepEqual(more, [])
      assert.match(problem?.problem ?? '', /is not less than maxHeaderSize$/)
    }
    assert.equal(configOf(gatewayYaml({ entrypoint: 'maxHeaderSize: 4KiB' })).entrypoint.maxUrlBytes, 8_192)
  })

  it('refuses a response that may buffer more than all of them together', () => {
    const wrong = {
      'responseBuffer: { perResponse: 65MiB }': /perResponse.*is more than total$/,
      'responseBuffer: { total: 512KiB }': /total.*is less than perResponse$/,
    }
    for (const [entrypoint, said] of Object.entries(wrong)) {
      const [problem, ...more] = problemsIn(gatewayYaml({ entrypoint }))
      assert.deepEqual(more, [])
      assert.match(`${problem?.where} ${problem?.problem}`, said)
    }
    const { responseBuffer } = configOf(
      gatewayYaml({ entrypoint: 'responseBuffer: { perResponse: 64MiB }' }),
    ).entrypoint
    assert.deepEqual(responseBuffer, { perResponseBytes: 67_108_864, totalBytes: 67_108_864 })
  })

  it('refuses a file without upstreams or routes', () => {
    assert.deepEqual(
      problemsIn('upstreams: {}\nroutes: []\n').map(({ where, problem }) => [where, problem]),
      [
        ['gateway.yaml:1:1 upstreams', '"upstreams" has nothing in it'],
        ['gateway.yaml:2:1 routes', '"routes" has nothing in it'],
      ],
    )
    assert.deepEqual(
      problemsIn('entrypoint: {}\n').map(({ problem }) => problem),
      ['"upstreams" is missing', '"routes" is missing'],
    )
  })

  it('reports everything in one go and in the order of the file', () => {
    const text = `entrypoint:
  headersTimeout: 5
  trustedProxies: [1]
upstreams:
  orders:
    targets: [http://127.0.0.1:9001/api]
    retries: { attempts: 2 }
  orders:
    targets: ["\${NOWHERE}"]
routes:
  - name: a
    match: { path: /a/*, methods: [GTE] }
    upstream: ordres
    auth: {}
  - name: a
    match: { path: /b/:x }
    upstream: orders
    rateLimt: { limit: 5, window: 1s }
    rewrite: { stripPrefix: /c }
  - name: c
    match: { path: /b/:y }
    upstream: orders
    rateLimit: { limit: 0, window: 10 }
`
    const places = problemsIn(text).map(problem => {
      const { line, path } = placeOf(problem, text)
      return `${line} ${path}`
    })
    assert.deepEqual(places, [
      '2 entrypoint.headersTimeout',
      '3 entrypoint.trustedProxies[0]',
      '8 ',
      '9 upstreams.orders.targets[0]',
      '12 routes[0].match.path',
      '12 routes[0].match.methods[0]',
      '13 routes[0].upstream',
      '14 routes[0].auth',
      '15 routes[1].name',
      '18 routes[1].rateLimt',
      '19 routes[1].rewrite.stripPrefix',
      '21 routes[2].match',
      '23 routes[2].rateLimit.limit',
      '23 routes[2].rateLimit.window',
    ])
  })
})
