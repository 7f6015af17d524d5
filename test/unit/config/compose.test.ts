import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readGatewayFile, type ReadGatewayFile } from '../../../src/config/gateway-file'

const UPSTREAM = 'upstreams: { shop: { targets: [http://127.0.0.1:9001] } }\n'

describe('defaults, policy sets and included files', () => {
  let folder = ''
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gateway-compose-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  /** Reads a gateway.yaml beside other files. */
  async function read(
    main: string,
    others: Readonly<Record<string, string>> = {},
    env: Readonly<Record<string, string>> = {},
  ): Promise<ReadGatewayFile> {
    for (const [name, text] of Object.entries({ 'gateway.yaml': main, ...others })) {
      mkdirSync(join(folder, name, '..'), { recursive: true })
      writeFileSync(join(folder, name), text)
    }
    return readGatewayFile(join(folder, 'gateway.yaml'), env)
  }

  /** Problems without the path of the temporary folder. */
  function problemsIn(found: ReadGatewayFile): string[] {
    return found.problems.map(({ where, problem, allowed, nearest }) =>
      [`${where}: ${problem}`, allowed, nearest].filter(Boolean).join(' | ').replaceAll(`${folder}/`, ''),
    )
  }

  function routeNamed({ config, problems }: ReadGatewayFile, name: string) {
    assert.ok(config, JSON.stringify(problems))
    const route = config.routes.find(route => route.name === name)
    assert.ok(route)
    return route
  }

  describe('a key that a route does not have', () => {
    it('comes from defaults.routes', async () => {
      const found = await read(`
defaults: { routes: { rateLimit: { limit: 7, window: 1m }, maxBodySize: 1KiB } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop }
  - { name: b, match: { path: /b }, upstream: shop, maxBodySize: 2KiB }
`)
      assert.equal(routeNamed(found, 'a').rateLimit?.[0]?.limit, 7)
      assert.equal(routeNamed(found, 'a').maxBodySize, 1_024)
      assert.equal(routeNamed(found, 'b').maxBodySize, 2_048)
      assert.deepEqual(found.config?.inherited.routes, {
        a: {
          rateLimit: `defaults.routes (${folder}/gateway.yaml:2)`,
          maxBodySize: `defaults.routes (${folder}/gateway.yaml:2)`,
        },
        b: { rateLimit: `defaults.routes (${folder}/gateway.yaml:2)` },
      })
    })

    it('comes from the last of its policy sets that has it, before defaults', async () => {
      const found = await read(`
defaults: { routes: { maxBodySize: 1KiB, requestHeaders: { set: { x-from: defaults } } } }
policySets:
  small: { maxBodySize: 2KiB, requestHeaders: { set: { x-from: small } } }
  large: { maxBodySize: 3KiB }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop, use: [small, large] }
  - { name: b, match: { path: /b }, upstream: shop, use: [large, small] }
  - { name: c, match: { path: /c }, upstream: shop, use: [large], maxBodySize: 4KiB }
`)
      assert.equal(routeNamed(found, 'a').maxBodySize, 3_072)
      assert.match(JSON.stringify(routeNamed(found, 'a').requestHeaders), /small/)
      assert.equal(routeNamed(found, 'b').maxBodySize, 2_048)
      assert.equal(routeNamed(found, 'c').maxBodySize, 4_096)
      assert.match(JSON.stringify(routeNamed(found, 'c').requestHeaders), /defaults/)
    })

    it('is not inherited if `without` names it', async () => {
      const found = await read(`
defaults: { routes: { maxBodySize: 1KiB } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop, without: [maxBodySize] }
`)
      const plain = await read(`${UPSTREAM}\nroutes: [{ name: a, match: { path: /a }, upstream: shop }]`)
      assert.deepEqual(routeNamed(found, 'a'), routeNamed(plain, 'a'))
    })

    it('is not inherited by a route without upstream, if it needs one', async () => {
      const found = await read(`
defaults: { routes: { timeouts: { response: 2s } } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop }
  - { name: r, match: { path: /r }, redirect: { to: /a } }
`)
      assert.deepEqual(problemsIn(found), [])
      assert.deepEqual(Object.keys(found.config?.inherited.routes ?? {}), ['a'])
    })

    it('may contain variables and refer to an anchor, for any number of routes', async () => {
      const routes = Array.from(
        { length: 150 },
        (_, i) => `  - { name: r${i}, match: { path: /r${i} }, upstream: shop }`,
      )
      const found = await read(
        `
policySets: { shared: { requestHeaders: &fields { set: { x-from: '\${FROM}' } } } }
defaults: { routes: { requestHeaders: *fields } }
${UPSTREAM}
routes:
${routes.join('\n')}
`,
        {},
        { FROM: '${OTHER}' },
      )
      assert.match(JSON.stringify(routeNamed(found, 'r149').requestHeaders), /\$\{OTHER\}/)
    })
  })

  it('gives upstreams the keys of defaults.upstreams that have an effect there', async () => {
    const found = await read(`
defaults: { upstreams: { timeouts: { connect: 2s }, ejection: { failures: 9 }, tls: { serverName: a.example } } }
upstreams:
  a: { targets: [http://127.0.0.1:9001] }
  b: { targets: [https://127.0.0.1:9002], circuitBreaker: {}, timeouts: { response: 3s } }
  c: { targets: [http://127.0.0.1:9003], without: [ejection] }
routes:
  - { name: a, match: { path: /a }, upstream: a }
  - { name: b, match: { path: /b }, upstream: b }
  - { name: c, match: { path: /c }, upstream: c }
`)
    assert.deepEqual(problemsIn(found), [])
    const [a, b, c] = found.config?.upstreams ?? []
    assert.deepEqual([a?.timeouts.connectMs, b?.timeouts.connectMs, c?.timeouts.connectMs], [2_000, 1_000, 2_000])
    assert.deepEqual([a?.ejection?.failures, c?.ejection?.failures], [9, 5])
    assert.deepEqual([a?.tls, b?.tls?.serverName], [undefined, 'a.example'])
  })

  describe('include', () => {
    it('adds the files of a folder in the order of their names, and single files', async () => {
      const found = await read(`include: [conf.d, more/teams.yml]\n${UPSTREAM}routes: []\n`, {
        'conf.d/20-b.yaml': 'routes: [{ name: b, match: { path: /b }, upstream: other }]',
        'conf.d/10-a.yml':
          'upstreams: { other: { targets: [http://127.0.0.1:9002] } }\nroutes: [{ name: a, match: { path: /a }, upstream: shop, use: [small] }]',
        'conf.d/notes.txt': 'not YAML: [',
        'conf.d/30-empty.yaml': '# nothing yet\n',
        'more/teams.yml': 'policySets: { small: { maxBodySize: 1KiB } }\nconsumers: { web: {} }',
      })
      assert.deepEqual(
        found.config?.routes.map(({ name }) => name),
        ['a', 'b'],
        JSON.stringify(found.problems),
      )
      assert.equal(routeNamed(found, 'a').maxBodySize, 1_024)
      assert.deepEqual(found.config?.inherited.routes['a'], {
        maxBodySize: `policySets.small (${folder}/more/teams.yml:1)`,
      })
    })

    it('reports mistakes with the file and line where they are', async () => {
      const found = await read(
        `include: [conf.d]\n${UPSTREAM}routes: [{ name: a, match: { path: /a }, upstream: shop }]\n`,
        {
          'conf.d/a.yaml': `upstreams:\n  shop: { targets: [http://127.0.0.1:1] }\nroutes:\n  - { name: a, match: { path: /b }, upstream: shop, maxBodySize: many }\n`,
          'conf.d/b.yaml': 'entrypoint: {}\nupstream: {}\n',
          'conf.d/c.yaml': '- a\n',
          'conf.d/d.yaml': 'routes: [\n',
          'conf.d/e.yaml': 'routes: {}\n',
          'conf.d/f.yaml': `routes:\n  - { name: f, match: { path: /f }, upstream: shop, requestHeaders: { set: { a: '\${GONE}' } } }\n`,
        },
      )
      const text = problemsIn(found).join('\n')
      for (const line of [
        /^conf\.d\/a\.yaml:2:3: "upstreams\.shop" is in gateway\.yaml:2 too \| each name once$/m,
        /^conf\.d\/a\.yaml:4:13 routes\[1\]\.name: "a" is the name of routes\[0\] "a" \(line 3\) too/m,
        /^conf\.d\/a\.yaml:4:66 routes\[1\]\.maxBodySize: "many" /m,
        /^conf\.d\/b\.yaml:1:1: "entrypoint" is not a key of an included file/m,
        /^conf\.d\/b\.yaml:2:1: "upstream" is not a key of an included file.* \| upstreams$/m,
        /^conf\.d\/c\.yaml:1:1: the file is not a map/m,
        /^conf\.d\/d\.yaml:\d+:\d+: this is not YAML/m,
        /^conf\.d\/e\.yaml:1:1: "routes" is not a list/m,
        /^conf\.d\/f\.yaml:2:\d+ routes\[2\]\.requestHeaders\.set\.a: "\$\{GONE\}" needs the variable GONE/m,
      ])
        assert.match(text, line)
    })

    for (const [what, name, expected] of [
      ['a file that is not there', 'gone.yaml', /^gateway\.yaml:1:11: the included file gone\.yaml is not there/],
      ['a folder that is not there', 'gone', /^gateway\.yaml:1:11: the folder "gone" is not there/],
    ] as const) {
      it(`reports ${what}`, async () => {
        const found = await read(
          `include: [${name}]\n${UPSTREAM}routes: [{ name: a, match: { path: /a }, upstream: shop }]\n`,
        )
        assert.equal(found.config, undefined)
        assert.match(problemsIn(found)[0] ?? '', expected)
      })
    }

    it('changes the digest with the content of an included file and with a new file', async () => {
      const main = `include: [conf.d]\n${UPSTREAM}routes: []\n`
      const route = (path: string): string => `routes: [{ name: a, match: { path: ${path} }, upstream: shop }]`
      const first = await read(main, { 'conf.d/a.yaml': route('/a') })
      const same = await read(main)
      const changed = await read(main, { 'conf.d/a.yaml': route('/b') })
      const more = await read(main, { 'conf.d/b.yaml': '# empty' })
      assert.equal(first.sha256, same.sha256)
      assert.equal(new Set([first, changed, more].map(({ sha256 }) => sha256)).size, 3)
      assert.equal(first.config?.sha256, first.sha256)
    })
  })

  it('reports a mistake that many routes inherit once, where it was written', async () => {
    const found = await read(`
defaults: { routes: { maxBodySize: many } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop }
  - { name: b, match: { path: /b }, upstream: shop }
`)
    assert.equal(found.problems.length, 1)
    assert.match(problemsIn(found)[0] ?? '', /^gateway\.yaml:2:36 defaults\.routes\.maxBodySize: "many" /)
  })

  it('reports an unknown policy set with the nearest name, and a useless `without`', async () => {
    const found = await read(`
policySets: { partner: { maxBodySize: 1KiB } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop, use: [partnr], without: [rateLimit] }
`)
    const text = problemsIn(found).join('\n')
    assert.match(text, /^gateway\.yaml:6:59: "partnr" is not a policy set \| partner \| partner$/m)
    assert.match(text, /^gateway\.yaml:6:78: "rateLimit" has no effect: it is not inherited here/m)
  })

  it('reports a misspelt key in `without` with the nearest one', async () => {
    const found = await read(`
defaults: { routes: { rateLimit: { limit: 1, window: 1m } } }
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop, without: [ratelimit] }
`)
    const text = problemsIn(found).join('\n')
    assert.match(text, /^gateway\.yaml:6:63 .*"ratelimit" is not known here \| .*rateLimit, .* \| rateLimit$/m)
  })

  it('says of a list of names what may be in it', async () => {
    const found = await read(`
include: [5]
${UPSTREAM}
routes:
  - { name: a, match: { path: /a }, upstream: shop, use: partner }
`)
    const text = problemsIn(found).join('\n')
    assert.match(text, /include\[0\]: 5 is not text \| text$/m)
    assert.match(text, /routes\[0\]\.use: "partner" is not a list \| a list, such as \[name\] \| \["partner"\]$/m)
  })
})
