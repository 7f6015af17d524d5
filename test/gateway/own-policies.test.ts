import assert from 'node:assert/strict'
import { Transform } from 'node:stream'
import { z } from 'zod'
import { definePolicy } from '../../src/policies/own/define-policy'
import { toPolicy } from '../../src/policies/own/to-policy'
import type { ContextHooks } from '../../src/policies/policy-context'
import { withOwnPolicies } from '../../src/policies/registry'
import { send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a custom policy', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      response.writeHead(request.url === '/app/broken' ? 503 : 200).end('secret of the upstream')
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function start(hooks: ContextHooks, onFailure: 'open' | 'closed', under: 'route' | 'entrypoint' = 'route') {
    const own = toPolicy(
      definePolicy({ name: 'acme-test', schema: z.boolean(), under, onFailure, timeoutMs: 50, create: () => hooks }),
    )
    const file = proxyTo(upstream.url, under === 'route' ? { route: { 'acme-test': true } } : {})
    const whole = under === 'route' ? file : { ...file, entrypoint: { 'acme-test': true } }
    pipeline = await startPipeline(whole, { policies: withOwnPolicies([own]) })
  }

  const fail = (): never => {
    throw new Error('broken')
  }
  const forever = (): Promise<never> => new Promise(() => {})
  const promised = (async () => {
    throw new Error('broken later')
  }) as unknown as () => undefined
  const reasonOf = (response: Answer): unknown => (JSON.parse(response.text) as { reason: unknown }).reason

  for (const [what, hooks] of [
    ['throws before the request is forwarded', { onRequest: fail }],
    ['rejects', { onRequest: async () => fail() }],
    ['does not settle', { onRequest: forever }],
    ['throws before an attempt', { onAttempt: fail }],
    ['throws at the header section', { onResponse: fail }],
    ['returns a promise where none is awaited', { onResponse: promised }],
    ['throws when it is asked for a transform', { onBody: fail }],
  ] as const satisfies readonly (readonly [string, ContextHooks])[]) {
    it(`that ${what} fails closed: 500, and nothing of the upstream`, async () => {
      await start(hooks, 'closed')
      for (const path of ['/app', '/app/broken']) {
        const response = await send(pipeline.port, path)
        assert.equal(response.status, 500)
        assert.equal(reasonOf(response), 'policy_failed')
        assert.doesNotMatch(response.text, /secret/)
      }
    })

    it(`that ${what} fails open: the request is served`, async () => {
      await start(hooks, 'open')
      for (let i = 0; i < 2; i++) assert.equal((await send(pipeline.port, '/app')).text, 'secret of the upstream')
      const lines = pipeline.logs.filter(entry => entry['event'] === 'policy')
      assert.equal(lines.length, 1, 'logged once a second')
      assert.partialDeepStrictEqual(lines[0], { policy: 'acme-test', fails: 'open' })
    })
  }

  it('under entrypoint fails before a route is chosen', async () => {
    await start({ onArrival: fail }, 'closed', 'entrypoint')
    assert.equal((await send(pipeline.port, '/nowhere')).status, 500)
  })

  it('that fails in its end phase harms neither response nor process', async () => {
    await start({ onEnd: promised }, 'closed')
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    await pipeline.ended(1)
    assert.equal((await send(pipeline.port, '/app')).status, 200)
  })

  it('that answers too late has its answer ignored', async () => {
    let late: unknown
    const answered = new Promise<void>(resolve => {
      const hooks: ContextHooks = {
        onRequest: async context => {
          try {
            await new Promise(settle => setTimeout(settle, 80))
            return context.respond({ status: 202 })
          } catch (error) {
            late = error
            throw error
          } finally {
            resolve()
          }
        },
      }
      void start(hooks, 'open').then(async () => {
        assert.equal((await send(pipeline.port, '/app')).text, 'secret of the upstream')
      })
    })
    await answered
    assert.match(String(late), /too late/)
  })

  it('can refuse with one of the gateway’s reasons, or answer itself', async () => {
    await start(
      {
        onRequest: context =>
          context.headers['x-do'] === 'answer' ? context.respond({ status: 418 }) : context.refuse('forbidden'),
      },
      'closed',
    )
    assert.equal((await send(pipeline.port, '/app')).status, 403)
    assert.equal((await send(pipeline.port, { path: '/app', headers: { 'x-do': 'answer' } })).status, 418)
  })

  it('breaks the response off when its transform fails', async () => {
    const transform = (): Transform =>
      new Transform({ transform: (_chunk, _encoding, done) => done(new Error('broken')) })
    await start({ onBody: transform }, 'open')
    await assert.rejects(send(pipeline.port, '/app'))
    assert.partialDeepStrictEqual((await pipeline.ended(1))[0], { outcome: 'fault', reason: 'policy_failed' })
  })
})
