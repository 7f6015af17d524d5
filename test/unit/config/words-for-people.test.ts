import assert from 'node:assert/strict'
import { stringify } from 'yaml'
import { z } from 'zod'
import { mapText } from '../../../src/config/example-values'
import { fileSchema } from '../../../src/config/schema'
import { shapeOf, unwrapped } from '../../../src/config/schema-walk'
import { configOf, problemsIn } from './gateway-yaml'

/** A small file with more in its route, its upstream or at its top. */
function file({
  route = {},
  upstream = {},
  ...top
}: {
  route?: object
  upstream?: object
  [key: string]: unknown
}): string {
  return stringify({
    ...top,
    upstreams: { u: { targets: ['http://127.0.0.1:1'], ...upstream } },
    routes: [{ name: 'r', match: { path: '/r' }, upstream: 'u', ...route }],
  })
}

function said(text: string): string[] {
  return problemsIn(text).map(({ problem, allowed, nearest }) => `${problem}; ${allowed}; ${nearest}`)
}

/** Every map of the file with keys of its own. */
function mapsIn(schema: z.ZodType, path: string): (readonly [string, z.ZodType])[] {
  const here = unwrapped(schema)
  const parts = here instanceof z.ZodUnion ? (here.options as z.ZodType[]) : [here]
  return parts.flatMap(part => {
    if (part instanceof z.ZodArray) return mapsIn(part.element as z.ZodType, `${path}[]`)
    if (part instanceof z.ZodRecord) return mapsIn(part.valueType as z.ZodType, `${path}.*`)
    const shape = part instanceof z.ZodObject ? shapeOf(part) : undefined
    if (shape === undefined) return []
    return [[path, part] as const, ...Object.entries(shape).flatMap(([key, inner]) => mapsIn(inner, `${path}.${key}`))]
  })
}

describe('a value where a map belongs', () => {
  for (const [path, schema] of mapsIn(fileSchema, 'file')) {
    it(`is refused with its keys and an example that works: ${path}`, () => {
      const text = mapText(schema, 'a map')
      assert.match(text, /^a map with .+, such as \{ .+ \}$/)
      for (const key of Object.keys(shapeOf(schema) ?? {}).filter(key => key !== 'slo'))
        assert.ok(text.includes(key), key)
    })
  }

  for (const [what, text, expected] of [
    [
      'retries: 3',
      file({ upstream: { retries: 3 } }),
      /with attempts \(required\), conditions, such as .*; \{ attempts: 3 \}$/,
    ],
    ['healthCheck: /x', file({ upstream: { healthCheck: '/x' } }), /with path, grpc, .*such as \{ path: \/path \}/],
    [
      'cors: true',
      file({ route: { cors: true } }),
      /with origins \(required\), .*such as \{ origins: \[https:\/\/shop\.example\] \}/,
    ],
    ['auth.apiKey: true', file({ route: { auth: { apiKey: true } } }), /with header, forward, .*; \{\}$/],
  ] as const) {
    it(`gets the map that is meant: ${what}`, () => assert.match(said(text).join('\n'), expected))
  }

  it('is named as the missing name of tokens, not of an upstream', () => {
    const [missing] = said(file({ route: { auth: { jwt: { issuer: 'https://login.example' } } } }))
    assert.match(missing ?? '', /"tokens" is missing; the name of an entry of "tokens"/)
  })
})

describe('a key of another gateway', () => {
  for (const [text, expected] of [
    [file({ route: { path: '/a' } }), /"path" is not a key here; .*; match: \{ path: \/… \}$/],
    [file({ route: { strip_path: true } }), /"strip_path" is not a key here; .*; rewrite: \{ stripPrefix: \/… \}$/],
    [file({ route: { preserve_host: true } }), /"preserve_host" is not a key here; .*; host: client$/],
    [file({ route: { plugins: [] } }), /"plugins" has no equivalent: each policy is a key of its own/],
    [file({ upstream: { servers: [] } }), /"servers" is not a key here; .*; targets: /],
    [file({ upstream: { lb_policy: 'random' } }), /"lb_policy" is not a key here; .*; balance: round-robin$/],
    [file({ services: [] }), /"services" is not a key here; .*; upstreams$/],
    [file({ entrypoint: { port: 80 } }), /"port" is not a key here; .*; the variables PORT and HOST$/],
  ] as const) {
    it(`leads to ours: ${expected.source.slice(1, 20)}…`, () => assert.match(said(text).join('\n'), expected))
  }

  it('is told that merge keys are not part of YAML 1.2', () => {
    const text = `x: &x { connect: 1s }\n${file({}).replace('targets:', 'timeouts: { <<: *x }\n    targets:')}`
    assert.match(said(text).join('\n'), /"<<" is a merge key of YAML 1\.1/)
  })
})

