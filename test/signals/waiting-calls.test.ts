import assert from 'node:assert/strict'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const TAKES_MS = 300

describe('a call that waits for a free connection', () => {
  let upstream: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    upstream = await startUpstream((_request, response) => void setTimeout(() => response.end('ok'), TAKES_MS))
    const timeouts = { connect: '100ms', response: `${3 * TAKES_MS}ms` }
    const app = { targets: [upstream.url], maxConnections: 1, timeouts }
    const route = { name: 'app', match: { path: '/app' }, upstream: 'app' }
    gateway = await startGateway({ config: JSON.stringify({ upstreams: { app }, routes: [route] }) })
  })
  after(async () => {
    await gateway.stop()
    await upstream.stop()
  })

  it('is not recorded as a slow upstream, and not as a call at all when it times out', async () => {
    const started = performance.now()
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(gateway.port, '/app')))
    const elapsed = (performance.now() - started) / 1_000
    const served = answers.filter(({ status }) => status === 200).length
    const refused = answers.filter(({ status }) => status === 503).length
    assert.ok(served >= 2 && refused >= 1 && served + refused === 6, `${served} served, ${refused} refused`)
    const families = await until(
      async () => {
        const families = await scrape(gateway.opsUrl)
        const overloaded = { gateway_outcome: 'refusal', gateway_reason: 'overloaded' }
        return sampleValue(families, 'gateway_requests_total', overloaded) === refused && families
      },
      { what: 'all are counted' },
    )
    const all = { gateway_upstream_name: 'app' }
    const duration = 'http_client_request_duration_seconds'
    assert.equal(sampleValue(families, `${duration}_count`, all), served)
    const seconds = sampleValue(families, `${duration}_sum`, all) ?? 0
    // The calls run one after the other on one connection; with their waiting times the sum would be half as much again.
    assert.ok(seconds > (0.9 * served * TAKES_MS) / 1_000, `${seconds} s for ${served} calls`)
    assert.ok(seconds <= elapsed, `${seconds} s in ${elapsed} s`)
  })
})
