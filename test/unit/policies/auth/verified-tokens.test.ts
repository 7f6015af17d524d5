import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { TokenVerifier } from '../../../../src/policies/auth/token-verifier'
import { keysIn } from '../../../../src/policies/auth/open-keys'
import { MAX_REMEMBERED, VerifiedTokens } from '../../../../src/policies/auth/verified-tokens'
import type { FindKey } from '../../../../src/config/values/key-set'
import { AUDIENCE, ISSUER, newIssuerKey, sign } from '../../../support/start-issuer'

describe('verified tokens', () => {
  const always = { from: -Infinity, until: Infinity }
  const token = { tokens: 'sso', subject: 'alice', scopes: [] }
  const keySet = keySetOf()

  afterEach(() => mock.timers.reset())

  function keySetOf(): FindKey {
    return async () => Promise.reject(new Error('not asked'))
  }

  it('are remembered until they expire, and not before they are valid', async () => {
    const key = await newIssuerKey('first')
    const keys = keysIn(JSON.stringify({ keys: [key.publicJwk] }))
    const config = {
      name: 'sso',
      issuer: ISSUER,
      audience: [AUDIENCE] as [string],
      jwks: { file: 'keys.json' },
      algorithms: ['ES256'] as ['ES256'],
      types: ['jwt'],
      idTokens: false,
      consumerClaim: 'sub',
      scopeClaim: 'scope',
      clockSkewMs: 2_000,
    }
    const verifier = new TokenVerifier(config, keys)
    const start = 1_800_000_000
    mock.timers.enable({ apis: ['Date'], now: start * 1_000 })
    const signed = await sign(key, { nbf: start, exp: start + 10 })
    assert.ok(verifier.verify(signed) instanceof Promise)
    await verifier.verify(signed)
    for (const [second, isValid] of [
      [0, true],
      [-2, true],
      [-3, false],
      [11, true],
      [12, false],
    ] as const) {
      mock.timers.setTime((start + second) * 1_000)
      const verified = verifier.verify(signed)
      assert.equal(verified instanceof Promise, !isValid, `second ${second}`)
      if (isValid) assert.deepEqual(verified, token)
      else await assert.rejects(async () => verified, { name: 'InvalidToken' }, `second ${second}`)
    }
  })

  it('are bounded in number and length; those in use stay', () => {
    const tokens = new VerifiedTokens()
    tokens.recall('used', keySet)
    tokens.remember('used', token, always, keySet)
    for (let i = 0; i < 3 * MAX_REMEMBERED; i++) {
      tokens.remember(String(i), token, always, keySet)
      assert.equal(tokens.recall('used', keySet), token)
    }
    const left = Array.from({ length: 3 * MAX_REMEMBERED }, (_, i) => tokens.recall(String(i), keySet)).filter(Boolean)
    assert.ok(left.length > 0 && left.length <= MAX_REMEMBERED, `${left.length} remembered`)
    assert.equal(tokens.digestOf('x'.repeat(4_097)), undefined)
  })

  it('are forgotten when the key set changes', () => {
    const tokens = new VerifiedTokens()
    tokens.recall('a', keySet)
    tokens.remember('a', token, always, keySet)
    const other = keySetOf()
    assert.equal(tokens.recall('a', other), undefined)
    // A verification that began with the earlier keys.
    tokens.remember('a', token, always, keySet)
    assert.equal(tokens.recall('a', other), undefined)
  })
})