describe('retries.on and circuitBreaker.on', () => {
  const sections = { retries: { attempts: 2, on: [500] }, circuitBreaker: { on: [500] } }

  it('still work, and say what they are called now', () => {
    const problems = problemsIn(file({ upstream: sections }))
    assert.deepEqual(
      problems.map(({ severity, nearest }) => [severity, nearest]),
      [
        ['warning', 'conditions'],
        ['warning', 'conditions'],
      ],
    )
    const renamed = configOf(
      file({ upstream: { retries: { attempts: 2, conditions: [500] }, circuitBreaker: { conditions: [500] } } }),
    )
    assert.deepEqual(renamed.upstreams[0]?.retries?.on, [500])
    assert.deepEqual(renamed.upstreams[0]?.circuitBreaker?.on, [500])
  })

  it('do not go beside their new name', () => {
    const [both] = said(file({ upstream: { retries: { attempts: 2, on: [500], conditions: [502] } } }))
    assert.match(both ?? '', /"on" is the older name of "conditions"; one of the two/)
  })

  it('are recognised as the "true:" that tools of YAML 1.1 make of them', () => {
    const text = file({ upstream: { retries: { attempts: 2, mark: [500] } } }).replace('mark:', 'true:')
    assert.match(said(text).join('\n'), /"true" is not a key here; .*; conditions \(a YAML 1\.1 tool/)
  })
})

describe('a file that means something else than it says', () => {
  it('is refused with a wildcard for a target', () => {
    const text = file({ upstream: { targets: ['http://*:80'] } })
    assert.match(said(text).join('\n'), /has a wildcard for its host, which is no server/)
  })

  it('is warned of a scope that no consumer has', () => {
    const consumers = { a: { scopes: ['orders:read'], apiKeys: [`sha256:${'0a'.repeat(32)}`] } }
    const asking = (scopes: string[]): string => file({ consumers, route: { auth: { apiKey: {}, scopes } } })
    assert.deepEqual(said(asking(['orders:read'])), [])
    const [warning] = problemsIn(asking(['orders:raed']))
    assert.equal(warning?.severity, 'warning')
    assert.match(warning.problem, /"orders:raed" is a scope that no consumer has/)
    assert.equal(warning.nearest, 'orders:read')
  })

  it('are warned of a host that is nearly one of the words for it', () => {
    for (const host of ['client', 'target', 'shop.example', 'web', 'Client']) {
      assert.deepEqual(problemsIn(file({ upstream: { targets: ['http://127.0.0.1:9001'], host } })), [], host)
    }
    const [warning] = problemsIn(file({ upstream: { targets: ['http://127.0.0.1:9001'], host: 'clent' } }))
    assert.equal(warning?.severity, 'warning')
    assert.match(warning.problem, /"clent" is sent as the name of a host/)
    assert.equal(warning.nearest, 'client')
  })

  for (const [target, env, isItself] of [
    ['http://localhost:8000', {}, true],
    ['http://127.0.0.1:9999', { PORT: '9999' }, true],
    ['http://[::1]:8000', { HOST: '::' }, true],
    ['http://127.0.0.1:8000', { HOST: '10.0.0.5' }, false],
    ['http://10.0.0.5:8000', { HOST: '10.0.0.5' }, true],
    ['http://localhost:8001', {}, false],
    ['http://other.example:8000', {}, false],
  ] as const) {
    it(`is ${isItself ? '' : 'not '}warned of a target that is the gateway: ${target} with ${JSON.stringify(env)}`, () => {
      const problems = problemsIn(file({ upstream: { targets: [target] } }), env)
      assert.equal(problems.length, isItself ? 1 : 0)
      if (isItself) assert.match(problems[0]?.problem ?? '', /is this gateway itself/)
    })
  }
})
