import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { Router } from 'express'
import { mountMiddleware, type Middleware } from '../../src/policies/own/express'
import { POLICIES } from '../../src/policies/registry'
import { open, responseTo, send, type Answer } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('Express middleware on a route', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  beforeEach(async () => {
    upstream = await startUpstream((request, response) => {
      response.setHeader('x-both', 'upstream').end(`${request.method} ${request.url}`)
    })
  })
  afterEach(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  async function start(middleware: Middleware, route: object = {}): Promise<void> {
    const policies = mountMiddleware(POLICIES, new Map([['./it.ts', middleware]]))
    pipeline = await startPipeline(proxyTo(upstream.url, { route: { express: './it.ts', ...route } }), { policies })
  }

  const reasonOf = (response: Answer): unknown => (JSON.parse(response.text) as { reason: unknown }).reason

  it('sets security fields, as the well-known one does, and the upstream answers', async () => {
    // What helmet does: fields before next(), and some of the framework's removed.
    await start((_request, response, next) => {
      response.setHeader('Content-Security-Policy', "default-src 'self'")
      response.setHeader('X-Both', 'middleware')
      response.removeHeader('X-Powered-By')
      next()
    })
    const response = await send(pipeline.port, '/app/page?a=1')
    assert.equal(response.text, 'GET /app/page?a=1')
    assert.equal(response.headers['content-security-policy'], "default-src 'self'")
    assert.equal(response.headers['x-both'], 'upstream')
  })

  it('answers by itself, with the fields that every local reply has', async () => {
    // What basic-auth middleware does.
    await start(
      (request, response, next) => {
        if (request.headers.authorization === 'Basic YTpi') return next()
        response.statusCode = 401
        response.setHeader('WWW-Authenticate', 'Basic realm="x"')
        response.setHeader('Set-Cookie', ['a=1', 'b=2'])
        response.end('no')
      },
      { responseHeaders: { set: { 'x-edited': 'yes' } }, rateLimit: { limit: 100, window: '1m' } },
    )
    const refused = await send(pipeline.port, '/app')
    assert.deepEqual([refused.status, refused.text], [401, 'no'])
    assert.partialDeepStrictEqual(refused.headers, { 'www-authenticate': 'Basic realm="x"', 'x-edited': 'yes' })
    assert.deepEqual(refused.headers['set-cookie'], ['a=1', 'b=2'])
    assert.equal(refused.headers['content-length'], '2')
    assert.ok(refused.headers['x-request-id'])
    assert.ok(refused.headers['ratelimit'])
    assert.equal(upstream.requests.length, 0)
    const passed = await send(pipeline.port, { path: '/app', headers: { authorization: 'Basic YTpi' } })
    assert.equal(passed.text, 'GET /app')
    assert.partialDeepStrictEqual((await pipeline.ended(2))[0], { outcome: 'ok', route: '/app' })
  })

  it('may be a Router, and use what Express adds to requests and responses', async () => {
    const router = Router()
    router.get(
      '/app/hello/:name',
      (request, response) => void response.status(203).json({ hello: request.params.name }),
    )
    await start(router as unknown as Middleware)
    const answered = await send(pipeline.port, '/app/hello/you')
    assert.deepEqual([answered.status, answered.text], [203, '{"hello":"you"}'])
    assert.match(String(answered.headers['content-type']), /application\/json/)
    assert.equal((await send(pipeline.port, '/app/other')).text, 'GET /app/other')
  })

  it('streams an answer of its own', async () => {
    await start(async (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'text/plain' })
      for (const part of ['one ', 'two ', 'three']) {
        response.write(part)
        await new Promise(setImmediate)
      }
      response.end()
    })
    const response = await send(pipeline.port, '/app')
    assert.equal(response.text, 'one two three')
    assert.equal(response.headers['content-type'], 'text/plain')
  })

  for (const [what, middleware] of [
    ['throws', () => assert.fail('broken')],
    ['rejects', async () => assert.fail('broken')],
    ['passes an error on', (_request, _response, next) => next(Object.assign(new Error('broken'), { status: 403 }))],
  ] as const satisfies readonly (readonly [string, Middleware])[]) {
    it(`that ${what} is a policy that failed: 500, and nothing of its own fields`, async () => {
      await start((request, response, next) => {
        response.setHeader('etag', '"1"')
        return middleware(request, response, next)
      })
      const response = await send(pipeline.port, '/app')
      assert.equal(response.status, 500)
      assert.equal(reasonOf(response), 'policy_failed')
      assert.equal(response.headers['etag'], undefined)
      assert.equal(upstream.requests.length, 0)
      const lines = pipeline.logs.filter(entry => entry['event'] === 'policy')
      assert.partialDeepStrictEqual(lines[0], { policy: 'express', failure: 'threw' })
    })
  }

  it('that reads a body fails with an upstream, because the body cannot be forwarded, and may read it without one', async () => {
    const parse = async (request: IncomingMessage, response: ServerResponse, next: () => void): Promise<void> => {
      const { name } = JSON.parse(await text(request)) as { name: string }
      if (request.headers['x-answer'] === undefined) return next()
      response.end(`hello ${name}`)
    }
    await start(parse)
    const post = (headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
      send(pipeline.port, { method: 'POST', path: '/app', headers, body: '{"name":"you"}' })
    const failed = await post()
    assert.equal(reasonOf(failed), 'policy_failed')
    assert.equal((await post({ 'x-answer': 'yes' })).text, 'hello you')
    await pipeline.stop()
    await start(parse, { upstream: undefined, respond: { status: 200, body: 'the last word' } })
    assert.equal((await post()).text, 'the last word')
  })

  it('of a client that leaves ends with it', async () => {
    let leave = (): void => {}
    await start(() => leave())
    const sent = open(pipeline.port, { path: '/app' })
    leave = () => void sent.destroy()
    await assert.rejects(responseTo(sent.end()))
    assert.partialDeepStrictEqual((await pipeline.ended(1))[0], { outcome: 'client_closed' })
  })
})
