import assert from 'node:assert/strict'
import { createAuthority, type Certificate } from '../support/certificates'
import { freePort } from '../support/free-port'
import { rawExchange } from '../support/raw-http'
import { problemOf, send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('the port that redirects http to https', () => {
  let certificate: Certificate
  let upstream: RunningUpstream
  let pipeline: Pipeline
  let port: number

  before(async () => {
    certificate = createAuthority('Test Authority').issue('localhost')
    upstream = await startUpstream()
  })
  afterEach(async () => {
    await pipeline.stop()
  })
  after(async () => {
    await upstream.stop()
  })

  async function start(redirect: object = {}, entrypoint: object = {}): Promise<void> {
    port = await freePort()
    const tls = { cert: certificate.certFile, key: certificate.keyFile, redirectHttp: { port, ...redirect } }
    pipeline = await startPipeline({
      entrypoint: { ...entrypoint, tls },
      upstreams: { acme: { targets: [upstream.url] } },
      routes: [
        { name: 'challenges', match: { path: '/.well-known/acme-challenge' }, upstream: 'acme' },
        { name: 'app', match: { path: '/app' }, upstream: 'acme' },
      ],
    })
  }

  it('keeps host, path and query: 301 for GET and HEAD, 308 for other methods', async () => {
    await start()
    for (const [method, status] of [
      ['GET', 301],
      ['HEAD', 301],
      ['POST', 308],
      ['DELETE', 308],
    ] as const) {
      const headers = { host: 'Shop.example:8080' }
      const answer = await send(port, {
        path: '/app/a%20b?x=1&y=%2F',
        method,
        headers,
        ...(method === 'POST' && { body: 'x' }),
      })
      assert.equal(answer.status, status)
      assert.equal(answer.headers['location'], 'https://shop.example/app/a%20b?x=1&y=%2F')
      assert.equal(answer.text, '')
    }
    assert.equal(upstream.requests.length, 0)
    assert.deepEqual(
      (await pipeline.ended(4)).map(({ outcome }) => outcome),
      Array(4).fill('ok'),
    )
  })

  it('names the port of the file if it is not 443', async () => {
    await start({ httpsPort: 8443 })
    const answer = await send(port, { path: '/', headers: { host: '[::1]' } })
    assert.equal(answer.headers['location'], 'https://[::1]:8443/')
  })

  it('leaves challenges of certificate authorities to their route', async () => {
    await start()
    const answer = await send(port, '/.well-known/acme-challenge/token')
    assert.deepEqual([answer.status, answer.text], [200, 'ok'])
    assert.equal(upstream.requests.at(-1)?.headers['x-forwarded-proto'], 'http')
    // Only below the folder, by the normalised path.
    assert.equal((await send(port, '/.well-known/acme-challenge')).status, 301)
    assert.equal((await send(port, '/.well-known/acme-challenge/%2e%2e/app')).status, 400)
  })

  it('redirects /metrics and the page of the gateway, too', async () => {
    await start()
    for (const path of ['/metrics', '/']) assert.equal((await send(port, path)).status, 301)
  })

  it('refuses what the other port refuses', async () => {
    await start({}, { access: { deny: [] }, maxUrlLength: '100B' })
    assert.equal(problemOf(await send(port, `/${'a'.repeat(200)}`))['reason'], 'uri_too_long')
    for (const fields of ['Host: a\r\nHost: b', 'Host: a b', 'X: y']) {
      assert.match(await rawExchange(port, `GET /app HTTP/1.1\r\n${fields}\r\n\r\n`), /^HTTP\/1\.1 400 /)
    }
    assert.match(await rawExchange(port, 'GET /app HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 400 /)
  })
})
