import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { listTraces, openTrace, scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('a retried call', () => {
  let bad: RunningUpstream
  let good: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    bad = await startUpstream((_request, response) => void response.writeHead(503).end())
    good = await startUpstream()
    const app = { targets: [bad.url, good.url], retries: { attempts: 2 } }
    const route = { name: 'app', match: { path: '/app' }, upstream: 'app' }
    gateway = await startGateway({ config: JSON.stringify({ upstreams: { app }, routes: [route] }) })
    assert.equal((await send(gateway.port, '/app')).status, 200)
  })
  after(async () => {
    await gateway.stop()
    await bad.stop()
    await good.stop()
  })

  it('has a CLIENT span for each attempt; the second one records the resend count and the reason', async () => {
    const [trace] = await until(() => listTraces(gateway.opsUrl), { what: 'the trace is kept' })
    const spans = (await openTrace(gateway.opsUrl, trace!.traceId)) ?? []
    const [server] = spans.filter(({ kind }) => kind === 2)
    const calls = spans.filter(({ kind }) => kind === 3)
    assert.deepEqual(
      calls.map(({ attributes }) => [
        Number(attributes['server.port']),
        Number(attributes['http.response.status_code']),
        attributes['http.request.resend_count'] && Number(attributes['http.request.resend_count']),
        attributes['gateway.upstream.retry.reason'],
      ]),
      [
        [bad.port, 503, undefined, undefined],
        [good.port, 200, 1, 'upstream_5xx'],
      ],
    )
    assert.ok(calls.every(({ parentSpanId }) => parentSpanId === server?.spanId))
    assert.equal(server?.attributes['gateway.outcome'], 'ok')
  })

  it('sends a separate trace context with each attempt', () => {
    const sent = [bad, good].map(({ requests }) => String(requests[0]?.headers['traceparent']).split('-'))
    assert.equal(sent[0]?.[1], sent[1]?.[1], 'one trace')
    assert.notEqual(sent[0]?.[2], sent[1]?.[2], 'two spans')
  })

  it('is counted', async () => {
    const labels = { gateway_upstream_retry_reason: 'upstream_5xx', gateway_upstream_retry_result: 'sent' }
    assert.equal(sampleValue(await scrape(gateway.opsUrl), 'gateway_upstream_retries_total', labels), 1)
  })
})

for (const instrumentation of ['own', 'stock']) {
  describe(`calls of several clients that time out together (${instrumentation} instrumentation)`, () => {
    const CLIENTS = ['a', 'b', 'c', 'd', 'e', 'f']
    let upstream: RunningUpstream
    let gateway: RunningGateway

    before(async () => {
      const asked = new Set<string | undefined>()
      upstream = await startUpstream(({ url }, response) => {
        if (asked.has(url)) response.end()
        asked.add(url)
      })
      const retries = { attempts: 2, conditions: ['response_timeout'] }
      const app = { targets: [upstream.url], timeouts: { response: '200ms' }, retries }
      const route = { name: 'app', match: { path: '/app' }, upstream: 'app' }
      gateway = await startGateway({
        config: JSON.stringify({ upstreams: { app }, routes: [route] }),
        env: { TELEMETRY_HTTP_INSTRUMENTATION: instrumentation },
      })
    })
    after(async () => {
      await gateway.stop()
      await upstream.stop()
    })

    it('are each retried in the trace and with the baggage of their own client', async () => {
      const answers = CLIENTS.map(async client => {
        const headers = { traceparent: `00-${client.repeat(32)}-${client.repeat(16)}-01`, baggage: `client=${client}` }
        return send(gateway.port, { path: `/app/${client}`, headers })
      })
      for (const { status } of await Promise.all(answers)) assert.equal(status, 200)
      const seen = upstream.requests.map(({ url, headers }) => [
        url,
        String(headers['traceparent']).split('-')[1],
        headers['baggage'],
      ])
      const expected = CLIENTS.map(client => [`/app/${client}`, client.repeat(32), `client=${client}`])
      assert.deepEqual(seen.map(String).sort(), [...expected, ...expected].map(String).sort())
    })
  })
}
