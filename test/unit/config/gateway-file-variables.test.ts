import assert from 'node:assert/strict'
import { configOf, gatewayYaml, placeOf, problemsIn } from './gateway-yaml'

const target = (text: string): string =>
  gatewayYaml({
    upstreams: `  b:\n    targets:\n      - ${text}`,
    routes: '  - { name: b, match: { path: /b }, upstream: b }',
  })

describe('variables in gateway.yaml', () => {
  it('are filled in from the environment', () => {
    const { upstreams } = configOf(target('http://${HOST_B}:${PORT_B}'), { HOST_B: 'b.example', PORT_B: '81' })
    assert.deepEqual(upstreams[1]?.targets, [{ origin: 'http://b.example:81', weight: 1 }])
  })

  for (const [what, env] of [
    ['not set', {}],
    ['empty', { B: '' }],
  ] as const) {
    it(`take their default when ${what}`, () => {
      assert.deepEqual(configOf(target('${B:-http://127.0.0.1:9001}'), env).upstreams[1]?.targets, [
        { origin: 'http://127.0.0.1:9001', weight: 1 },
      ])
    })

    it(`are a problem of their own line, and the only one there, when ${what} and without a default`, () => {
      const text = target('${B}')
      const problems = problemsIn(text, { ...env, BB: 'x' })
      assert.deepEqual(problems, [
        {
          where: 'gateway.yaml:6:9 upstreams.b.targets[0]',
          problem: `"\${B}" needs the variable B, which is ${what === 'empty' ? 'empty' : 'not set'}`,
          allowed: 'a variable with a value, or a default: ${B:-default}',
          nearest: 'BB',
        },
      ])
    })
  }

  it('become numbers where a number without quotes would be one', () => {
    const limitOf = (limit: string, env = {}): number | undefined =>
      configOf(
        `upstreams: { a: { targets: [http://h] } }
routes:
  - name: a
    match: { path: /a }
    upstream: a
    rateLimit:
      window: 1s
      limit: ${limit}
`,
        env,
      ).routes[0]?.rateLimit[0]?.limit
    assert.equal(limitOf('${LIMIT:-100}'), 100)
    assert.equal(limitOf('${LIMIT:-100}', { LIMIT: '7' }), 7)
  })

  it('stay text in quotes', () => {
    const [problem] = problemsIn(gatewayYaml({ route: 'rateLimit: { window: 1s, limit: "${LIMIT:-100}" }' }))
    assert.equal(problem?.problem, '"${LIMIT:-100}" is text, not a number')
  })

  it('cannot bring keys of their own, and are not filled in twice', () => {
    const env = { B: 'http://h\n  evil: { targets: [http://evil] }', C: '${D}', D: 'http://d' }
    assert.match(problemsIn(target('${B}'), env)[0]?.problem ?? '', /^"\$\{B\}" /)
    assert.match(problemsIn(target('${C}'), env)[0]?.problem ?? '', /^"\$\{C\}" is not an origin$/)
  })

  it('are never shown with what they hold', () => {
    const env = { SECRET: 'hunter2' }
    for (const text of [
      target('http://${SECRET}/x'),
      target('${SECRET}:1'),
      gatewayYaml({ match: 'path: "${SECRET}/"' }),
      gatewayYaml({ match: 'path: /a, host: "${SECRET}:1"' }),
      gatewayYaml({ route: 'rateLimit: { limit: 1, window: "1${SECRET}" }' }),
      gatewayYaml({ routes: '  - { name: b, match: { path: /b }, upstream: "${SECRET}" }' }),
    ]) {
      const problems = problemsIn(text, env)
      assert.ok(problems.length > 0)
      assert.doesNotMatch(JSON.stringify(problems), /hunter2/)
    }
  })

  it('are left alone in keys and comments', () => {
    const text = `# \${NOWHERE}\n${gatewayYaml()}`
    assert.equal(configOf(text).routes.length, 1)
    assert.match(
      problemsIn(gatewayYaml({ upstreams: '  "${NAME}": { targets: [http://h] }' }), { NAME: 'b' })[0]?.problem ?? '',
      /cannot be a name/,
    )
  })

  it('give way to a doubled dollar sign', () => {
    assert.equal(configOf(gatewayYaml({ match: 'path: /$$x' })).routes[0]?.match.path, '/$x')
    assert.equal(configOf(gatewayYaml({ match: 'path: /$x' })).routes[0]?.match.path, '/$x')
    assert.match(problemsIn(gatewayYaml({ match: 'path: "/$${x}"' }))[0]?.problem ?? '', /has the segment/)
  })

  for (const [text, problem] of [
    ['"${}"', 'has "${}", which names no variable'],
    ['"${a b}"', 'has "${a b}", which names no variable'],
    ['"${A-x}"', 'has "${A-x}", which names no variable'],
    ['"${A"', 'has a "${" without its "}"'],
  ] as const) {
    it(`are refused when malformed: ${text}`, () => {
      const file = target(text)
      const [found, ...others] = problemsIn(file)
      assert.equal(found?.problem, `${JSON.stringify(text.slice(1, -1))} ${problem}`)
      assert.match(found.allowed ?? '', /\$\{NAME:-default\}/)
      assert.equal(placeOf(found, file).line, 6)
      assert.deepEqual(others, [])
    })
  }

  it('need quotes inside brackets, and the message says so', () => {
    const [problem] = problemsIn(gatewayYaml({ upstreams: '  b: { targets: [${B}] }' }))
    assert.match(problem?.problem ?? '', /^this is not YAML/)
    assert.match(problem?.allowed ?? '', /quotes around/)
  })
})
