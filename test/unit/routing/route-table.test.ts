import assert from 'node:assert/strict'
import { toRoute, type Route } from '../../../src/routing/route'
import { MethodNotAllowed, RouteTable } from '../../../src/routing/route-table'

interface Match {
  readonly path: string
  readonly host?: string
  readonly methods?: readonly string[]
}

/** A table whose routes are named as they are written here: `GET shop.example/a`. */
function table(...routes: readonly Match[]): RouteTable<Route> {
  return new RouteTable(
    routes.map(({ path, host, methods }) =>
      toRoute({
        name: `${methods ? `${methods.join('|')} ` : ''}${host ?? ''}${path}`,
        match: { path, host, methods },
        upstream: 'app',
        rewrite: { stripPrefix: undefined },
        timeouts: {},
        retry: 'idempotent',
        maxBodyBytes: undefined,
        rateLimits: [],
      }),
    ),
  )
}

/** The name of the route, or the methods allowed, or nothing. */
function find(routes: RouteTable<Route>, request: string): string | undefined {
  const [, method = '', host = '', path = ''] = /^(\S+) ([^/]*)(\S*)$/.exec(request) ?? []
  const found = routes.match(method, host, path)
  return found instanceof MethodNotAllowed ? `only ${found.allowed.join('|')}` : found?.name
}

