import assert from 'node:assert/strict'
import { STATUS_CODES } from 'node:http'
import type { Reason } from '../../src/errors/reasons'
import { openRaw } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

/** A request's name here, its bytes, and the reason it is refused for. */
type Refused = readonly [what: string, bytes: string, reason: Reason]

const get = (target: string, host = 'Host: shop.example\r\n'): string => `GET ${target} HTTP/1.1\r\n${host}\r\n`
const post = (fields: string, body: string, version = '1.1'): string =>
  `POST /app HTTP/${version}\r\nHost: a\r\n${fields}\r\n\r\n${body}`

const REFUSED: readonly Refused[] = [
  ['no Host', get('/app', ''), 'bad_request'],
  ['two Hosts', get('/app', 'Host: a\r\nHost: b\r\n'), 'bad_request'],
  ['the same Host twice', get('/app', 'Host: a\r\nHost: a\r\n'), 'bad_request'],
  ['Host with userinfo', get('/app', 'Host: user@a\r\n'), 'bad_request'],
  ['Host with a path', get('/app', 'Host: a/b\r\n'), 'bad_request'],
  ['Host that is a list', get('/app', 'Host: a, b\r\n'), 'bad_request'],
  ['Host with a space', get('/app', 'Host: a b\r\n'), 'bad_request'],
  ['target with another authority than Host', get('http://other.example/app'), 'bad_request'],
  ['target with userinfo', get('http://user@shop.example/app'), 'bad_request'],
  ['target of another scheme', get('ftp://shop.example/app'), 'bad_request'],
  ['target that no URL parser takes', get('http://['), 'bad_request'],
  ['target with an open bracket', get('http://[::1'), 'bad_request'],
  ['asterisk for the whole server', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['tunnel', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'bad_request'],
  ['fragment in the path', get('/app#top'), 'bad_request'],
  ['fragment in the query', get('/app?a#top'), 'bad_request'],
  ['parent segment', get('/app/../admin'), 'bad_request'],
  ['parent segment at the end', get('/app/..'), 'bad_request'],
  ['encoded parent segment', get('/app/%2e%2e/admin'), 'bad_request'],
  ['half encoded parent segment', get('/app/.%2E/admin'), 'bad_request'],
  ['parent segment with a parameter', get('/app/..;/admin'), 'bad_request'],
  ['parent segment with an encoded parameter', get('/app/..%3b/admin'), 'bad_request'],
  ['parent segment before an encoded slash', get('/app/..%2fadmin'), 'bad_request'],
  ['encoded slash', get('/app/a%2Fb'), 'bad_request'],
  ['encoded backslash', get('/app/a%5cb'), 'bad_request'],
  ['backslash', get('/app\\b'), 'bad_request'],
  ['encoded NUL', get('/app/a%00b'), 'bad_request'],
  ['NUL', get('/app/a\0b'), 'bad_request'],
  ['broken escape', get('/app/%zz'), 'bad_request'],
  ['escape cut short', get('/app/%4'), 'bad_request'],
  ['bytes outside ASCII in the target', get('/caf\xc3\xa9'), 'bad_request'],
  ['bare line feeds', 'GET /app HTTP/1.1\nHost: a\n\n', 'bad_request'],
  ['folded header', get('/app', 'Host: a\r\nX: b\r\n c\r\n'), 'bad_request'],
  ['space before the colon', get('/app', 'Host: a\r\nX : b\r\n'), 'bad_request'],
  ['unknown method', 'FETCH /app HTTP/1.1\r\nHost: a\r\n\r\n', 'bad_request'],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'bad_request'],
  ['TLS on the plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'bad_request'],
  ['Content-Length and chunked', post('Content-Length: 3\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 'bad_request'],
  ['chunked and Content-Length', post('Transfer-Encoding: chunked\r\nContent-Length: 3', '0\r\n\r\n'), 'bad_request'],
  ['two Content-Lengths', post('Content-Length: 3\r\nContent-Length: 4', 'abcd'), 'bad_request'],
  ['Content-Length list', post('Content-Length: 3, 3', 'abc'), 'bad_request'],
  ['negative Content-Length', post('Content-Length: -1', ''), 'bad_request'],
  ['signed Content-Length', post('Content-Length: +3', 'abc'), 'bad_request'],
  ['coding besides chunked', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 'bad_request'],
  ['coding instead of chunked', post('Transfer-Encoding: gzip', 'abc'), 'bad_request'],
  ['identity coding', post('Transfer-Encoding: identity', 'abc'), 'bad_request'],
  ['chunked twice', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 'bad_request'],
  ['hidden chunked', post('Transfer-Encoding: \x0bchunked', '0\r\n\r\n'), 'bad_request'],
  ['chunked in HTTP/1.0', post('Transfer-Encoding: chunked', '0\r\n\r\n', '1.0'), 'bad_request'],
  ['unknown expectation', post('Expect: a-miracle\r\nContent-Length: 3', 'abc'), 'expectation_failed'],
  ['header section over the limit', get('/app', `Host: a\r\nX: ${'x'.repeat(20_000)}\r\n`), 'header_too_large'],
  ['target over the limit', get(`/app/${'x'.repeat(20_000)}`), 'uri_too_long'],
  ['too many headers', get('/app', `Host: a\r\n${'X: a\r\n'.repeat(2_500)}`), 'header_too_large'],
]

describe('a malformed request', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'all', match: { path: '/:path' }, upstream: 'app' }],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  for (const [what, bytes, reason] of REFUSED) {
    it(`is refused, told and counted once: ${what}`, async () => {
      const before = pipeline.counted.length
      const connection = await openRaw(pipeline.port)
      connection.send(bytes)
      const answer = await connection.waitFor(/\r\n\r\n\{.*\}$/)
      connection.destroy()
      const [head = '', body = ''] = answer.split('\r\n\r\n')
      const [, status = '', phrase] = /^HTTP\/1\.1 (4\d\d) (.*)/.exec(head) ?? []
      assert.equal(phrase, STATUS_CODES[status])
      assert.match(head, /\r\nContent-Type: application\/problem\+json/)
      assert.equal((JSON.parse(body) as { reason: string }).reason, reason)
      assert.deepEqual((await pipeline.ended(before + 1)).slice(before), [
        { route: undefined, outcome: 'refusal', reason },
      ])
      assert.deepEqual(upstream.requests, [])
    })
  }

  it('does not keep a client from a good one on the next connection', async () => {
    const connection = await openRaw(pipeline.port)
    connection.send(get('/app'))
    assert.match(await connection.waitFor('\r\n\r\nok'), /^HTTP\/1\.1 200 /)
    connection.destroy()
    assert.equal(upstream.requests.length, 1)
  })
})

