import assert from 'node:assert/strict'
import { send } from '../support/send'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('a rewritten path', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    const route = (path: string, rewrite?: object): object => ({
      name: path.slice(1).replaceAll(/\W/g, '-'),
      match: { path },
      upstream: 'app',
      ...(rewrite && { rewrite }),
    })
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        route('/same'),
        route('/strip/part', { stripPrefix: '/strip' }),
        route('/strip-all', { stripPrefix: '/strip-all' }),
        route('/add', { addPrefix: '/v2/x' }),
        route('/replace/:id', { stripPrefix: '/replace', addPrefix: '/v2' }),
        route('/replace-all', { stripPrefix: '/replace-all', addPrefix: '/v2' }),
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const CASES: Readonly<Record<string, string>> = {
    '/same/a?b=/same': '/same/a?b=/same',
    '/strip/part': '/part',
    '/strip/part/a/?b': '/part/a/?b',
    '//strip//part': '/part',
    '/strip-all': '/',
    '/strip-all/': '/',
    '/strip-all?a': '/?a',
    '/strip-all//evil.example/a': '/evil.example/a',
    '/add': '/v2/x/add',
    '/add/?b=c': '/v2/x/add/?b=c',
    '/replace/7': '/v2/7',
    '/replace/7/replace/7': '/v2/7/replace/7',
    '/replace-all': '/v2',
    '/replace-all/': '/v2/',
    '/replace-all?a=b': '/v2?a=b',
    '/replace-all/a%2Db/%c3%a9': '/v2/a-b/%C3%A9',
  }
  for (const [path, expected] of Object.entries(CASES)) {
    it(`is ${expected} for the upstream from ${path}`, async () => {
      await send(pipeline.port, path)
      assert.equal(upstream.requests.at(-1)?.url, expected)
    })
  }

  it('does not appear in span and log, which show what the client requested', async () => {
    await send(pipeline.port, '/replace/7?secret')
    const line = pipeline.logs.findLast(({ event, path }) => event === 'request' && path === '/replace/7')
    assert.equal(line?.['route'], '/replace/:id')
  })
})
