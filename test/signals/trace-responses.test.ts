import assert from 'node:assert/strict'
import { listTraces } from '../support/ops-port'
import { send, type Answer } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('the trace in answers', () => {
  let upstream: RunningUpstream
  const gateways: RunningGateway[] = []

  before(async () => {
    upstream = await startUpstream((_request, response) => {
      response.writeHead(500, { traceresponse: '00-00000000000000000000000000000001-0000000000000001-00' }).end('no')
    })
  })
  after(async () => {
    for (const gateway of gateways) await gateway.stop()
    await upstream.stop()
  })

  async function start(entrypoint: object): Promise<RunningGateway> {
    const upstreams = { app: { targets: [upstream.url] } }
    const routes = [
      { name: 'app', match: { path: '/app' }, upstream: 'app' },
      { name: 'fixed', match: { path: '/fixed' }, respond: { status: 204 } },
    ]
    const gateway = await startGateway({ config: JSON.stringify({ entrypoint, upstreams, routes }) })
    gateways.push(gateway)
    return gateway
  }

  const ask = ({ port }: RunningGateway, path: string): Promise<Answer> =>
    send(port, { path, headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` } })

  it('is sent to trusted callers by default, on forwarded answers, own answers and errors', async () => {
    const gateway = await start({ trustedProxies: ['127.0.0.1'] })
    for (const [path, status] of [
      ['/app', 500],
      ['/fixed', 204],
      ['/nowhere', 404],
    ] as const) {
      const answer = await ask(gateway, path)
      assert.equal(answer.status, status)
      assert.match(String(answer.headers['traceresponse']), new RegExp(`^00-${TRACE}-[0-9a-f]{16}-0[1-3]$`), path)
    }
    const kept = await until(async () => (await listTraces(gateway.opsUrl, `traceId=${TRACE}&status=5xx`))[0], {
      what: 'the trace of the failed request is found by the id in the answer',
    })
    assert.equal(kept['path'], '/app')
  })

  it('is not sent to others, who have the request id', async () => {
    const gateway = await start({})
    for (const path of ['/fixed', '/nowhere']) {
      const { headers } = await ask(gateway, path)
      assert.equal(headers['traceresponse'], undefined)
      assert.match(String(headers['x-request-id']), /^[0-9a-f]{32}-[0-9a-f]{16}$/)
    }
  })

  it('has the name that the configuration chooses, and goes to all if it says so', async () => {
    const gateway = await start({ requestId: { traceHeader: 'x-trace', traceFor: 'all' } })
    const { headers } = await ask(gateway, '/fixed')
    assert.match(String(headers['x-trace']), /^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$/)
  })
})