describe('a request that breaks in its body', () => {
  it('is answered and counted as malformed when the answer has not begun', async () => {
    const upstream = await startUpstream(request => request.resume())
    const pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    const connection = await openRaw(pipeline.port)
    connection.send(post('Transfer-Encoding: chunked', '3\r\nabc\r\nnonsense\r\n'))
    const answer = await connection.closed()
    assert.match(answer, /^HTTP\/1\.1 400 /)
    assert.equal(answer.split('HTTP/1.1').length, 2, 'one answer')
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'bad_request' }])
    await pipeline.stop()
    await upstream.stop()
  })

  it('loses its connection when the answer has begun, so that nothing is written into it', async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume()
      response.write('begun')
    })
    const pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    const connection = await openRaw(pipeline.port)
    connection.send(post('Transfer-Encoding: chunked', '3\r\nabc\r\n'))
    await connection.waitFor('begun')
    connection.send('nonsense\r\n')
    const answer = await connection.closed()
    assert.equal(answer.split('HTTP/1.1').length, 2, 'one answer')
    assert.ok(!answer.includes('problem'))
    assert.deepEqual(await pipeline.ended(1), [{ route: '/app', outcome: 'refusal', reason: 'bad_request' }])
    await pipeline.stop()
    await upstream.stop()
  })

  it('loses its connection when the nonsense comes behind a request that is still being answered', async () => {
    const upstream = await startUpstream((request, response) => {
      request.resume()
      response.write('begun')
    })
    const pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    const connection = await openRaw(pipeline.port)
    connection.send(get('/app'))
    await connection.waitFor('begun')
    connection.send('nonsense\r\n\r\n')
    const answer = await connection.closed()
    assert.ok(!answer.includes('problem'))
    await pipeline.ended(1)
    await pipeline.stop()
    await upstream.stop()
  })
})
