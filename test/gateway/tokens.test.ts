import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mock } from 'node:test'
import { base64url, exportSPKI, importJWK, UnsecuredJWT, type CryptoKey } from 'jose'
import { hashApiKey, newApiKey } from '../../src/cli/hash-key'
import { problemOf, send, type Answer } from '../support/send'
import {
  AUDIENCE,
  ISSUER,
  newIssuerKey,
  sign,
  startIssuer,
  type IssuerKey,
  type RunningIssuer,
} from '../support/start-issuer'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

const KEY = newApiKey()

describe('tokens', () => {
  let upstream: RunningUpstream
  let issuer: RunningIssuer
  let pipeline: Pipeline
  let first: IssuerKey
  let second: IssuerKey

  before(async () => {
    upstream = await startUpstream()
    first = await newIssuerKey('first')
    second = await newIssuerKey('second', 'RS256')
  })
  beforeEach(async () => {
    issuer = await startIssuer([first.publicJwk])
  })
  afterEach(async () => {
    await pipeline.stop()
    await issuer.stop()
    upstream.requests.length = 0
  })
  after(async () => {
    await upstream.stop()
  })

  interface Options {
    readonly tokens?: object
    readonly auth?: object
    readonly consumers?: object
    readonly rateLimit?: object
  }
  async function start({ tokens, auth, consumers = {}, rateLimit }: Options = {}): Promise<void> {
    pipeline = await startPipeline(
      proxyTo(upstream.url, {
        consumers,
        tokens: { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url, ...tokens } },
        route: { auth: { jwt: { tokens: 'sso' }, ...auth }, ...(rateLimit && { rateLimit }) },
      }),
    )
  }
  const ask = (token: string | undefined, more: Record<string, string> = {}): Promise<Answer> =>
    send(pipeline.port, {
      path: '/app',
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...more },
    })
  const seen = (name: string): unknown => upstream.requests.at(-1)?.headers[name]
  const lastLine = (): Record<string, unknown> | undefined => pipeline.logs.findLast(({ event }) => event === 'request')

  async function expectInvalid(token: string, description = 'the token is not valid here'): Promise<void> {
    const answer = await ask(token)
    assert.partialDeepStrictEqual(problemOf(answer), { status: 401, outcome: 'refusal', reason: 'unauthenticated' })
    assert.equal(
      answer.headers['www-authenticate'],
      `Bearer realm="myesi-gateway", error="invalid_token", error_description="${description}"`,
    )
  }

  it('admit their subject, put it in the issuer’s words into log and upstream fields, and are passed on', async () => {
    await start()
    const token = await sign(first)
    assert.equal((await ask(token)).status, 200)
    assert.equal(seen('x-consumer-name'), 'sso/alice')
    assert.equal(seen('authorization'), `Bearer ${token}`)
    await pipeline.ended(1)
    assert.equal(lastLine()?.['consumer'], 'sso/alice')
    assert.ok(!JSON.stringify(pipeline.logs).includes(token.split('.')[2]!), 'a token was logged')
  })

  it('are required where configured, with a challenge that names the scheme', async () => {
    await start()
    for (const headers of [{}, { authorization: 'Basic YTpi' }, { authorization: '' }] as Record<string, string>[]) {
      const answer = await ask(undefined, headers)
      assert.equal(problemOf(answer)['reason'], 'unauthenticated')
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="myesi-gateway"')
    }
    await expectInvalid('')
    await expectInvalid('not a token')
    await expectInvalid('a.b.c')
  })

  it('admit only a consumer that lists them as its own, with its tier and without its scopes', async () => {
    await start({
      consumers: { acme: { tier: 'gold', scopes: ['admin'], subjects: ['alice'] }, globex: { subjects: ['sso/bob'] } },
      auth: { scopes: ['read'] },
      rateLimit: { limit: 1, window: '1h', key: 'consumer', tiers: { gold: 2 } },
    })
    const alice = await sign(first, { scope: 'write read' })
    const statuses = []
    for (let i = 0; i < 3; i++) statuses.push((await ask(alice)).status)
    assert.deepEqual(statuses, [200, 200, 429])
    assert.equal(seen('x-consumer-name'), 'acme')
    assert.equal((await ask(await sign(first, { sub: 'bob', scope: ['read'] }))).status, 200)
    assert.equal(seen('x-consumer-name'), 'globex')
    const answer = await ask(await sign(first, { scope: 'write' }))
    assert.partialDeepStrictEqual(problemOf(answer), { status: 403, reason: 'forbidden' })
    assert.equal(
      answer.headers['www-authenticate'],
      'Bearer realm="myesi-gateway", error="insufficient_scope", scope="read"',
    )
  })

  describe('of several kinds from one issuer are told apart,', () => {
    const OTHER = 'a token of this kind is not taken here'
    const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }

    it('and access tokens are accepted, whatever the letter case of their type', async () => {
      await start()
      for (const typ of [undefined, 'JWT', 'jwt', 'at+jwt', 'AT+JWT', 'application/at+jwt']) {
        assert.equal((await ask(await sign(first, {}, typ === undefined ? {} : { typ }))).status, 200, typ)
      }
      // Some issuers put a nonce into access tokens, which also carry scopes.
      assert.equal((await ask(await sign(first, { nonce: 'n', scope: 'read' }))).status, 200)
      assert.equal((await ask(await sign(first, { nonce: 'n' }, { typ: 'at+jwt' }))).status, 200)
    })

    for (const [kind, claims, header] of [
      ['a logout token', {}, { typ: 'logout+jwt' }],
      ['a logout token without its type', { events }, {}],
      ['a security event token', {}, { typ: 'application/secevent+jwt' }],
      ['a proof of possession', {}, { typ: 'dpop+jwt' }],
      ['an ID token with the hash of an access token', { at_hash: 'x', scope: 'read' }, { typ: 'JWT' }],
      ['an ID token of the hybrid flow', { c_hash: 'x' }, {}],
      ['an ID token with a nonce', { nonce: 'n' }, {}],
    ] as const) {
      it(`and ${kind} is refused`, async () => {
        await start()
        await expectInvalid(await sign(first, claims, header), OTHER)
        await pipeline.ended(1)
        assert.match(JSON.stringify(lastLine()?.['error']), /type|event token|ID token/)
      })
    }

    it('and the file can configure the accepted types', async () => {
      await start({ tokens: { types: ['at+jwt'] } })
      assert.equal((await ask(await sign(first, {}, { typ: 'at+jwt' }))).status, 200)
      await expectInvalid(await sign(first), OTHER)
      await expectInvalid(await sign(first, {}, { typ: 'JWT' }), OTHER)
      await pipeline.stop()
      await start({ tokens: { idTokens: true } })
      assert.equal((await ask(await sign(first, { nonce: 'n', at_hash: 'x' }))).status, 200)
    })
  })

  it('cannot impersonate a consumer of the file, nor inject a header line', async () => {
    await start({ consumers: { acme: { apiKeys: [hashApiKey(KEY)] } } })
    for (const [sub, name] of [
      ['acme', 'sso/acme'],
      ['../acme', 'sso/../acme'],
      ['a\r\nx-admin: 1', 'sso/a%0D%0Ax-admin:%201'],
      ['zoë %', 'sso/zo%C3%AB%20%25'],
      ['\ud800', 'sso/%EF%BF%BD'],
    ] as const) {
      assert.equal((await ask(await sign(first, { sub }))).status, 200)
      assert.equal(seen('x-consumer-name'), name)
      assert.equal(seen('x-admin'), undefined)
    }
    for (const sub of ['', 'a'.repeat(257), undefined, 7, ['acme']]) await expectInvalid(await sign(first, { sub }))
  })

  it('use the claims that the file names, and are not passed on if it says so', async () => {
    await start({
      tokens: { consumerClaim: 'client_id', scopeClaim: 'permissions', audience: ['other', AUDIENCE] },
      auth: { jwt: { tokens: 'sso', forward: false }, scopes: ['a', 'b'] },
    })
    const token = await sign(first, { client_id: 'app-7', permissions: ['a', 'b'], aud: ['x', AUDIENCE] })
    assert.equal((await ask(token)).status, 200)
    assert.equal(seen('x-consumer-name'), 'sso/app-7')
    assert.equal(seen('authorization'), undefined)
  })

  it('are verified once, on all routes together; scopes are checked each time', async () => {
    const route = (name: string, scope: string): object => ({
      name,
      match: { path: `/${name}` },
      upstream: 'app',
      auth: { jwt: { tokens: 'sso' }, scopes: [scope] },
    })
    const config = {
      tokens: { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url } },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [route('app', 'read'), route('other', 'write')],
    }
    pipeline = await startPipeline(config)
    // The first request waits for the keys.
    assert.equal((await ask(await sign(first, { scope: 'read' }))).status, 200)
    const verify = mock.method(crypto.subtle, 'verify')
    const token = await sign(first, { scope: 'read', jti: '2' })
    const headers = { authorization: `Bearer ${token}` }
    for (let i = 0; i < 3; i++) assert.equal((await ask(token)).status, 200)
    assert.equal((await send(pipeline.port, { path: '/other', headers })).status, 403)
    pipeline.reload({ ...config, consumers: { acme: { subjects: ['alice'] } } })
    assert.equal((await ask(token)).status, 200)
    assert.equal(seen('x-consumer-name'), 'acme')
    assert.equal(verify.mock.callCount(), 1)
    await expectInvalid(`${token.slice(0, -4)}AAAA`)
    assert.equal(verify.mock.callCount(), 2)
    pipeline.reload({ ...config, tokens: { sso: { issuer: ISSUER, audience: 'another', jwks: issuer.url } } })
    await expectInvalid(token)
    verify.mock.restore()
  })

  it('are also verified with keys from a file', async () => {
    const file = join(temporaryFolder(), 'keys.json')
    writeFileSync(file, JSON.stringify({ keys: [first.publicJwk] }))
    await start({ tokens: { jwks: file } })
    assert.equal((await ask(await sign(first))).status, 200)
    await expectInvalid(await sign(second))
    assert.equal(issuer.asked, 0)
  })

  it('are verified with the keys of the file after a reload, and each key is imported once', async () => {
    const file = join(temporaryFolder(), 'keys.json')
    const holds = (...keys: IssuerKey[]): void =>
      writeFileSync(file, JSON.stringify({ keys: keys.map(({ publicJwk }) => publicJwk) }))
    holds(first)
    const route = (name: string): object => ({
      name,
      match: { path: `/${name}` },
      upstream: 'app',
      auth: { jwt: { tokens: 'sso' } },
    })
    const config = {
      tokens: { sso: { issuer: ISSUER, audience: AUDIENCE, jwks: file } },
      upstreams: { app: { targets: [upstream.url] } },
      routes: [route('app'), route('other')],
    }
    pipeline = await startPipeline(config)
    const token = await sign(first)
    const imports = mock.method(crypto.subtle, 'importKey')
    const askBoth = async (): Promise<number[]> => {
      const headers = { authorization: `Bearer ${token}` }
      return [(await ask(token)).status, (await send(pipeline.port, { path: '/other', headers })).status]
    }
    assert.deepEqual(await askBoth(), [200, 200])
    pipeline.reload(config)
    assert.deepEqual(await askBoth(), [200, 200])
    assert.equal(imports.mock.callCount(), 1)
    imports.mock.restore()
    holds(second)
    pipeline.reload(config)
    assert.deepEqual(await askBoth(), [401, 401])
  })

  describe('are refused', () => {
    const now = (): number => Math.floor(Date.now() / 1_000)

    it('when they are expired, not yet valid or without expiry; a small clock difference is allowed', async () => {
      await start({ tokens: { clockSkew: '1m' } })
      assert.equal((await ask(await sign(first, { exp: now() - 40 }))).status, 200)
      assert.equal((await ask(await sign(first, { nbf: now() + 40 }))).status, 200)
      await expectInvalid(await sign(first, { exp: now() - 80 }), 'the token has expired')
      await expectInvalid(await sign(first, { nbf: now() + 80 }))
      await expectInvalid(await sign(first, { exp: undefined }))
    })

    it('when they have another audience or another issuer', async () => {
      await start()
      await expectInvalid(await sign(first, { aud: 'billing-api' }))
      await expectInvalid(await sign(first, { aud: ['billing-api', `${AUDIENCE}-2`] }))
      await expectInvalid(await sign(first, { aud: undefined }))
      await expectInvalid(await sign(first, { iss: 'https://login.example' }))
      await expectInvalid(await sign(first, { iss: undefined }))
      await pipeline.ended(5)
      assert.match(JSON.stringify(lastLine()), /iss/)
      assert.equal(upstream.requests.length, 0)
    })

    it('when they are unsigned: alg none', async () => {
      await start()
      const claims = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp: now() + 600 }
      await expectInvalid(new UnsecuredJWT(claims).encode())
      const [, payload] = (await sign(first)).split('.')
      for (const alg of ['none', 'None', 'NONE', '']) {
        await expectInvalid(`${base64url.encode(JSON.stringify({ alg, kid: 'first' }))}.${payload}.`)
      }
    })

    it('when the public key was used as a shared secret: HS256', async () => {
      issuer.keys = [first.publicJwk, second.publicJwk]
      await start()
      const [, payload] = (await sign(second)).split('.')
      const spki = await exportSPKI((await importJWK(second.publicJwk)) as CryptoKey)
      for (const secret of [spki, spki.trim(), JSON.stringify(second.publicJwk), '']) {
        for (const kid of ['second', undefined]) {
          const signed = `${base64url.encode(JSON.stringify({ alg: 'HS256', kid }))}.${payload}`
          const mac = createHmac('sha256', secret).update(signed).digest('base64url')
          await expectInvalid(`${signed}.${mac}`)
        }
      }
    })

    it('when they carry their own key, or were changed', async () => {
      await start()
      const stranger = await newIssuerKey('first')
      await expectInvalid(await sign(stranger))
      await expectInvalid(await sign(stranger, {}, { jwk: stranger.publicJwk }))
      await expectInvalid(await sign(stranger, {}, { jku: 'http://127.0.0.1:9/keys', kid: 'elsewhere' }))
      await expectInvalid(await sign(first, {}, { crit: ['exp'] }).catch(() => 'a.b.c'))
      const [header, , signature] = (await sign(first)).split('.')
      const payload = base64url.encode(JSON.stringify({ iss: ISSUER, aud: AUDIENCE, sub: 'bob', exp: now() + 600 }))
      await expectInvalid(`${header}.${payload}.${signature}`)
    })

    it('when they use an algorithm that the file does not allow', async () => {
      issuer.keys = [first.publicJwk, second.publicJwk]
      await start({ tokens: { algorithms: ['RS256'] } })
      await expectInvalid(await sign(first))
      assert.equal((await ask(await sign(second))).status, 200)
    })

    it('when a request has two, or also an API key', async () => {
      await start({ consumers: { acme: { apiKeys: [hashApiKey(KEY)] } }, auth: { jwt: { tokens: 'sso' }, apiKey: {} } })
      const token = await sign(first)
      const lines = ['Host', 'gateway', 'Authorization', `Bearer ${token}`]
      for (const more of [
        ['authorization', `Bearer ${token}`],
        ['authorization', 'Basic YTpi'],
        ['x-api-key', KEY],
      ]) {
        const answer = await send(pipeline.port, { path: '/app', headers: [...lines, ...more] })
        assert.partialDeepStrictEqual(problemOf(answer), { status: 400, reason: 'bad_request' })
      }
      assert.equal((await send(pipeline.port, { path: '/app', headers: lines })).status, 200)
      assert.equal((await ask(undefined, { 'x-api-key': KEY })).status, 200)
      assert.equal(seen('x-consumer-name'), 'acme')
      const refused = await ask(undefined)
      assert.equal(
        refused.headers['www-authenticate'],
        'ApiKey realm="myesi-gateway", header="x-api-key", Bearer realm="myesi-gateway"',
      )
    })
  })

  describe('with an issuer that', () => {
    it('rotates its key are accepted at once, and unknown key ids do not cause repeated fetches', async () => {
      await start()
      const early = await sign(first)
      for (let i = 0; i < 3; i++) assert.equal((await ask(early)).status, 200)
      issuer.keys = [second.publicJwk]
      assert.equal((await ask(await sign(second))).status, 200)
      assert.equal(issuer.asked, 2)
      await expectInvalid(await sign(first))
      await expectInvalid(early)
      for (let i = 0; i < 20; i++) await expectInvalid(await sign(first, {}, { kid: `made-up-${i}` }))
      assert.equal(issuer.asked, 2)
    })

    it('goes down are still accepted', async () => {
      await start()
      assert.equal((await ask(await sign(first))).status, 200)
      await issuer.stop()
      await expectInvalid(await sign(second))
      assert.equal((await ask(await sign(first))).status, 200)
      const warnings = pipeline.logs.filter(({ event }) => event === 'token_keys')
      assert.deepEqual(
        warnings.map(({ level, keys }) => [level, keys]),
        [['warn', 'the last ones']],
      )
    })

    it('is down at the start cause a fault, until the issuer is up', async () => {
      await issuer.stop()
      await start()
      const token = await sign(first)
      const answers = await Promise.all(Array.from({ length: 5 }, async () => ask(token)))
      for (const answer of answers) {
        assert.partialDeepStrictEqual(problemOf(answer), { status: 503, outcome: 'fault', reason: 'keys_unavailable' })
        assert.equal(answer.headers['retry-after'], '1')
      }
      issuer = await startIssuer([first.publicJwk], issuer.port)
      await until(async () => (await ask(token)).status === 200, { what: 'the token is taken' })
      await until(() => pipeline.logs.some(({ event, level }) => event === 'token_keys' && level === 'info'), {
        what: 'its log line',
      })
      assert.equal(pipeline.logs.filter(({ event }) => event === 'token_keys').length, 2)
    })

    const useless: readonly (readonly [string, NonNullable<RunningIssuer['handler']>])[] = [
      ['an error', (_, response) => response.writeHead(500).end('{}')],
      ['a redirect', (_, response) => response.writeHead(302, { location: `http://127.0.0.1:1/keys` }).end()],
      ['no JSON', (_, response) => response.end('<html>')],
      ['no keys', (_, response) => response.end('{"keys":[]}')],
      ['secrets', (_, response) => response.end('{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"first","alg":"HS256"}]}')],
      ['more than anybody has', (_, response) => response.end(`{"keys":[${'1,'.repeat(200_000)}1]}`)],
      ['a broken connection', request => request.socket.destroy()],
    ]
    for (const [what, handler] of useless) {
      it(`answers with ${what} wait for its keys`, async () => {
        issuer.handler = handler
        await start()
        const token = await sign(first)
        assert.equal(problemOf(await ask(token))['reason'], 'keys_unavailable')
        issuer.handler = undefined
        await until(async () => (await ask(token)).status === 200, { what: 'the token is taken' })
      })
    }

    it('never answers wait up to three seconds, also when the gateway is closed meanwhile', async () => {
      issuer.handler = () => {}
      await start()
      const token = await sign(first)
      const started = performance.now()
      assert.equal(problemOf(await ask(token))['reason'], 'keys_unavailable')
      assert.ok(performance.now() - started < 4_500)
      await until(() => issuer.asked >= 2, { what: 'it is asked again' })
      const closing = performance.now()
      await pipeline.stop()
      assert.ok(performance.now() - closing < 1_000)
    })
  })
})
