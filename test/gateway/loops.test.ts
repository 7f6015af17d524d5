import assert from 'node:assert/strict'
import { request as sendRequest } from 'node:http'
import { problemOf, send } from '../support/send'
import { proxyTo, startPipeline, type Pipeline } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'

describe('request loop detection', () => {
  let upstream: RunningUpstream
  let pipeline: Pipeline

  before(async () => {
    upstream = await startUpstream(({ headers }, response) => {
      if (headers['x-goes-round'] === undefined) return void response.end('ok')
      sendRequest({ host: '127.0.0.1', port: pipeline.port, path: '/app', headers }, answer => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      }).end()
    })
    pipeline = await startPipeline(proxyTo(upstream.url))
  })
  afterEach(() => {
    upstream.requests.length = 0
  })
  after(async () => {
    await pipeline.stop()
    await upstream.stop()
  })

  const passedOn = async (via: string): Promise<number> =>
    (await send(pipeline.port, { path: '/app', headers: { via } })).status

  it('stops an upstream that leads back to the gateway by its Via entries, after a few rounds', async () => {
    const answer = await send(pipeline.port, { path: '/app', headers: { 'x-goes-round': 'yes' } })
    assert.deepEqual([answer.status, problemOf(answer)['reason']], [508, 'loop_detected'])
    assert.equal(upstream.requests.length, 6)
    const [innermost, ...others] = pipeline.logs.filter(({ event }) => event === 'request')
    assert.deepEqual([innermost?.['outcome'], innermost?.['reason']], ['refusal', 'loop_detected'])
    for (const { reason } of others) assert.equal(reason, 'upstream_5xx')
  })

  it('does not take a request through many other proxies for a loop', async () => {
    assert.equal(
      await passedOn(Array.from({ length: 30 }, (_, hop) => `1.1 proxy-${hop} (myesi-gateway)`).join(', ')),
      200,
    )
    assert.equal(await passedOn('1.1 not-myesi-gateway, 1.1 myesi-gateway-2, '.repeat(10)), 200)
  })

  it('allows up to five gateways in a row', async () => {
    assert.equal(await passedOn(Array(5).fill('1.1 myesi-gateway').join(', ')), 200)
    assert.equal(await passedOn(Array(6).fill('HTTP/1.1  myesi-gateway (eu)').join(',')), 508)
  })
})
