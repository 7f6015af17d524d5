import assert from 'node:assert/strict'
import { Transform } from 'node:stream'
import { z } from 'zod'
import { parseGatewayFile } from '../../src/config/gateway-file'
import type { Exchange } from '../../src/exchange/exchange'
import { definePolicy, type Hooks, type Policy } from '../../src/policies/define-policy'
import { ExchangeContext, withContext, type ContextHooks, type PolicyContext } from '../../src/policies/policy-context'
import { POLICIES } from '../../src/policies/registry'
import { send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

/** A policy with the key `test`, in addition to all built-in ones. */
function testPolicy(hooks: ContextHooks): Policy {
  return definePolicy({
    name: 'test',
    schema: z.boolean().optional(),
    create: () => contextHooks(hooks),
  })
}

/** Hooks with the context of custom policies, without the guard. */
function contextHooks(hooks: ContextHooks): Hooks {
  const contexts = new WeakMap<Exchange, ExchangeContext>()
  return withContext(hooks, exchange => {
    const context = contexts.get(exchange) ?? new ExchangeContext(exchange, { count: () => {}, log: () => {} })
    contexts.set(exchange, context)
    return context
  })
}

describe('a policy', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      if (request.url === '/app/broken') response.writeHead(503, { 'content-length': 4 }).end('busy')
      else response.setHeader('x-upstream', 'yes').end(`hello ${String(request.headers['x-attempt'] ?? '')}`)
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function start(hooks: ContextHooks, more: { route?: object; upstream?: object } = {}): Promise<void> {
    const file = proxyTo(upstream.url, { ...more, route: { test: true, ...more.route } })
    pipeline = await startPipeline(file, { policies: [...POLICIES, testPolicy(hooks)] })
  }

  it('under entrypoint sees a request before routing, and can refuse or answer it', async () => {
    const seen: (string | undefined)[] = []
    const arrival = definePolicy({
      name: 'arrival',
      schema: z.string().optional(),
      under: 'entrypoint',
      create: word => {
        const onArrival: ContextHooks['onArrival'] = async context => {
          seen.push(context.route)
          if (context.path === '/refused') context.refuse('forbidden')
          return context.path === '/answered' ? context.respond({ status: 202, body: word }) : undefined
        }
        return contextHooks({ onArrival })
      },
    })
    const file = { ...proxyTo(upstream.url), entrypoint: { arrival: 'early' } }
    pipeline = await startPipeline(file, { policies: [...POLICIES, arrival] })
    assert.equal((await send(pipeline.port, '/app')).text, 'hello ')
    assert.equal((await send(pipeline.port, '/refused')).status, 403)
    const answered = await send(pipeline.port, '/answered')
    assert.deepEqual([answered.status, answered.text], [202, 'early'])
    assert.equal((await send(pipeline.port, '/')).status, 200)
    assert.deepEqual(seen, [undefined, undefined, undefined, undefined])
  })

  it('passes, refuses or answers a request after routing, and later policies then do not run', async () => {
    await start({
      onRequest: context => {
        if (context.headers['x-do'] === 'refuse') context.refuse('forbidden', 'as asked')
        return context.headers['x-do'] === 'answer'
          ? context.respond({ status: 418, headers: { 'x-by': 'policy' }, body: context.route ?? '' })
          : undefined
      },
    })
    assert.equal((await send(pipeline.port, '/app')).text, 'hello ')
    assert.equal((await send(pipeline.port, { path: '/app', headers: { 'x-do': 'refuse' } })).status, 403)
    const answered = await send(pipeline.port, { path: '/app', headers: { 'x-do': 'answer' } })
    assert.deepEqual([answered.status, answered.text, answered.headers['x-by']], [418, 'app', 'policy'])
    assert.equal(upstream.requests.length, 1)
  })

  it('can answer after an asynchronous wait', async () => {
    await start({ onRequest: async context => context.respond({ status: 204 }) })
    assert.equal((await send(pipeline.port, '/app')).status, 204)
    assert.equal(upstream.requests.length, 0)
  })

  it('changes the header section of each attempt, and knows the attempt’s number', async () => {
    const attempts: number[] = []
    await start(
      {
        onAttempt: (context, { number, fields }) => {
          attempts.push(context.attempt)
          fields.push('x-attempt', String(number))
        },
      },
      { upstream: { retries: { attempts: 2 } } },
    )
    assert.equal((await send(pipeline.port, '/app')).text, 'hello 1')
    assert.equal((await send(pipeline.port, '/app/broken')).status, 503)
    assert.deepEqual(attempts, [1, 1, 2])
    assert.deepEqual(
      upstream.requests.map(({ headers }) => headers['x-attempt']),
      ['1', '1', '2'],
    )
  })

  it('can refuse an attempt, which leaves no call counted at the target', async () => {
    await start({ onAttempt: context => context.refuse('forbidden') })
    assert.equal((await send(pipeline.port, '/app')).status, 403)
    assert.equal(pipeline.upstreams()[0]?.targets[0]?.activeCalls, 0)
  })

  it('changes the header section of responses, of the upstream and of the gateway', async () => {
    await start(
      { onResponse: (_context, { status, fields }) => void fields.push('x-seen', String(status)) },
      { route: { maxBodySize: '1B' } },
    )
    const ok = await send(pipeline.port, '/app')
    assert.deepEqual([ok.headers['x-seen'], ok.headers['x-upstream']], ['200', 'yes'])
    const refused = await send(pipeline.port, { path: '/app', method: 'POST', body: 'too long' })
    assert.deepEqual([refused.status, refused.headers['x-seen']], [413, '413'])
  })

  it('transforms a response body as a stream, and Content-Length is removed', async () => {
    const upperCase = (): Transform =>
      new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, chunk.toString().toUpperCase()) })
    await start({ onBody: (_context, { status }) => (status === 200 ? upperCase() : undefined) })
    const changed = await send(pipeline.port, '/app')
    assert.deepEqual([changed.text, changed.headers['content-length']], ['HELLO ', undefined])
    const left = await send(pipeline.port, '/app/broken')
    assert.deepEqual([left.text, left.headers['content-length']], ['busy', '4'])
    assert.equal((await send(pipeline.port, { path: '/app', method: 'HEAD' })).text, '')
  })

  it('that fails in the middle of a body ends the response, and counts as a fault of the gateway', async () => {
    const failing = (): Transform =>
      new Transform({ transform: (_chunk, _encoding, done) => done(new Error('broken')) })
    await start({ onBody: () => failing() })
    await assert.rejects(send(pipeline.port, '/app'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'fault', reason: 'internal' }])
  })

  it('sees the end of every exchange of its routes, with its outcome', async () => {
    const ends: (string | number | undefined)[][] = []
    const note = ({ route, attempt, traceId, method }: PolicyContext): void => {
      ends.push([route, attempt, method, traceId?.length])
    }
    await start({ onEnd: note })
    await send(pipeline.port, '/app')
    await send(pipeline.port, '/elsewhere')
    await pipeline.ended(2)
    assert.deepEqual(
      ends.map(([route, attempt, method]) => [route, attempt, method]),
      [['app', 1, 'GET']],
    )
  })

  it('is rejected in gateway.yaml if it is not registered, and costs routes without it nothing', async () => {
    const file = JSON.stringify(proxyTo(upstream.url, { route: { test: true } }))
    const [problem] = parseGatewayFile(file, 'gateway.yaml', {}).problems
    assert.match(problem?.problem ?? '', /"test" is not a key here/)
    let created = 0
    const policy = definePolicy({ name: 'test', schema: z.boolean().optional(), create: () => (created++, {}) })
    pipeline = await startPipeline(proxyTo(upstream.url), { policies: [...POLICIES, policy] })
    assert.equal((await send(pipeline.port, '/app')).status, 200)
    assert.equal(created, 0)
  })
})
