import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { hashPassword } from '../../src/cli/hash-key'
import { PasswordCheck } from '../../src/policies/auth/password-check'
import { problemOf, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

/** Cheaper than the default, so that tests are quick. */
const COST = { ln: 14, r: 8, p: 1 }

describe('Basic authentication', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline(
      proxyTo(upstream.url, {
        consumers: {
          acme: {
            scopes: ['read'],
            users: { alice: hashPassword('correct horse', COST), jürgen: hashPassword('päßwort:1', COST) },
          },
          globex: { users: { bob: hashPassword('battery staple', COST) } },
        },
        route: { auth: { basic: {}, scopes: ['read'] } },
      }),
    )
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const basic = (user: string, password: string): string =>
    `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
  const ask = (authorization?: string): Promise<Answer> =>
    send(pipeline.port, { path: '/app', headers: authorization === undefined ? {} : { authorization } })

  it('admits a user, also with a colon and umlauts, and keeps the password from the upstream', async () => {
    assert.equal((await ask(basic('alice', 'correct horse'))).status, 200)
    const forwarded = upstream.requests.at(-1)
    assert.equal(forwarded?.headers['x-consumer-name'], 'acme')
    assert.equal(forwarded?.headers.authorization, undefined)
    assert.equal((await ask(basic('jürgen', 'päßwort:1'))).status, 200)
  })

  it('refuses everything else with a challenge', async () => {
    const all = [
      undefined,
      basic('alice', 'wrong'),
      basic('mallory', 'correct horse'),
      'Basic',
      'Basic %%%',
      'Bearer x',
    ]
    for (const authorization of all) {
      const answer = await ask(authorization)
      assert.partialDeepStrictEqual(problemOf(answer), { status: 401, reason: 'unauthenticated' })
      assert.equal(answer.headers['www-authenticate'], 'Basic realm="myesi-gateway", charset="UTF-8"')
    }
  })

  it('refuses a user without the scopes of the route', async () => {
    assert.partialDeepStrictEqual(problemOf(await ask(basic('bob', 'battery staple'))), {
      status: 403,
      reason: 'forbidden',
    })
  })

  describe('checks of passwords', () => {
    const [, ln = '', salt = '', hash = ''] = /ln=(\d+).*\$(.*)\$(.*)$/.exec(hashPassword('right', COST)) ?? []
    const stored = { ...COST, ln: Number(ln), salt, hash }

    it('compute one hash for equal requests, and none once the result is known', async () => {
      const check = new PasswordCheck(stored)
      const first = check.isRight('alice', 'right', stored)
      assert.equal(check.isRight('alice', 'right', stored), first)
      assert.equal(await first, true)
      assert.equal(check.isRight('alice', 'right', stored), true)
      assert.equal(await check.isRight('alice', 'wrong', stored), false)
      assert.equal(check.isRight('alice', 'wrong', stored), false)
    })

    it('compute a hash for a user that does not exist', async () => {
      const check = new PasswordCheck(stored)
      const answer = check.isRight('nobody', 'right', undefined)
      assert.ok(answer instanceof Promise)
      assert.equal(await answer, false)
    })

    it('are refused when too many wait', async () => {
      const check = new PasswordCheck(stored)
      const open: Promise<boolean>[] = []
      assert.throws(
        () => {
          for (let i = 0; i < 100; i++) open.push(check.isRight('alice', `wrong ${i}`, stored) as Promise<boolean>)
        },
        { reason: 'shed' },
      )
      assert.equal(open.length, 34)
      assert.deepEqual(new Set(await Promise.all(open)), new Set([false]))
      assert.equal(await check.isRight('alice', 'right', stored), true)
    })
  })

  it('has a digest that Node verifies', () => {
    const text = hashPassword('secret word', COST)
    const [, salt = '', hash = ''] = /\$([^$]+)\$([^$]+)$/.exec(text) ?? []
    const derived = crypto.scryptSync('secret word', Buffer.from(salt, 'base64'), 32, {
      N: 2 ** COST.ln,
      r: COST.r,
      p: COST.p,
    })
    assert.equal(derived.toString('base64').replaceAll('=', ''), hash)
  })
})
