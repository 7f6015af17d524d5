import assert from 'node:assert/strict'
import { send } from '../support/send'
import { startPipeline, type GatewayFile, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a route for / or /metrics', () => {
  let site: RunningUpstream
  let api: RunningUpstream
  const pipelines: Pipeline[] = []

  before(async () => {
    site = await startUpstream((_request, response) => response.end('site'))
    api = await startUpstream((_request, response) => response.end('api'))
  })
  afterEach(async () => {
    await Promise.all(pipelines.splice(0).map(pipeline => pipeline.stop()))
  })
  after(async () => {
    await site.stop()
    await api.stop()
  })

  async function start(routes: readonly object[], entrypoint: GatewayFile['entrypoint'] = {}): Promise<Pipeline> {
    const upstreams = { site: { targets: [site.url] }, api: { targets: [api.url] } }
    const pipeline = await startPipeline({ entrypoint, upstreams, routes })
    pipelines.push(pipeline)
    return pipeline
  }

  const SITE = { name: 'site', match: { path: '/' }, upstream: 'site' }

  it('takes every path that no other route takes, including / and /metrics', async () => {
    const pipeline = await start([SITE, { name: 'api', match: { path: '/api' }, upstream: 'api' }])
    const answers: Record<string, string> = {}
    for (const path of [
      '/',
      '/?a=b',
      '/index.html',
      '/metrics',
      '/metrics/x',
      '/metricsx',
      '/api',
      '/api/1',
      '/apis',
    ]) {
      answers[path] = (await send(pipeline.port, path)).text
    }
    assert.deepEqual(answers, {
      '/': 'site',
      '/?a=b': 'site',
      '/index.html': 'site',
      '/metrics': 'site',
      '/metrics/x': 'site',
      '/metricsx': 'site',
      '/api': 'api',
      '/api/1': 'api',
      '/apis': 'site',
    })
    assert.deepEqual(new Set(pipeline.counted.map(({ route }) => route)), new Set(['/', '/api']))
  })

  it('applies to its host only: on other hosts the gateway answers', async () => {
    const pipeline = await start([{ ...SITE, match: { path: '/', host: 'shop.example' } }])
    const of = async (host: string, path: string): Promise<string> =>
      (await send(pipeline.port, { path, headers: { Host: host } })).text
    assert.equal(await of('shop.example', '/'), 'site')
    assert.equal(await of('shop.example', '/metrics'), 'site')
    assert.match(await of('127.0.0.1', '/'), /myesi-gateway/)
    assert.equal(await of('127.0.0.1', '/metrics'), '# scraped\n')
  })

  it('for /metrics leaves / to the gateway, and an exact / leaves /metrics to it', async () => {
    const metrics = await start([{ name: 'm', match: { path: '/metrics' }, upstream: 'api' }])
    assert.equal((await send(metrics.port, '/metrics')).text, 'api')
    assert.match((await send(metrics.port, '/')).text, /myesi-gateway/)
    const root = await start([{ name: 'root', match: { path: '/', exact: true }, upstream: 'site' }])
    assert.equal((await send(root.port, '/')).text, 'site')
    assert.equal((await send(root.port, '/metrics')).text, '# scraped\n')
    assert.equal((await send(root.port, '/other')).status, 404)
  })

  it('does not include a route whose path begins with a parameter', async () => {
    const pipeline = await start([{ name: 'all', match: { path: '/:path' }, upstream: 'site' }])
    assert.match((await send(pipeline.port, '/')).text, /myesi-gateway/)
    assert.equal((await send(pipeline.port, '/metrics')).text, '# scraped\n')
    assert.equal((await send(pipeline.port, '/metrics/x')).status, 404)
    assert.equal((await send(pipeline.port, '/metricsx')).text, 'site')
  })

  it('for other methods leaves GET to the gateway, and 405 names both', async () => {
    const pipeline = await start([
      { name: 'in', match: { path: '/', exact: true, methods: ['POST'] }, upstream: 'api' },
    ])
    assert.equal((await send(pipeline.port, { method: 'POST', path: '/' })).text, 'api')
    assert.match((await send(pipeline.port, '/')).text, /myesi-gateway/)
    const answer = await send(pipeline.port, { method: 'PUT', path: '/' })
    assert.deepEqual([answer.status, answer.headers.allow], [405, 'GET, HEAD, POST'])
  })

  it('moves a whole site with a redirect', async () => {
    const pipeline = await start([{ name: 'old', match: { path: '/' }, redirect: { to: 'https://new.example/*' } }])
    for (const path of ['/', '/a', '/a/b?c=d']) {
      assert.equal((await send(pipeline.port, path)).headers.location, `https://new.example${path}`)
    }
  })

  it('if missing, makes the gateway show its version to near clients only', async () => {
    const pipeline = await start([{ name: 'a', match: { path: '/a' }, upstream: 'site' }])
    const versionOf = async (headers: Record<string, string>): Promise<unknown> =>
      (JSON.parse((await send(pipeline.port, { path: '/', headers })).text) as Record<string, unknown>)['version']
    assert.match(String(await versionOf({})), /^\d/)
    assert.equal(await versionOf({ 'X-Forwarded-For': '203.0.113.7' }), undefined)
    assert.equal(await versionOf({ Host: 'shop.example' }), undefined)
  })
})
