import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { problemsIn, gatewayYaml } from '../unit/config/gateway-yaml'
import { problemOf, send, type Answer } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'

const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

describe('errors of the gateway', () => {
  let pipeline: Pipeline
  let upstream: RunningUpstream
  const folder = temporaryFolder()
  const page = join(folder, 'error.html')
  const shopPage = join(folder, 'shop.html')

  before(async () => {
    writeFileSync(page, '<p>{{status}} {{title}} {{reason}} {{ requestId }} [{{retryAfter}}]')
    writeFileSync(shopPage, '<p>The shop is closed: {{reason}}')
    upstream = await startUpstream((_request, response) => response.writeHead(500).end('own page'))
    pipeline = await startPipeline({
      entrypoint: { errorPage: page, proxyStatus: 'edge-1', trustedProxies: ['127.0.0.1'] },
      upstreams: { app: { targets: [upstream.url] }, gone: { targets: ['http://127.0.0.1:1'] } },
      routes: [
        { name: 'app', match: { path: '/app' }, upstream: 'app' },
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        { name: 'closed', match: { path: '/closed' }, upstream: 'app', maintenance: { retryAfter: '90s' } },
        { name: 'shop', match: { path: '/shop' }, upstream: 'app', maintenance: true, errorPage: shopPage },
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const get = async (path: string, accept?: string, headers: Record<string, string> = {}): Promise<Answer> =>
    send(pipeline.port, { path, headers: { ...headers, ...(accept !== undefined && { accept }) } })

  for (const [client, accept] of [
    ['says nothing', undefined],
    ['accepts anything', '*/*'],
    ['prefers JSON', 'application/json, text/plain;q=0.9, */*;q=0.1'],
    ['prefers problem details', 'text/html;q=0.5, application/problem+json'],
    ['accepts only what the gateway does not have', 'image/png'],
    ['sends no valid list', ';;;,,,q='],
  ] as const) {
    it(`are problem details for a client that ${client}`, async () => {
      const answer = await get('/nowhere', accept)
      assert.deepEqual([answer.status, answer.headers['content-type']], [404, 'application/problem+json'])
      assert.equal(problemOf(answer)['reason'], 'no_route')
    })
  }

  it('are the configured page for browsers, with its placeholders filled in and escaped', async () => {
    const answer = await get('/closed', BROWSER, { 'x-request-id': '<b>&"id"' })
    assert.deepEqual([answer.status, answer.headers['content-type']], [503, 'text/html; charset=utf-8'])
    assert.equal(answer.text, '<p>503 Closed for maintenance maintenance &#60;b&#62;&#38;&#34;id&#34; [90]')
    assert.equal(answer.headers['retry-after'], '90')
  })

  it('have the length of the page as Content-Length and no body in the answer to HEAD', async () => {
    const answer = await send(pipeline.port, { method: 'HEAD', path: '/closed', headers: { accept: BROWSER } })
    const { text } = await get('/closed', BROWSER, { 'x-request-id': 'a' })
    assert.equal(answer.text, '')
    assert.ok(Number(answer.headers['content-length']) > text.length)
  })

  it('are the page of the route where it has one', async () => {
    assert.equal((await get('/shop', BROWSER)).text, '<p>The shop is closed: maintenance')
  })

  it('are short plain text for clients that prefer it', async () => {
    const answer = await get('/gone', 'text/plain', { 'x-request-id': 'abc' })
    assert.deepEqual([answer.status, answer.headers['content-type']], [502, 'text/plain; charset=utf-8'])
    assert.match(answer.text, /^502 The upstream refused the connection\nreason: connect_refused\nrequest id: abc\n/)
  })

  it('leave the error page of an upstream as it is', async () => {
    const answer = await get('/app', BROWSER)
    assert.deepEqual([answer.status, answer.text], [500, 'own page'])
    assert.equal(answer.headers['proxy-status'], undefined)
  })

  for (const [path, value] of [
    ['/gone', 'edge-1; error=connection_refused; details="connect_refused"'],
    ['/nowhere', 'edge-1; error=destination_not_found; details="no_route"'],
    ['/closed', 'edge-1; error=http_request_denied; details="maintenance"'],
  ] as const) {
    it(`say why in Proxy-Status: ${value}`, async () => {
      assert.equal((await get(path)).headers['proxy-status'], value)
    })
  }

  it('have a plain page for browsers and no Proxy-Status by default', async () => {
    const plain = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app' }],
    })
    const answer = await send(plain.port, { path: '/nowhere', headers: { accept: BROWSER } })
    await plain.stop()
    assert.equal(answer.headers['proxy-status'], undefined)
    assert.match(answer.text, /^<!doctype html>/)
    assert.match(answer.text, /<h1>No route matches this request<\/h1>/)
    assert.doesNotMatch(answer.text, /<script|https?:\/\/|\{\{/)
    assert.ok(answer.text.includes(answer.headers['x-request-id'] as string))
  })

  describe('a page that cannot be used', () => {
    for (const [what, text, expected] of [
      ['has an unknown placeholder', '<p>\n{{statsu}}', /has \{\{statsu\}\} on line 2/],
      ['is too large', 'a'.repeat(65_537), /has 65537 bytes/],
      ['is not there', undefined, /is not there/],
    ] as const) {
      it(`is refused with its place in the file when it ${what}`, () => {
        const file = join(temporaryFolder(), 'page.html')
        if (text !== undefined) writeFileSync(file, text)
        for (const additions of [{ entrypoint: `errorPage: ${file}` }, { route: `errorPage: ${file}` }]) {
          const [problem, ...others] = problemsIn(gatewayYaml(additions))
          assert.deepEqual(others, [])
          assert.match(problem?.problem ?? '', expected)
          assert.match(problem?.where ?? '', /^gateway\.yaml:\d+:\d+ (?:entrypoint|routes\[0\])\.errorPage$/)
        }
      })
    }
  })
})
