import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { rawExchange } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'

describe('fixed responses', () => {
  let pipeline: Pipeline

  before(async () => {
    const route = (path: string, respond: object, more: object = {}): object => ({
      name: path.slice(1),
      match: { path },
      respond,
      ...more,
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        route('/robots.txt', { body: 'User-agent: *\nDisallow: /\n' }),
        route('/json', { status: 404, headers: { 'Content-Type': 'application/json', 'X-A': 'b' }, body: '{"é":1}' }),
        route('/value', { headers: { 'X-A': 'content-type' }, body: 'hello' }),
        route('/empty', {}),
        route('/none', { status: 204 }),
        route('/same', { status: 304, headers: { ETag: '"a"' } }),
        route('/down', { status: 503, headers: { 'Retry-After': '60' } }),
        route('/edited', { headers: { 'X-A': 'own' } }, { responseHeaders: { set: { 'X-A': 'set', 'X-B': 'set' } } }),
        route('/limited', {}, { rateLimit: { limit: 1, window: '1m' }, maxBodySize: '4B' }),
      ],
    })
  })
  after(() => pipeline.stop())

  it('have a text body, unless they name another type', async () => {
    const robots = await send(pipeline.port, '/robots.txt')
    assert.deepEqual([robots.status, robots.text], [200, 'User-agent: *\nDisallow: /\n'])
    assert.equal(robots.headers['content-type'], 'text/plain; charset=utf-8')
    assert.equal((await send(pipeline.port, '/value')).headers['content-type'], 'text/plain; charset=utf-8')
    const json = await send(pipeline.port, '/json/a')
    assert.deepEqual([json.status, json.statusMessage, json.text], [404, 'Not Found', '{"é":1}'])
    assert.deepEqual(
      [json.headers['content-type'], json.headers['content-length'], json.headers['x-a']],
      ['application/json', '8', 'b'],
    )
  })

  it('may have no body', async () => {
    const empty = await send(pipeline.port, '/empty')
    assert.deepEqual(
      [empty.status, empty.headers['content-length'], empty.headers['content-type']],
      [200, '0', undefined],
    )
  })

  for (const path of ['/none', '/same'] as const) {
    it(`send no Content-Length where a body is not allowed: ${path}`, async () => {
      const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
      const answer = await rawExchange(pipeline.port, request)
      assert.match(answer, /^HTTP\/1\.1 (?:204 No Content|304 Not Modified)\r\n/)
      assert.doesNotMatch(answer, /content-length|transfer-encoding/i)
      assert.match(answer, /\r\n\r\n$/)
    })
  }

  it('answer HEAD with the header section of GET and no body', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const head = await send(pipeline.port, { path: '/json', method: 'HEAD', agent })
    assert.deepEqual([head.status, head.text, head.headers['content-length']], [404, '', '8'])
    assert.equal((await send(pipeline.port, { path: '/json', agent })).text, '{"é":1}')
    agent.destroy()
  })

  it('count as ok whatever their status, with the route and without an upstream', async () => {
    const before = pipeline.counted.length
    await send(pipeline.port, '/down')
    const counted = await pipeline.ended(before + 1)
    assert.deepEqual(counted.at(-1), { route: '/down', outcome: 'ok', reason: undefined })
    const line = pipeline.logs.findLast(({ path }) => path === '/down')
    assert.deepEqual([line?.['level'], line?.['status'], line?.['upstream']], ['info', 503, undefined])
  })

  it('keep their own header fields when the route sets the same ones', async () => {
    const { headers } = await send(pipeline.port, '/edited')
    assert.deepEqual([headers['x-a'], headers['x-b']], ['own', 'set'])
  })

  it('count against the limits of their route', async () => {
    const tooLarge = await send(pipeline.port, { path: '/limited', method: 'POST', body: 'hello' })
    assert.equal(problemOf(tooLarge)['reason'], 'body_too_large')
    assert.equal((await send(pipeline.port, '/limited')).status, 429)
  })

  it('do not send 100 Continue to a client that expects it', async () => {
    const request = 'POST /empty HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n'
    const answer = await rawExchange(pipeline.port, request, 10_000)
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n/)
    assert.match(answer, /\r\nConnection: close\r\n/)
  })

  it('read a small body and keep the connection open', async () => {
    const answer = await send(pipeline.port, {
      path: '/empty',
      method: 'POST',
      body: 'hello',
      agent: new Agent({ keepAlive: true }),
    })
    assert.deepEqual([answer.status, answer.headers.connection], [200, 'keep-alive'])
  })
})
