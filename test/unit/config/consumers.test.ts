import assert from 'node:assert/strict'
import { configOf, gatewayYaml, placeOf, problemsIn } from './gateway-yaml'

const HASH = `sha256:${'0a'.repeat(32)}`
const KEY = 'a-key-in-clear-that-nobody-should-read'

/** A file with these consumers and this `auth` on its route. */
function fileWith(consumers: string, auth = 'apiKey: {}'): string {
  return gatewayYaml({ upstreams: `consumers: { ${consumers} }`, route: `auth: { ${auth} }` })
}

describe('consumers and auth in gateway.yaml', () => {
  it('come out with their defaults, hashes and field names in lower case', () => {
    const { consumers, routes } = configOf(
      fileWith(`acme: { apiKeys: [${HASH.toUpperCase().replace('SHA', 'sha')}] }, b: { tier: gold, scopes: [a:b] }`),
    )
    assert.deepEqual(consumers, [
      {
        name: 'acme',
        scopes: [],
        apiKeys: ['0a'.repeat(32)],
        users: [],
        subjects: [],
        certificates: [],
      },
      { name: 'b', tier: 'gold', scopes: ['a:b'], apiKeys: [], users: [], subjects: [], certificates: [] },
    ])
    assert.deepEqual(routes[0]?.auth, {
      apiKey: { header: 'x-api-key', forward: false },
      jwt: undefined,
      external: undefined,
      certificate: false,
      scopes: [],
    })
    const [route] = configOf(
      fileWith(`acme: { apiKeys: [${HASH}], scopes: [r] }`, 'apiKey: { header: X-Key, forward: true }, scopes: [r]'),
    ).routes
    assert.deepEqual(route?.auth, {
      apiKey: { header: 'x-key', forward: true },
      jwt: undefined,
      external: undefined,
      certificate: false,
      scopes: ['r'],
    })
  })

  it('may have their hashes from the environment', () => {
    const { consumers } = configOf(fileWith('acme: { apiKeys: ["${HASH}"] }'), { HASH })
    assert.deepEqual(consumers[0]?.apiKeys, ['0a'.repeat(32)])
  })

  it('never repeat what stands where a hash should be: it is mostly the key', () => {
    for (const [text, env] of [
      [fileWith(`acme: { apiKeys: [${KEY}] }`), {}],
      [fileWith('acme: { apiKeys: ["${HASH}"] }'), { HASH: KEY }],
    ] as const) {
      const [problem, ...others] = problemsIn(text, env).filter(({ severity }) => severity !== 'warning')
      assert.deepEqual(others, [])
      assert.equal(problem?.problem, 'the value is not the hash of a key')
      assert.match(problem.where, /consumers\.acme\.apiKeys\[0\]$/)
      assert.doesNotMatch(JSON.stringify(problem), /in-clear/)
    }
  })

  it('never repeat what stands where the hash of a password should be', () => {
    const [problem] = problemsIn(fileWith('acme: { users: { alice: in-clear-text } }'), {})
    assert.match(problem?.problem ?? '', /has an entry "alice" that is not the hash of a password/)
    assert.match(problem?.where ?? '', /consumers\.acme\.users$/)
    assert.doesNotMatch(JSON.stringify(problem), /in-clear/)
  })

  const USER_HASH = '"$scrypt$ln=15,r=8,p=3$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"'

  it('may have users with hashes of passwords', () => {
    const { consumers } = configOf(fileWith(`acme: { users: { alice: ${USER_HASH} } }`, 'basic: {}'))
    assert.partialDeepStrictEqual(consumers[0]?.users, [{ name: 'alice', password: { ln: 15, r: 8, p: 3 } }])
  })

  const refused: readonly (readonly [string, string, string, string])[] = [
    [
      'two consumers with one user',
      fileWith(`a: { users: { alice: ${USER_HASH} } }, b: { users: { alice: ${USER_HASH} } }`, 'basic: {}'),
      'consumers.b.users.alice',
      'is a user of a already',
    ],
    [
      'a password hash that costs too little',
      fileWith(`a: { users: { alice: ${USER_HASH.replace('15', '10')} } }`, 'basic: {}'),
      'consumers.a.users',
      'costs too little',
    ],
    [
      'two consumers with one key',
      fileWith(`a: { apiKeys: [${HASH}] }, b: { apiKeys: [${HASH}] }`),
      'consumers.b.apiKeys[0]',
      'is already a key of a',
    ],
    [
      'a key that is there twice',
      fileWith(`a: { apiKeys: [${HASH}, ${HASH}] }`),
      'consumers.a.apiKeys[1]',
      'is already a key of a',
    ],
    ['a name that is none', fileWith(`"a b": { apiKeys: [${HASH}] }`), 'consumers["a b"]', 'cannot be a name'],
    [
      'a scope with a space',
      fileWith(`a: { apiKeys: [${HASH}], scopes: ["a b"] }`),
      'consumers.a.scopes[0]',
      'is not a scope',
    ],
    [
      'auth that asks for nothing',
      fileWith(`a: { apiKeys: [${HASH}] }`, ''),
      'routes[0].auth',
      'does not say which credential is required',
    ],
    [
      'scopes alone',
      fileWith(`a: { apiKeys: [${HASH}] }`, 'scopes: [r]'),
      'routes[0].auth',
      'does not say which credential is required',
    ],
    [
      'a field of the connection',
      fileWith(`a: { apiKeys: [${HASH}] }`, 'apiKey: { header: Host }'),
      'routes[0].auth.apiKey.header',
      'has a fixed meaning',
    ],
    [
      'a field that the gateway writes',
      fileWith(`a: { apiKeys: [${HASH}] }`, 'apiKey: { header: x-consumer-key }'),
      'routes[0].auth.apiKey.header',
      'is meant for gateways, which describe clients with it',
    ],
    [
      'a field that is none',
      fileWith(`a: { apiKeys: [${HASH}] }`, 'apiKey: { header: "x key" }'),
      'routes[0].auth.apiKey.header',
      'is not a field name',
    ],
  ]
  for (const [what, text, path, problem] of refused) {
    it(`refuse ${what}`, () => {
      const problems = problemsIn(text)
      assert.equal(problems.length, 1)
      assert.equal(placeOf(problems[0]!, text).path, path)
      assert.ok(problems[0]?.problem.includes(problem), problems[0]?.problem)
    })
  }

  it('warn where nobody could pass', () => {
    const [problem, ...others] = problemsIn(gatewayYaml({ route: 'auth: { apiKey: { header: x-api-key } }' }))
    assert.deepEqual(others, [])
    assert.deepEqual(
      [problem?.severity, problem?.problem],
      ['warning', '"apiKey" allows no request: no consumer has an API key'],
    )
  })

  describe('and the limits that count them', () => {
    const GOLD = `acme: { tier: gold, apiKeys: [${HASH}] }`
    const file = (policy: string, auth = 'apiKey: {}', consumers = GOLD): string =>
      gatewayYaml({
        upstreams: `consumers: { ${consumers} }`,
        route: `rateLimit: { limit: 5, window: 1m, ${policy} }${auth && `, auth: { ${auth} }`}`,
      })

    it('come out with the limits of tiers', () => {
      const [policy] = configOf(file('key: [consumer, client], tiers: { gold: 1000 }')).routes[0]?.rateLimit ?? []
      assert.partialDeepStrictEqual(policy, { limit: 5, key: ['consumer', 'client'], tiers: { gold: 1_000 } })
      configOf(file('key: api-key'))
    })

    const wrong: readonly (readonly [string, string, string, string, string?])[] = [
      [
        'a consumer where the route has no auth',
        file('key: consumer', ''),
        'key',
        '"consumer" needs auth, which this route does not have',
      ],
      [
        'an API key where the route has no auth',
        file('key: [client, api-key]', ''),
        'key',
        'a list needs auth, which this route does not have',
      ],
      ['a word that is nearly one', file('key: consummer'), 'key', '"consummer" is not a supported key', 'consumer'],
      ['what others call an API key', file('key: apikey'), 'key', '"apikey" is not a supported key', 'api-key'],
      [
        'tiers of addresses',
        file('tiers: { gold: 10 }'),
        'tiers',
        '"tiers" belong to consumers, and this policy does not count them',
      ],
      [
        'a tier that no consumer has',
        file('key: consumer, tiers: { glod: 10 }'),
        'tiers.glod',
        '"glod" is not the tier of any consumer',
        'gold',
      ],
      [
        'a limit that is none',
        file('key: consumer, tiers: { gold: 0 }'),
        'tiers',
        'a map has a limit of gold that is too small',
      ],
      ['tiers that are no map', file('key: consumer, tiers: [gold]'), 'tiers', 'a list is not a map'],
      [
        'a cost above the limit of a tier',
        file('key: consumer, cost: 5, tiers: { gold: 4 }'),
        'cost',
        '5 is more than the limit: such a request would never pass',
      ],
    ]
    for (const [what, text, key, problem, nearest] of wrong) {
      it(`refuse ${what}`, () => {
        const [found, ...others] = problemsIn(text)
        assert.deepEqual(others, [])
        assert.deepEqual([found?.problem, found?.nearest], [problem, nearest])
        assert.equal(placeOf(found!, text).path, `routes[0].rateLimit.${key}`)
      })
    }

    it('are nothing that targets are chosen by', () => {
      const [problem] = problemsIn(gatewayYaml({ upstream: 'balance: hash, hashKey: consumer' }))
      assert.equal(problem?.problem, '"consumer" is not a supported key')
    })
  })

  describe('and tokens', () => {
    const SSO = 'sso: { issuer: "https://l.example/", audience: a, jwks: "https://l.example/keys" }'
    const file = (tokens = SSO, consumers = '', auth = 'jwt: { tokens: sso }'): string =>
      gatewayYaml({ upstreams: `tokens: { ${tokens} }\nconsumers: { ${consumers} }`, route: `auth: { ${auth} }` })

    it('come out with their defaults, and subjects with the name of their tokens', () => {
      const { consumers, routes } = configOf(file(SSO, 'acme: { subjects: [alice, sso/bob] }'))
      assert.deepEqual(consumers[0]?.subjects, ['sso/alice', 'sso/bob'])
      assert.deepEqual(routes[0]?.auth?.jwt, {
        tokens: [
          {
            name: 'sso',
            issuer: 'https://l.example/',
            audience: ['a'],
            jwks: { url: 'https://l.example/keys' },
            algorithms: [
              'RS256',
              'RS384',
              'RS512',
              'PS256',
              'PS384',
              'PS512',
              'ES256',
              'ES384',
              'ES512',
              'EdDSA',
              'Ed25519',
            ],
            types: ['at+jwt', 'jwt'],
            idTokens: false,
            clockSkewMs: 30_000,
            consumerClaim: 'sub',
            scopeClaim: 'scope',
          },
        ],
        claimHeaders: [],
      })
    })

    const TWO = `${SSO}, b: { issuer: b, audience: b, jwks: "http://127.0.0.1/k" }`
    const wrong: readonly (readonly [string, string, string, string])[] = [
      [
        'tokens that are not there',
        file(SSO, '', 'jwt: { tokens: ssu }'),
        'routes[0].auth.jwt.tokens',
        '"ssu" is not among the tokens of this file',
      ],
      [
        'unsigned tokens',
        file(SSO.replace(' }', ', algorithms: [none] }')),
        'tokens.sso.algorithms[0]',
        '"none" would accept tokens without a signature',
      ],
      [
        'shared secrets',
        file(SSO.replace(' }', ', algorithms: [HS256] }')),
        'tokens.sso.algorithms[0]',
        '"HS256" uses a shared secret, which could also create tokens',
      ],
      [
        'no type at all',
        file(SSO.replace(' }', ', types: [""] }')),
        'tokens.sso.types[0]',
        '"" is not the type of a token',
      ],
      ['no audience', file(SSO.replace('audience: a, ', '')), 'tokens.sso.audience', '"audience" is missing'],
      [
        'a file that is not there',
        file(SSO.replace('https://l.example/keys', '/nowhere/keys.json')),
        'tokens.sso.jwks',
        '"/nowhere/keys.json" is not there',
      ],
      [
        'a URL of another kind',
        file(SSO.replace('https://l.example/keys', 'ftp://l.example/keys')),
        'tokens.sso.jwks',
        '"ftp://l.example/keys" is neither http nor https',
      ],
      [
        'a subject of nobody knows which tokens',
        file(TWO, 'acme: { subjects: [alice] }'),
        'consumers.acme.subjects[0]',
        '"alice" does not say to which "tokens" it belongs',
      ],
      [
        'a subject of two',
        file(SSO, 'a: { subjects: [x] }, b: { subjects: [sso/x] }'),
        'consumers.b.subjects[0]',
        '"sso/x" is already a subject of a',
      ],
    ]
    for (const [what, text, path, problem] of wrong) {
      it(`refuse ${what}`, () => {
        const [found, ...others] = problemsIn(text).filter(({ severity }) => severity !== 'warning')
        assert.deepEqual(others, [])
        assert.ok(found?.where.endsWith(` ${path}`) || found?.where.endsWith(' tokens.sso'), found?.where)
        assert.equal(found?.problem, problem)
      })
    }

    it('warn where keys come without TLS from afar, and where no route takes the tokens', () => {
      const warnings = problemsIn(file(SSO.replace('https://l.example/keys', 'http://l.example/keys')))
      assert.deepEqual(
        warnings.map(({ severity, problem }) => [severity, problem]),
        [['warning', '"http://l.example/keys" is fetched without TLS: anyone on the network path can forge tokens']],
      )
      for (const [host, isNear] of [
        ['127.0.0.1', true],
        ['127.1', true],
        ['localhost:8080', true],
        ['[::1]', true],
        ['127.evil.example', false],
        ['127.0.0.1.evil.example', false],
      ] as const) {
        const found = problemsIn(file(SSO.replace('https://l.example/keys', `http://${host}/keys`)))
        assert.equal(found.length, isNear ? 0 : 1, host)
      }
      assert.deepEqual(
        problemsIn(file(TWO)).map(({ problem }) => problem),
        ['"b" is used by no route'],
      )
    })
  })
})
