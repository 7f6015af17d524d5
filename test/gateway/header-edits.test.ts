import assert from 'node:assert/strict'
import { linesOf, problemOf, send, type Answer } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('header edits of a route', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream((_request, response) => {
      response.setHeader('Server', 'inside/1.2')
      response.setHeader('Set-Cookie', ['a=1', 'b=2'])
      response.setHeader('X-Frame-Options', 'ALLOWALL')
      response.setHeader('Vary', 'Accept')
      response.setHeader('Trailer', 'X-Inside, X-Sum')
      response.write('hello')
      response.addTrailers({ 'X-Inside': '10.0.0.1', 'X-Sum': '5' })
      response.end()
    })
    pipeline = await startPipeline({
      entrypoint: { underscoreHeaders: true }, // without this, no underscore spelling would arrive
      upstreams: { app: { targets: [upstream.url] }, gone: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'plain', match: { path: '/plain' }, upstream: 'app' },
        {
          name: 'edited',
          match: { path: '/edited' },
          upstream: 'app',
          requestHeaders: {
            set: { 'X-Tenant': 'acme' },
            add: { 'x-tag': 'ours', 'X-Forwarded-Prefix': '/edited' },
            remove: ['Cookie', 'x-debug'],
          },
          responseHeaders: {
            set: { 'X-Frame-Options': 'DENY' },
            add: { 'Set-Cookie': 'c=3', Vary: 'Origin' },
            remove: ['server', 'x-inside'],
          },
        },
        {
          name: 'gone',
          match: { path: '/gone', methods: ['GET'] },
          upstream: 'gone',
          rateLimit: { limit: 100, window: '1m' },
          responseHeaders: {
            set: {
              'Strict-Transport-Security': 'max-age=60',
              'Content-Type': 'text/html',
              'Cache-Control': 'max-age=9',
            },
            add: { Vary: 'Origin' },
            remove: ['x-nothing'],
          },
        },
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  /** The values of all fields with this name, in any spelling, that the upstream received. */
  async function forwarded(name: string, path: string, headers: readonly string[]): Promise<string[]> {
    await send(pipeline.port, { path, headers: ['Host', 'shop.example', ...headers] })
    return linesOf(upstream.requests.at(-1)!, name)
  }

  it('set request fields, whatever spelling the client sends', async () => {
    assert.deepEqual(await forwarded('x-tenant', '/edited', []), ['acme'])
    const evil = ['X-TENANT', 'evil', 'x_tenant', 'evil', 'x-tenant', 'evil']
    assert.deepEqual(await forwarded('x-tenant', '/edited', evil), ['acme'])
  })

  it('add request fields to those of the client', async () => {
    assert.deepEqual(await forwarded('x-tag', '/edited', ['X-Tag', 'theirs']), ['theirs', 'ours'])
  })

  it('remove request fields', async () => {
    const sent = ['Cookie', 'a=1', 'cookie', 'b=2', 'X_Debug', '1', 'x-debug', '1']
    assert.deepEqual(await forwarded('cookie', '/edited', sent), [])
    assert.deepEqual(await forwarded('x-debug', '/edited', sent), [])
    assert.equal((await forwarded('x-debug', '/plain', sent)).length, 2)
  })

  it('cannot be undone by a client that names the fields in Connection', async () => {
    const sent = ['Connection', 'x-tenant, x-tag, close']
    assert.deepEqual(await forwarded('x-tenant', '/edited', sent), ['acme'])
    assert.deepEqual(await forwarded('x-tag', '/edited', sent), ['ours'])
  })

  it('may replace fields that the gateway itself does not set', async () => {
    const sent = ['X-Forwarded-Prefix', '/evil']
    assert.deepEqual(await forwarded('x-forwarded-prefix', '/edited', sent), ['/edited'])
  })

  it('change response fields', async () => {
    const plain = await send(pipeline.port, '/plain')
    assert.deepEqual([plain.headers.server, plain.headers['x-frame-options']], ['inside/1.2', 'ALLOWALL'])
    const edited = await send(pipeline.port, '/edited')
    assert.equal(edited.status, 200)
    assert.equal(edited.text, 'hello')
    assert.equal(edited.headers.server, undefined)
    assert.deepEqual(linesOf(edited, 'x-frame-options'), ['DENY'])
    assert.deepEqual(edited.headers['set-cookie'], ['a=1', 'b=2', 'c=3'])
    assert.deepEqual(linesOf(edited, 'vary'), ['Accept', 'Origin'])
  })

  it('also remove the fields from trailers', async () => {
    assert.deepEqual((await send(pipeline.port, '/plain')).rawTrailers, ['X-Inside', '10.0.0.1', 'X-Sum', '5'])
    assert.deepEqual((await send(pipeline.port, '/edited')).rawTrailers, ['X-Sum', '5'])
  })

  it('apply to local replies of the route, which keep their type and are not cached', async () => {
    const answer = await send(pipeline.port, '/gone')
    assert.equal(problemOf(answer)['reason'], 'connect_refused')
    assert.equal(answer.headers['strict-transport-security'], 'max-age=60')
    assert.deepEqual(linesOf(answer, 'content-type'), ['application/problem+json'])
    assert.deepEqual(linesOf(answer, 'cache-control'), ['no-store'])
    assert.equal(answer.headers.vary, 'Origin')
    assert.equal(linesOf(answer, 'ratelimit').length, 1)
  })

  it('do not apply to local replies without a route', async () => {
    const fields = ({ status, headers }: Answer): unknown[] => [status, headers['strict-transport-security']]
    assert.deepEqual(fields(await send(pipeline.port, { path: '/gone', method: 'PUT' })), [405, undefined])
    assert.deepEqual(fields(await send(pipeline.port, '/nowhere')), [404, undefined])
  })
})
