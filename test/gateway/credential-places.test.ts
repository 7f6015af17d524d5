import assert from 'node:assert/strict'
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

const KEY = newApiKey()
const OTHER_ISSUER = 'https://partners.example/'

describe('places of credentials', () => {
  let upstream: RunningUpstream
  let issuer: RunningIssuer
  let partners: RunningIssuer
  let key: IssuerKey
  let partnerKey: IssuerKey
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    key = await newIssuerKey('first')
    partnerKey = await newIssuerKey('partner')
    issuer = await startIssuer([key.publicJwk])
    partners = await startIssuer([partnerKey.publicJwk])
  })
  afterEach(async () => {
    await pipeline.stop()
    upstream.requests.length = 0
  })
  after(async () => {
    await Promise.all([upstream.stop(), issuer.stop(), partners.stop()])
  })

  async function start(auth: object, route: object = {}): Promise<void> {
    pipeline = await startPipeline(
      proxyTo(upstream.url, {
        consumers: { acme: { apiKeys: [hashApiKey(KEY)] } },
        tokens: {
          sso: { issuer: ISSUER, audience: AUDIENCE, jwks: issuer.url },
          partners: { issuer: OTHER_ISSUER, audience: AUDIENCE, jwks: partners.url },
        },
        // A route that uses both entries, so that no test warns of unused ones.
        route: { auth, ...route },
      }),
    )
  }
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> =>
    send(pipeline.port, { path, headers, method })
  const seen = (name: string): unknown => upstream.requests.at(-1)?.headers[name]
  const lastUrl = (): unknown => upstream.requests.at(-1)?.url

  describe('in a query parameter', () => {
    beforeEach(() => start({ jwt: { tokens: 'sso', query: 'access_token' } }))

    it('admits the client, and the upstream, log and answer do not get the token', async () => {
      const token = await sign(key)
      const answer = await ask(`/app?a=1&access_token=${token}&b=%20x`)
      assert.equal(answer.status, 200)
      assert.equal(lastUrl(), '/app?a=1&b=%20x')
      assert.equal(seen('x-consumer-name'), 'sso/alice')
      await pipeline.ended(1)
      assert.ok(!JSON.stringify(pipeline.logs).includes(token))
    })

    it('leaves no question mark of a query that was the token alone', async () => {
      await ask(`/app?access_token=${await sign(key)}`)
      assert.equal(lastUrl(), '/app')
    })

    it('finds the parameter under an escaped spelling of its name', async () => {
      assert.equal((await ask(`/app?access%5Ftoken=${await sign(key)}`)).status, 200)
      assert.equal(lastUrl(), '/app')
    })

    it('refuses a repeated parameter, and a token in the query and in the header', async () => {
      const token = await sign(key)
      const twice = await ask(`/app?access_token=${token}&access_token=${token}`)
      assert.partialDeepStrictEqual(problemOf(twice), { status: 400, reason: 'bad_request' })
      const both = await ask(`/app?access_token=${token}`, { authorization: `Bearer ${token}` })
      assert.partialDeepStrictEqual(problemOf(both), { status: 400, reason: 'bad_request' })
    })

    it('still forwards a token in Authorization', async () => {
      const token = await sign(key)
      assert.equal((await ask('/app', { authorization: `Bearer ${token}` })).status, 200)
      assert.equal(seen('authorization'), `Bearer ${token}`)
    })

    it('does not show the token of a refused request in the log', async () => {
      const token = await sign(key, { aud: 'other' })
      assert.equal((await ask(`/app?access_token=${token}`)).status, 401)
      await pipeline.ended(1)
      assert.ok(!JSON.stringify(pipeline.logs).includes(token))
    })
  })

  it('forwards a query parameter with forward: true', async () => {
    await start({ jwt: { tokens: 'sso', query: 'access_token', forward: true } })
    const token = await sign(key)
    await ask(`/app?access_token=${token}`)
    assert.equal(lastUrl(), `/app?access_token=${token}`)
  })

  it('accepts an API key in a query parameter', async () => {
    await start({ apiKey: { query: 'key' } })
    assert.equal((await ask(`/app?key=${KEY}`)).status, 200)
    assert.equal(lastUrl(), '/app')
    assert.equal((await ask('/app?key=wrong')).status, 401)
  })

  describe('in a cookie', () => {
    beforeEach(() =>
      start({ jwt: { tokens: 'sso', cookie: 'session' } }, { cors: { origins: ['https://friend.example'] } }),
    )

    it('admits the client and forwards the other cookies only', async () => {
      const token = await sign(key)
      assert.equal((await ask('/app', { cookie: `a=1; session=${token}; b=2` })).status, 200)
      assert.equal(seen('cookie'), 'a=1; b=2')
    })

    it('prefers the field Authorization, and removes the cookie nevertheless', async () => {
      const token = await sign(key)
      assert.equal((await ask('/app', { authorization: `Bearer ${token}`, cookie: 'session=old' })).status, 200)
      assert.equal(seen('cookie'), undefined)
    })

    it('refuses two cookies of the name', async () => {
      const answer = await ask('/app', { cookie: `session=${await sign(key)}; session=planted` })
      assert.partialDeepStrictEqual(problemOf(answer), { status: 400, reason: 'bad_request' })
    })

    it('refuses an unsafe request from a page of another origin', async () => {
      const cookie = `session=${await sign(key)}`
      const own = `http://127.0.0.1:${pipeline.port}`
      const foreign = await ask('/app', { cookie, origin: 'https://evil.example' }, 'POST')
      assert.partialDeepStrictEqual(problemOf(foreign), { status: 403, reason: 'forbidden' })
      assert.equal((await ask('/app', { cookie, origin: 'null' }, 'POST')).status, 403)
      assert.equal((await ask('/app', { cookie, origin: own }, 'POST')).status, 200)
      assert.equal((await ask('/app', { cookie, origin: 'https://friend.example' }, 'POST')).status, 200)
      assert.equal((await ask('/app', { cookie }, 'POST')).status, 200)
      assert.equal((await ask('/app', { cookie, origin: 'https://evil.example' })).status, 200)
    })
  })

  describe('of several issuers', () => {
    beforeEach(() => start({ jwt: { tokens: ['sso', 'partners'] } }))

    it('are accepted, each with its own keys', async () => {
      assert.equal((await ask('/app', { authorization: `Bearer ${await sign(key)}` })).status, 200)
      assert.equal(seen('x-consumer-name'), 'sso/alice')
      const ofPartner = await sign(partnerKey, { iss: OTHER_ISSUER })
      assert.equal((await ask('/app', { authorization: `Bearer ${ofPartner}` })).status, 200)
      assert.equal(seen('x-consumer-name'), 'partners/alice')
    })

    it('are refused with the key of another issuer, of an unknown issuer, and without a payload', async () => {
      const crossed = await sign(partnerKey, { iss: ISSUER })
      const unknown = await sign(key, { iss: 'https://evil.example/' })
      for (const token of [crossed, unknown, 'a.b.c', 'x'])
        assert.equal((await ask('/app', { authorization: `Bearer ${token}` })).status, 401, token)
    })
  })

  describe('with claims as fields', () => {
    const claimHeaders = {
      'X-User-Email': 'email',
      'x-roles': 'realm_access.roles',
      'x-team': 'https://example/team',
      'x-admin': 'admin',
    }
    beforeEach(() => start({ apiKey: {}, jwt: { tokens: 'sso', claimHeaders } }))

    it('forwards nested claims, lists and booleans, and nothing for missing ones', async () => {
      const token = await sign(key, {
        email: 'a@example.com',
        realm_access: { roles: ['a', 'b'] },
        'https://example/team': 7,
        admin: false,
      })
      const forged = { 'x-user-email': 'root@example.com', 'X-Roles': 'admin', authorization: `Bearer ${token}` }
      assert.equal((await ask('/app', forged)).status, 200)
      assert.equal(seen('x-user-email'), 'a@example.com')
      assert.equal(seen('x-roles'), 'a,b')
      assert.equal(seen('x-team'), '7')
      assert.equal(seen('x-admin'), 'false')
      assert.equal((await ask('/app', { ...forged, authorization: `Bearer ${await sign(key)}` })).status, 200)
      assert.equal(seen('x-user-email'), undefined)
    })

    it('removes fields of these names from clients with an API key too', async () => {
      assert.equal((await ask('/app', { 'x-api-key': KEY, 'x-user-email': 'root@example.com' })).status, 200)
      assert.equal(seen('x-user-email'), undefined)
    })

    it('refuses values that a field cannot carry', async () => {
      for (const email of ['a\r\nx-admin: true', 'jürgen@example.com', 'x'.repeat(1_025), { a: 1 }, ['a,b']]) {
        const answer = await ask('/app', { authorization: `Bearer ${await sign(key, { email })}` })
        assert.equal(answer.status, 401, JSON.stringify(email))
        assert.match(answer.headers['www-authenticate'] ?? '', /a claim of the token cannot be forwarded/)
      }
    })
  })
})
