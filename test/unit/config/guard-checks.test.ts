import assert from 'node:assert/strict'
import { parseGatewayFile } from '../../../src/config/gateway-file'

/** What is warned of two routes to one upstream, the first of them guarded. */
function warnings(guarded: object, open: object, upstreamOfOpen = 'app'): string[] {
  const file = {
    upstreams: { app: { targets: ['http://127.0.0.1:9001'] }, other: { targets: ['http://127.0.0.1:9002'] } },
    routes: [
      { name: 'guarded', match: { path: '/admin' }, upstream: 'app', access: { deny: ['192.0.2.0/24'] }, ...guarded },
      { name: 'open', match: { path: '/:path' }, upstream: upstreamOfOpen, ...open },
      { name: 'rest', match: { path: '/rest', host: 'rest.example' }, upstream: 'other' },
    ],
  }
  const { problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {})
  assert.deepEqual(
    problems.filter(({ severity }) => severity !== 'warning'),
    [],
  )
  return problems.map(({ problem }) => problem)
}

describe('a route to the upstream of a guarded one', () => {
  it('is warned of where it takes other spellings of the guarded path', () => {
    const [problem, ...others] = warnings({}, {})
    assert.deepEqual(others, [])
    assert.match(
      problem ?? '',
      /^"\/:path" takes \/ADMIN and \/admin;x to the upstream of routes\[0\] "guarded" .*, without its access$/,
    )
  })

  it('is warned of also for /, a longer path, and an escaped slash', () => {
    assert.match(warnings({}, { match: { path: '/' } })[0] ?? '', /takes \/ADMIN and \/admin;x/)
    const deep = { match: { path: '/projects/:id/admin' } }
    const raw = { match: { path: '/projects/:id' }, rawPath: true }
    assert.match(
      warnings(deep, raw)[0] ?? '',
      /takes \/projects\/:id\/ADMIN and \/projects\/:id\/admin;x and \/projects\/:id%2Fadmin to/,
    )
  })

  for (const [what, guarded, open, upstream] of [
    ['ignores case and refuses ;', { match: { path: '/admin', ignoreCase: true } }, { semicolons: 'refuse' }, 'app'],
    ['has another upstream', {}, {}, 'other'],
    ['is guarded as well', {}, { access: { deny: ['192.0.2.0/24'] } }, 'app'],
    [
      'is for another host',
      { match: { path: '/admin', host: 'a.example' } },
      { match: { path: '/:p', host: 'b.example' } },
      'app',
    ],
    ['takes no spelling of it', {}, { match: { path: '/shop' } }, 'app'],
    ['has only the exact path above', {}, { match: { path: '/', exact: true } }, 'app'],
  ] as const) {
    it(`is not warned of where it ${what}`, () => assert.deepEqual(warnings(guarded, open, upstream), []))
  }
})
