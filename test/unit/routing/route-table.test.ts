import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { toFields } from '../../../src/config/values/header'
import { toRoute, type Route } from '../../../src/routing/route'
import { MethodNotAllowed, RouteTable } from '../../../src/routing/route-table'
import { ROUTE_DEFAULTS } from '../../support/config-defaults'

interface Match {
  readonly path: string
  readonly host?: string
  readonly methods?: readonly string[]
  readonly exact?: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** A table whose routes are named as they are written here: `GET shop.example/a = x-a:1`; `=` is exact. */
function table(...routes: readonly Match[]): RouteTable<Route> {
  return new RouteTable(
    routes.map(({ path, host, methods, exact = false, headers: map }) =>
      toRoute({
        ...ROUTE_DEFAULTS,
        name: [methods?.join('|'), `${host ?? ''}${path}`, exact ? '=' : [], map && describeFields(map)]
          .flat()
          .filter(part => part !== undefined)
          .join(' '),
        match: { path, host, methods, exact, headers: toFields(map) },
        upstream: 'app',
      }),
    ),
  )
}

function describeFields(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .map(field => field.join(':'))
    .join(' ')
}

/** The name of the route, or the methods allowed, or nothing. */
function find(
  routes: RouteTable<Route>,
  request: string,
  headersDistinct: NodeJS.Dict<string[]> = {},
): string | undefined {
  const [, method = '', host = '', path = ''] = /^(\S+) ([^/]*)(\S*)$/.exec(request) ?? []
  const found = routes.match(method, host, path, { headersDistinct })
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

  describe('takes a path alone where it is exact', () => {
    const routes = table(
      { path: '/a', exact: true },
      { path: '/a' },
      { path: '/b/:id', exact: true, methods: ['GET'] },
      { path: '/b/c' },
      { path: '/c', exact: true, methods: ['GET'] },
      { path: '/c', methods: ['POST'] },
    )
    const CASES: Readonly<Record<string, string | undefined>> = {
      'GET x/a': '/a =',
      // Upstreams tell it from `/a`.
      'GET x/a/': '/a',
      'GET x/a/b': '/a',
      'GET x/b/7': 'GET /b/:id =',
      'GET x/b/7/': undefined,
      'PUT x/b/7': 'only GET|HEAD',
      'PUT x/b/7/8': undefined,
      'GET x/b/c': '/b/c',
      'GET x/c': 'GET /c =',
      'POST x/c': 'POST /c',
      'PUT x/c': 'only GET|HEAD|POST',
      'PUT x/c/d': 'only POST',
    }
    for (const [request, expected] of Object.entries(CASES)) {
      it(`${request} is ${expected ?? 'none'}`, () => assert.equal(find(routes, request), expected))
    }
  })

  describe('takes header fields as part of the match', () => {
    const matches: readonly Match[] = [
      { path: '/a' },
      { path: '/a', headers: { 'x-a': '1' } },
      { path: '/a', headers: { 'x-a': '2' }, methods: ['GET'] },
      { path: '/a', headers: { 'x-a': '1', 'x-b': '1' }, methods: ['POST'] },
      { path: '/a', headers: { 'x-b': '1' }, methods: ['GET', 'PUT'] },
      { path: '/a/b', headers: { 'x-a': '1' } },
      { path: '/a/b', methods: ['GET'] },
      { path: '/only', headers: { 'x-a': '1' }, methods: ['GET'] },
      { path: '/only', headers: { 'x-b': '1' }, methods: ['HEAD', 'POST'] },
      { path: '/only', headers: { 'x-c': '1' } },
      { host: 'shop.example', path: '/a', headers: { 'x-c': '1' } },
    ]
    const CASES: readonly (readonly [string, NodeJS.Dict<string[]>, string | undefined])[] = [
      ['GET x/a', {}, '/a'],
      ['GET x/a', { 'x-a': ['1'] }, '/a x-a:1'],
      ['POST x/a', { 'x-a': ['2'] }, '/a'],
      ['GET x/a', { 'x-a': ['2'] }, 'GET /a x-a:2'],
      ['HEAD x/a', { 'x-a': ['2'] }, 'GET /a x-a:2'],
      ['GET x/a', { 'x-a': ['3'] }, '/a'],
      ['GET x/a', { 'x-a': ['1 '] }, '/a'],
      ['GET x/a', { 'x-a': [''] }, '/a'],
      // Twice: it depends on the upstream which of them it would go by.
      ['GET x/a', { 'x-a': ['1', '1'] }, '/a'],
      ['GET x/a', { 'x-a': ['1, 2'] }, '/a'],
      ['POST x/a', { 'x-a': ['1'], 'x-b': ['1'] }, 'POST /a x-a:1 x-b:1'],
      // Of as many conditions, those with the method listed.
      ['GET x/a', { 'x-a': ['1'], 'x-b': ['1'] }, 'GET|PUT /a x-b:1'],
      ['HEAD x/a', { 'x-a': ['1'], 'x-b': ['1'] }, 'GET|PUT /a x-b:1'],
      ['DELETE x/a', { 'x-a': ['1'], 'x-b': ['1'] }, '/a x-a:1'],
      ['DELETE x/a', { 'x-b': ['1'] }, '/a'],
      // A condition that fails leads on to what is less specific: another method, another path, another host.
      ['GET x/a/b', { 'x-a': ['1'] }, '/a/b x-a:1'],
      ['GET x/a/b', {}, 'GET /a/b'],
      ['POST x/a/b', { 'x-b': ['1'] }, '/a'],
      ['GET shop.example/a', { 'x-c': ['1'] }, 'shop.example/a x-c:1'],
      ['GET shop.example/a', {}, '/a'],
      // Without the fields there is no such path; with them the methods of the routes whose conditions hold.
      ['GET x/only', {}, undefined],
      ['GET x/only', { 'x-a': ['2'] }, undefined],
      ['PUT x/only', { 'x-a': ['1'] }, 'only GET|HEAD'],
      ['PUT x/only', { 'x-a': ['1'], 'x-b': ['1'] }, 'only GET|HEAD|POST'],
      ['HEAD x/only', { 'x-a': ['1'], 'x-b': ['1'] }, 'HEAD|POST /only x-b:1'],
      ['HEAD x/only', { 'x-a': ['1'], 'x-c': ['1'] }, 'GET /only x-a:1'],
      ['TRACE x/only', { 'x-c': ['1'] }, 'only GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|QUERY'],
    ]
    for (const [order, routes] of Object.entries({ forward: matches, backward: matches.toReversed() })) {
      for (const [request, headers, expected] of CASES) {
        it(`${request} with ${JSON.stringify(headers)} is ${expected ?? 'none'} (${order})`, () => {
          const found = find(table(...routes), request, headers)
          const sorted = (text = ''): string[] => text.split(/[ |]/).toSorted()
          if (expected?.startsWith('only')) assert.deepEqual(sorted(found), sorted(expected))
          else assert.equal(found, expected)
        })
      }
    }

    it('is not misled by names that every object has', () => {
      const routes = table({ path: '/a', headers: { constructor: 'x' } }, { path: '/a' })
      assert.equal(find(routes, 'GET x/a'), '/a')
      assert.equal(find(routes, 'GET x/a', { constructor: ['x'] }), '/a constructor:x')
    })
  })

  describe('costs the same with 1,000 routes as with ten', () => {
    /** Look-ups in maps and fields that were read for one request: all that a search does for each thing it looks at. */
    function work(routes: RouteTable<Route>, path: string, fields: Readonly<Record<string, string>> = {}): number {
      let reads = 0
      const readField = (_fields: unknown, name: PropertyKey): string[] | undefined => {
        reads++
        const value = fields[String(name)]
        return value === undefined ? undefined : [value]
      }
      const headersDistinct = new Proxy<NodeJS.Dict<string[]>>({}, { get: readField })
      const lookUps = mock.method(Map.prototype, 'get')
      try {
        const found = routes.match('GET', 'x.shop.example', path, { headersDistinct })
        assert.ok(found !== undefined && !(found instanceof MethodNotAllowed))
        return lookUps.mock.callCount() + reads
      } finally {
        lookUps.mock.restore()
      }
    }

    const kinds: Readonly<Record<string, (index: number) => Match>> = {
      'paths side by side': index => ({ path: `/s${index}/x` }),
      'paths of many shapes': index => ({ path: index % 3 === 0 ? `/s${index}/:id/p` : `/s${index % 97}/v${index}/x` }),
      hosts: index => ({
        path: '/s9/x',
        host: index % 2 === 0 ? `s${index}.shop.example` : `*.s${index}.shop.example`,
      }),
      methods: index => ({ path: `/s${index >> 1}`, methods: [index % 2 === 0 ? 'GET' : 'POST'] }),
      'values of a field': index => ({ path: '/s9', headers: { 'x-tenant': `t${index}` } }),
      'exact paths': index => ({ path: `/s${index}/:id/p`, exact: true }),
    }
    for (const [kind, match] of Object.entries(kinds)) {
      it(`told apart by ${kind}`, () => {
        const routes = (count: number): RouteTable<Route> =>
          table({ path: '/:any', exact: false }, ...Array.from({ length: count }, (_, index) => match(index)))
        const requests = [
          ['/s9/9/p', {}],
          ['/s9/x', {}],
          ['/s4', { 'x-tenant': 't9' }],
          ['/s9', { 'x-tenant': 't9' }],
          ['/nowhere', {}],
        ] as const
        for (const [path, fields] of requests) {
          assert.equal(work(routes(1_000), path, fields), work(routes(10), path, fields), path)
        }
      })
    }

    it('and finds each of them', () => {
      const paths = Array.from({ length: 1_000 }, (_, i) =>
        i % 3 === 0 ? `/s${i}/:id/part${i}` : `/s${i % 97}/v${i}/x`,
      )
      const routes = table(...paths.map(path => ({ path })))
      for (const path of paths) assert.equal(find(routes, `GET x${path.replace(':id', '42')}/deeper`), path)
    })
  })

  it('does not lose its way in a path without end', () => {
    const routes = table({ path: '/:a/:b/:c' }, { path: '/x/:b/y' }, { path: '/x' })
    assert.equal(find(routes, `GET h/x${'/y'.repeat(5_000)}`), '/x/:b/y')
    assert.equal(find(routes, `GET h/x${'/'.repeat(5_000)}`), '/x')
  })
})
