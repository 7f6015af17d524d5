import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rawExchange } from '../support/raw-http'
import { startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

const DOCS = readFileSync(join(__dirname, '../../../docs/configuration.md'), 'utf8')

/** The table of docs/configuration.md: the requested path and how the gateway reads it; undefined for 400. */
const EXAMPLES = documentedPaths()

function documentedPaths(): [string, string | undefined][] {
  const [, section = ''] = /^### Paths of requests\n(.*?)^### /ms.exec(DOCS) ?? []
  const rows = section.matchAll(/^\| `([^`]+)` \| (?:`([^`]+)`|400) \| [^|]+ \|$/gm)
  return [...rows].map(([, asked = '', read]) => [asked, read])
}

describe('the path of a request, as documented', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream()
    pipeline = await startPipeline({
      upstreams: { app: { targets: [upstream.url] } },
      routes: [
        { name: 'all', match: { path: '/:path' }, upstream: 'app' },
        { name: 'a', match: { path: '/a' }, upstream: 'app' },
      ],
    })
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  for (const [asked, read] of EXAMPLES) {
    it(`${asked} ${read === undefined ? 'is refused' : `is ${read} to the route, the upstream and the log`}`, async () => {
      const calls = upstream.requests.length
      const requests = pipeline.counted.length
      const host = 'Host: shop.example\r\nConnection: close'
      const answer = await rawExchange(pipeline.port, `GET ${asked} HTTP/1.1\r\n${host}\r\n\r\n`)
      const ended = (await pipeline.ended(requests + 1)).at(-1)
      if (read === undefined) {
        assert.match(answer, /^HTTP\/1\.1 400 /)
        assert.deepEqual(ended, { route: undefined, outcome: 'refusal', reason: 'bad_request' })
        assert.equal(upstream.requests.length, calls)
        return
      }
      assert.match(answer, /^HTTP\/1\.1 200 /)
      assert.deepEqual(
        upstream.requests.slice(calls).map(({ url }) => url),
        [read],
      )
      const [path] = read.split('?')
      assert.equal(ended?.route, /^\/a(?:\/|$)/.test(path ?? '') ? '/a' : '/:path')
      assert.equal(pipeline.logs.findLast(({ event }) => event === 'request')?.['path'], path)
    })
  }

  it('has an example in the documentation for each rule', () => {
    const asked = EXAMPLES.map(([path]) => path).join('\n')
    for (const part of ['..', '//', ';', '%2f', '%5C', '%00', '\\', '#', '%2e']) assert.ok(asked.includes(part), part)
    assert.equal(EXAMPLES.filter(([, read]) => read === undefined).length, 14)
  })
})