describe('the route table', () => {
  describe('finds the most specific path, whatever the order of the routes', () => {
    const matches: readonly Match[] = [
      { path: '/:path' },
      { path: '/api' },
      { path: '/api/orders' },
      { path: '/api/orders/:id' },
      { path: '/api/orders/:id/items' },
      { path: '/api/orders/special' },
      { path: '/api/:kind/:id/items/latest' },
      { path: '/caf%C3%A9' },
      { path: '/__proto__' },
    ]
    const CASES: Readonly<Record<string, string | undefined>> = {
      '/api': '/api',
      '/api/': '/api',
      '/api/x': '/api',
      '/api/orders': '/api/orders',
      '/api/orders/': '/api/orders',
      '/api/orders/7': '/api/orders/:id',
      '/api/orders/7/': '/api/orders/:id',
      '/api/orders/7/items': '/api/orders/:id/items',
      '/api/orders/7/items/1/2/3': '/api/orders/:id/items',
      '/api/orders/7/other': '/api/orders/:id',
      '/api/orders/special': '/api/orders/special',
      '/api/orders/special/items': '/api/orders/special',
      // A literal that leads nowhere further does not hide what a parameter leads to.
      '/api/carts/7/items/latest': '/api/:kind/:id/items/latest',
      '/api/carts/7/items': '/api',
      '/apix': '/:path',
      '/API': '/:path',
      '/ap': '/:path',
      '/caf%C3%A9/x': '/caf%C3%A9',
      '/__proto__/x': '/__proto__',
      '/constructor': '/:path',
      '/:path': '/:path',
      '/': undefined,
    }
    for (const [order, routes] of Object.entries({ forward: matches, backward: matches.toReversed() })) {
      for (const [path, expected] of Object.entries(CASES)) {
        it(`${path} is ${expected ?? 'none'} (${order})`, () => {
          assert.equal(find(table(...routes), `GET shop.example${path}`), expected)
        })
      }
    }
  })

  describe('finds the most specific host first', () => {
    const routes = table(
      { path: '/a' },
      { path: '/a/b/c' },
      { host: 'shop.example', path: '/a' },
      { host: '*.shop.example', path: '/a' },
      { host: '*.eu.shop.example', path: '/a' },
      { host: '*.eu.shop.example', path: '/only-eu' },
    )
    const CASES: Readonly<Record<string, string | undefined>> = {
      'shop.example/a': 'shop.example/a',
      'shop.example/a/b/c': 'shop.example/a',
      'www.shop.example/a': '*.shop.example/a',
      'a.b.shop.example/a': '*.shop.example/a',
      'x.eu.shop.example/a': '*.eu.shop.example/a',
      'eu.shop.example/a': '*.shop.example/a',
      'x.eu.shop.example/only-eu': '*.eu.shop.example/only-eu',
      'www.shop.example/only-eu': undefined,
      'other.example/a': '/a',
      'evilshop.example/a': '/a',
      'shop.example.evil.example/a': '/a',
      'shop.example/b': undefined,
      '/a': '/a',
      '[::1]/a/b/c': '/a/b/c',
    }
    for (const [target, expected] of Object.entries(CASES)) {
      it(`${target} is ${expected ?? 'none'}`, () => {
        assert.equal(find(routes, `GET ${target}`), expected)
      })
    }

    it('and goes on to a less specific one that has the path', () => {
      const both = table({ host: 'shop.example', path: '/a' }, { path: '/b' })
      assert.equal(find(both, 'GET shop.example/b'), '/b')
    })
  })

  describe('takes methods as part of the match', () => {
    const routes = table(
      { path: '/a', methods: ['GET', 'POST'] },
      { path: '/a', methods: ['DELETE'] },
      { path: '/a/b', methods: ['PUT'] },
      { path: '/c', methods: ['GET'] },
      { path: '/c', methods: ['HEAD'] },
      { path: '/d', methods: ['GET'] },
      { path: '/d' },
      { path: '/e', methods: ['POST'] },
      { host: 'shop.example', path: '/e', methods: ['GET'] },
    )
    const CASES: Readonly<Record<string, string | undefined>> = {
      'GET x/a': 'GET|POST /a',
      'POST x/a': 'GET|POST /a',
      'DELETE x/a': 'DELETE /a',
      // RFC 9110 §9.3.2: as GET, without the content.
      'HEAD x/a': 'GET|POST /a',
      'HEAD x/c': 'HEAD /c',
      'PATCH x/a': 'only GET|POST|HEAD|DELETE',
      'PUT x/a/b': 'PUT /a/b',
      // The less specific one serves it.
      'GET x/a/b': 'GET|POST /a',
      'PATCH x/a/b': 'only PUT|GET|POST|HEAD|DELETE',
      'PATCH x/d': '/d',
      'GET x/d': 'GET /d',
      'POST shop.example/e': 'POST /e',
      'GET shop.example/e': 'GET shop.example/e',
      'PUT shop.example/e': 'only GET|HEAD|POST',
      'get x/a': 'only GET|POST|HEAD|DELETE',
    }
    for (const [request, expected] of Object.entries(CASES)) {
      it(`${request} is ${expected}`, () => {
        assert.equal(find(routes, request), expected)
      })
    }
  })

  it('finds each of 1,000 routes, at the same cost as one of ten', () => {
    const paths = (count: number): string[] =>
      Array.from({ length: count }, (_, i) => (i % 3 === 0 ? `/s${i}/:id/part${i}` : `/s${i % 97}/v${i}/x`))
    const big = table(...paths(1_000).map(path => ({ path })))
    for (const path of paths(1_000)) {
      assert.equal(find(big, `GET x${path.replace(':id', '42')}/deeper`), path)
    }
    const small = table(...paths(10).map(path => ({ path })))
    const cost = (routes: RouteTable<Route>): number => {
      const started = performance.now()
      for (let i = 0; i < 50_000; i++) routes.match('GET', 'x', '/s9/42/part9/deeper')
      return performance.now() - started
    }
    // The best of several, so that a pause of the machine is not taken for the cost of a route.
    const best = (routes: RouteTable<Route>): number => Math.min(...Array.from({ length: 5 }, () => cost(routes)))
    best(small)
    const ratio = best(big) / best(small)
    assert.ok(ratio < 5, `${ratio} times as much`)
  })

  it('does not lose its way in a path without end', () => {
    const routes = table({ path: '/:a/:b/:c' }, { path: '/x/:b/y' }, { path: '/x' })
    assert.equal(find(routes, `GET h/x${'/y'.repeat(5_000)}`), '/x/:b/y')
    assert.equal(find(routes, `GET h/x${'/'.repeat(5_000)}`), '/x')
  })
})
