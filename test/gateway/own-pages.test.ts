import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { problemOf, send } from '../support/send'
import { openRaw } from '../support/raw-http'
import { startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const TOKEN = 'a-token-that-is-long-enough'

describe('the gateway’s own pages', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline
  /** A gateway that requires a token for `/metrics`. */
  let closed: Pipeline

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [{ name: 'all', match: { path: '/:path' }, upstream: 'app' }],
    })
    closed = await startPipeline(
      {
        upstreams: { app: { targets: [upstream.url] } },
        routes: [{ name: 'all', match: { path: '/:path' }, upstream: 'app' }],
      },
      { metricsToken: TOKEN },
    )
  })
  afterEach(() => {
    assert.deepEqual(upstream.requests, [], 'they are never the upstream’s')
  })
  after(async () => {
    await pipeline.stop()
    await closed.stop()
    await upstream.stop()
  })

  describe('/', () => {
    it('describes the gateway', async () => {
      const answer = await send(pipeline.port, '/')
      assert.equal(answer.status, 200)
      assert.match(answer.headers['content-type'] ?? '', /^application\/json/)
      const { version, ...about } = JSON.parse(answer.text) as Record<string, unknown>
      assert.match(String(version), /^\d+\.\d+\.\d+/)
      assert.deepEqual(about, {
        name: 'myesi-gateway',
        description: 'OpenTelemetry-first API gateway',
        status: 'ok',
      })
      assert.equal(answer.headers['x-powered-by'], undefined)
    })

    it('gives the same page with a query, and no body to HEAD', async () => {
      assert.equal((await send(pipeline.port, '/?x=1')).status, 200)
      const head = await send(pipeline.port, { method: 'HEAD', path: '/' })
      assert.deepEqual([head.status, head.text], [200, ''])
    })

    it('refuses methods that write', async () => {
      const answer = await send(pipeline.port, { method: 'POST', path: '/', body: 'hello' })
      assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD'])
      assert.equal(problemOf(answer)['reason'], 'method_not_allowed')
    })
  })

  describe('/metrics', () => {
    it('has no pages below it, not even with a route that matches everything', async () => {
      for (const path of ['/metrics/', '/metrics/x', '//metrics/x?y=1', '/%6detrics/x']) {
        const answer = await send(pipeline.port, path)
        assert.deepEqual([answer.status, problemOf(answer)['reason']], [404, 'no_route'], path)
      }
    })

    const statusWith = async (headers: Record<string, string>, path = '/metrics'): Promise<number> =>
      (await send(pipeline.port, { path, headers })).status

    it('is shown to direct requests from private addresses, and does not count as traffic', async () => {
      const before = pipeline.counted.length
      const lines = pipeline.logs.length
      const answer = await send(pipeline.port, '/metrics')
      assert.deepEqual([answer.status, answer.text], [200, '# scraped\n'])
      assert.equal(await statusWith({}, '/metrics?name[]=up'), 200)
      await send(pipeline.port, '/')
      assert.equal((await pipeline.ended(before + 1)).length, before + 1)
      assert.equal(pipeline.logs.length, lines + 1)
    })

    it('is hidden from forwarded requests', async () => {
      for (const name of ['X-Forwarded-For', 'Forwarded', 'Via', 'X-Real-IP', 'X-Forwarded-Proto']) {
        const answer = await send(pipeline.port, { path: '/metrics', headers: { [name]: '127.0.0.1' } })
        assert.equal(answer.status, 403, name)
        assert.equal(problemOf(answer)['reason'], 'forbidden')
      }
    })

    it('with a token is shown to requests that present it, near or far, and to no others', async () => {
      const statusOf = async (headers: Record<string, string>): Promise<number> =>
        (await send(closed.port, { path: '/metrics', headers })).status
      // Near, as through a proxy's plain `proxy_pass`, which says nothing about the client.
      for (const from of [{ 'X-Forwarded-For': '203.0.113.7' }, { Host: '127.0.0.1' }]) {
        assert.equal(await statusOf({ ...from, Authorization: `Bearer ${TOKEN}` }), 200)
        assert.equal(await statusOf({ ...from, Authorization: `bearer ${TOKEN}` }), 200)
        assert.equal(await statusOf(from), 403)
        for (const wrong of [`Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, 'Bearer ', 'Bearer undefined', TOKEN]) {
          assert.equal(await statusOf({ ...from, Authorization: wrong }), 403, wrong)
        }
      }
    })

    it('is hidden from clients that the entrypoint’s access lists deny, and from all by metrics: false', async () => {
      const file = (entrypoint: object): GatewayFile => ({
        entrypoint,
        upstreams: { app: { targets: [upstream.url] } },
        routes: [{ name: 'a', match: { path: '/a' }, upstream: 'app' }],
      })
      for (const options of [{}, { metricsToken: TOKEN }]) {
        const guarded = await startPipeline(file({ access: { deny: ['127.0.0.0/8'] } }), options)
        const scrape = async (): Promise<unknown[]> => {
          const answer = await send(guarded.port, {
            path: '/metrics',
            headers: { Authorization: `Bearer ${TOKEN}` },
          })
          return answer.status === 200 ? [200] : [answer.status, problemOf(answer)['reason']]
        }
        assert.deepEqual(await scrape(), [403, 'forbidden'])
        guarded.reload(file({ access: { deny: ['10.0.0.0/8'] } }))
        assert.deepEqual(await scrape(), [200])
        guarded.reload(file({ metrics: false }))
        assert.deepEqual(await scrape(), [404, 'no_route'])
        await guarded.stop()
      }
    })

    it('refuses methods that write', async () => {
      const answer = await send(pipeline.port, { method: 'POST', path: '/metrics' })
      assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD'])
    })

    for (const target of ['//metrics', '/%6Detrics', '/%6d%65trics?x', 'http://a/metrics']) {
      it(`cannot be reached by another spelling: ${target}`, async () => {
        const client = await openRaw(closed.port)
        client.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
        assert.match(await client.waitFor('\r\n\r\n'), /^HTTP\/1\.1 403 /)
        client.destroy()
      })
    }
  })

  it('survive a malformed body, also during a scrape', async () => {
    const waiting: ServerResponse[] = []
    const slow = await startPipeline(
      {
        upstreams: { app: { targets: [upstream.url] } },
        routes: [{ name: 'a', match: { path: '/a' }, upstream: 'app' }],
      },
      { scrape: (_request, response) => waiting.push(response) },
    )
    const client = await openRaw(slow.port)
    client.send('GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n')
    const [response] = await until(() => waiting.length > 0 && waiting, { what: 'a scrape under way' })
    client.send('ZZZ\r\n')
    await client.closed()
    assert.equal(response?.destroyed, true)
    await slow.stop()
  })
})
