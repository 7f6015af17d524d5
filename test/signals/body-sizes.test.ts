import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { rawExchange } from '../support/raw-http'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

/** Requests with different methods, each with the sizes of its request and response body. */
const REQUESTS = [
  ['GET', 'GET /r HTTP/1.1', '', 0, 5_000],
  ['HEAD', 'HEAD /r HTTP/1.1', '', 0, 0],
  ['POST', 'POST /r HTTP/1.1\r\nContent-Length: 7', 'content', 7, 5_000],
  ['PUT', 'PUT /r HTTP/1.1\r\nTransfer-Encoding: chunked', '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n', 7, 5_000],
  ['DELETE', 'DELETE /r?status=204 HTTP/1.1', '', 0, 0],
  // The gateway answers this one itself.
  ['PATCH', 'PATCH /closed HTTP/1.1\r\nContent-Length: 3', 'abc', 3, undefined],
] as const

describe('metrics of body sizes', function () {
  this.timeout(30_000)
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream((request, response) => {
      request.resume().on('end', () => {
        if (request.url?.includes('204')) response.writeHead(204).end()
        else response.end('x'.repeat(5_000))
      })
    })
  })

  after(() => upstream.stop())
  afterEach(() => gateway.stop())

  async function start(env: NodeJS.ProcessEnv): Promise<void> {
    gateway = await startGateway({
      config: JSON.stringify({
        upstreams: { u: { targets: [upstream.url] } },
        routes: [
          { name: 'r', match: { path: '/r' }, upstream: 'u' },
          { name: 'closed', match: { path: '/closed' }, upstream: 'u', maintenance: true },
        ],
      }),
      env,
    })
  }

  it('measure bodies without header sections and framing, where enabled', async () => {
    await start({ TELEMETRY_BODY_SIZES: 'true' })
    for (const [method, head, body, came, went] of REQUESTS) {
      const answer = await rawExchange(gateway.port, `${head}\r\nHost: a\r\nConnection: close\r\n\r\n${body}`)
      const families = await scrape(gateway.opsUrl)
      const of = { http_request_method: method }
      assert.equal(sampleValue(families, 'http_server_request_body_size_bytes_sum', of), came, method)
      const sent = went ?? Buffer.byteLength(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1')
      assert.equal(sampleValue(families, 'http_server_response_body_size_bytes_sum', of), sent, method)
    }
  })

  it('are off by default', async () => {
    await start({})
    await (await fetch(`${gateway.url}/r`)).text()
    const names = [...(await scrape(gateway.opsUrl)).keys()]
    assert.deepEqual(
      names.filter(name => name.includes('body_size')),
      [],
    )
  })
})
