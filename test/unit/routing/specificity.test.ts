import assert from 'node:assert/strict'
import { precedence } from '../../../src/routing/specificity'
import { RouteTable } from '../../../src/routing/route-table'
import type { MatchConfig } from '../../../src/config/match-schema'

const HOSTS = [undefined, 'a.example', '*.example', '*.a.example']
const PATHS = ['/a', '/:x', '/a/b', '/a/:x', '/:x/b', '/:x/:y']
const METHODS = [undefined, ['GET']]
const HEADERS = [[], [{ name: 'x-version', value: '2' }]]

/** Every route that these make. */
const ROUTES = HOSTS.flatMap(host =>
  PATHS.flatMap(path =>
    [true, false].flatMap(exact =>
      METHODS.flatMap(methods => HEADERS.map(headers => routeOf({ host, path, exact, methods, headers }))),
    ),
  ),
)

function routeOf(match: MatchConfig): { readonly match: MatchConfig } {
  return { match }
}

describe('the precedence of routes', () => {
  it('is the order in which the route table looks, for every pair that matches the same request', () => {
    const fields = { headersDistinct: { 'x-version': ['2'] } }
    let compared = 0
    for (const host of ['a.example', 'b.a.example']) {
      for (const path of ['/a', '/a/b']) {
        const matching = ROUTES.filter(route => new RouteTable([route]).match('GET', host, path, fields) === route)
        for (const [index, one] of matching.entries()) {
          for (const other of matching.slice(index + 1)) {
            const { order, why } = precedence(one.match, other.match)
            const first = new RouteTable([one, other]).match('GET', host, path, fields)
            assert.equal(first, order < 0 ? one : other, `${JSON.stringify([one, other])}: ${why}`)
            assert.equal(Math.sign(precedence(other.match, one.match).order), -Math.sign(order))
            compared++
          }
        }
      }
    }
    assert.ok(compared > 1_000, `${compared} pairs`)
  })
})
