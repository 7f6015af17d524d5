import assert from 'node:assert/strict'
import { rawExchange } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('with raw paths, a path', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    const route = (path: string, more: object = {}): object => ({
      name: path.slice(1).replaceAll(/\W+/g, '-') || 'root',
      match: { path },
      upstream: 'app',
      ...more,
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('/normal'),
        route('/api/v4/projects/:id', { rawPath: true }),
        route('/npm', { rawPath: true, rewrite: { stripPrefix: '/npm' } }),
        route('/packages/:name', { rawPath: true, rewrite: { path: '/registry/:name' } }),
        route('/strict', { semicolons: 'refuse' }),
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const ask = (path: string): Promise<string> =>
    rawExchange(pipeline.port, `GET ${path} HTTP/1.1\r\nHost: git.example\r\nConnection: close\r\n\r\n`)

  for (const [asked, forwarded] of [
    ['/api/v4/projects/group%2fname/issues?a=%2F', '/api/v4/projects/group%2fname/issues?a=%2F'],
    ['/api//v4/projects/group%2Fname/%7euser//x', '/api//v4/projects/group%2Fname/%7euser//x'],
    ['/npm/@scope%2fname', '/@scope%2fname'],
    ['//n%70m//@scope%2Fname/-/x.tgz', '//@scope%2Fname/-/x.tgz'],
    ['/npm', '/'],
    ['/packages/@a%2fb//1.0', '/registry/@a%2fb//1.0'],
    ['/normal//x/%7e', '/normal/x/~'],
  ] as const) {
    it(`is forwarded as ${forwarded} from ${asked}`, async () => {
      assert.match(await ask(asked), /^HTTP\/1\.1 200 /)
      assert.equal(upstream.requests.at(-1)?.url, forwarded)
    })
  }

  for (const path of [
    '/normal/a%2Fb',
    '/elsewhere/a%2Fb',
    '/api/v4/projects/..%2fadmin',
    '/api/v4/projects/a%2F..%2f..%2Fadmin',
    '/api/v4/projects/a%2F%2e%2E/admin',
    '/api/v4/projects/a%5Cb',
    '/api/v4/projects/a%00b',
    '/npm%2Fx',
    '/strict/a;b',
    '/strict;a/b',
    '/strict/%3bb',
  ]) {
    it(`is refused: ${path}`, async () => {
      const calls = upstream.requests.length
      const answer = await ask(path)
      // The route for /strict does not match /strict;a.
      assert.match(answer, path === '/strict;a/b' ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 400 /)
      assert.equal(upstream.requests.length, calls)
    })
  }
})
