import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { sampleValue } from '../support/exposition'
import { listTraces, scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

interface ListedUpstream {
  readonly name: string
  readonly panicking: boolean
  readonly targets: readonly Record<string, unknown>[]
}

describe('target health', () => {
  let good: RunningUpstream
  let bad: RunningUpstream
  let other: RunningUpstream
  let gateway: RunningGateway
  let down: number

  before(async () => {
    good = await startUpstream()
    bad = await startUpstream((_request, response) => void response.writeHead(500).end())
    other = await startUpstream()
    down = await freePort()
    const upstreams = {
      checked: { targets: [good.url, bad.url], healthCheck: { path: '/healthz', interval: '50ms' } },
      named: { targets: [`http://localhost:${good.port}`] },
      spared: { targets: [`http://127.0.0.1:${await freePort()}`, other.url] },
      broken: { targets: [`http://127.0.0.1:${down}`], circuitBreaker: { failures: 2, openFor: '1h' } },
    }
    const routes = Object.keys(upstreams).map(name => ({ name, match: { path: `/${name}` }, upstream: name }))
    gateway = await startGateway({ config: JSON.stringify({ upstreams, routes }) })
    for (let i = 0; i < 3; i++) await send(gateway.port, '/broken')
    for (let i = 0; i < 3; i++) assert.equal((await send(gateway.port, '/spared')).status, 200)
  })
  after(async () => {
    await gateway.stop()
    await good.stop()
    await bad.stop()
    await other.stop()
  })

  it('is exposed on /metrics', async () => {
    const families = await until(
      async () => {
        const seen = await scrape(gateway.opsUrl)
        return sampleValue(seen, 'gateway_upstream_target_healthy', labelsOf(bad.port)) === 0 && seen
      },
      { what: 'the unwell target is left out' },
    )
    const value = (name: string, labels: Record<string, string>): number | undefined =>
      sampleValue(families, `gateway_upstream_${name}`, labels)
    assert.equal(value('target_healthy', labelsOf(good.port)), 1)
    assert.equal(value('target_healthy', labelsOf(down)), 0)
    assert.equal(value('target_active_requests', labelsOf(good.port)), 0)
    assert.equal(value('target_ejections_total', { ...labelsOf(bad.port), gateway_upstream_cause: 'health_check' }), 1)
    assert.equal(value('target_ejections_total', { ...labelsOf(bad.port), gateway_upstream_cause: 'circuit' }), 0)
    assert.equal(value('target_ejections_total', { ...labelsOf(down), gateway_upstream_cause: 'circuit' }), 1)
    assert.equal(value('panic', { gateway_upstream_name: 'checked' }), 0)
    assert.equal(value('panic', { gateway_upstream_name: 'broken' }), 0)
    const checks = (port: number, result: string): number | undefined =>
      value('health_checks_total', { ...labelsOf(port), gateway_upstream_health_check_result: result })
    assert.ok(checks(good.port, 'passed')! > 0)
    assert.ok(checks(bad.port, 'failed')! > 0)
    assert.equal(checks(good.port, 'failed'), undefined)
  })

  it('is exposed on /metrics with name look-ups and failed retries', async () => {
    const families = await scrape(gateway.opsUrl)
    const lookups = { server_address: 'localhost', gateway_upstream_name_lookup_result: 'resolved' }
    assert.ok(sampleValue(families, 'gateway_upstream_name_lookups_total', lookups)! > 0)
    const free = { gateway_upstream_name: 'spared', gateway_upstream_retry_reason: 'connect_refused' }
    const retries = (result: string): number | undefined =>
      sampleValue(families, 'gateway_upstream_retries_total', { ...free, gateway_upstream_retry_result: result })
    assert.deepEqual([retries('free'), retries('sent'), retries('over_budget')], [1, undefined, undefined])
  })

  it('is shown on /upstreams', async () => {
    const { upstreams } = (await (await fetch(`${gateway.opsUrl}/upstreams`)).json()) as { upstreams: ListedUpstream[] }
    const [checked, named, , broken] = upstreams
    const { addresses, lastFailure } = named!.targets[0]!['name'] as Record<string, unknown>
    assert.ok((addresses as string[]).includes('127.0.0.1'))
    assert.equal(lastFailure, null)
    assert.partialDeepStrictEqual(checked, {
      name: 'checked',
      panicking: false,
      targets: [
        { target: good.url, healthy: true, circuit: 'closed', healthCheck: { healthy: true, lastFailure: null } },
        { target: bad.url, healthy: false, healthCheck: { healthy: false, lastFailure: 'status 500' } },
      ],
    })
    assert.partialDeepStrictEqual(broken?.targets[0], { healthy: false, circuit: 'open', activeCalls: 0 })
  })

  it('starts no traces for its checks', async () => {
    const traces = await listTraces(gateway.opsUrl)
    assert.ok(traces.length > 0)
    assert.deepEqual(
      traces.map(({ route }) => route).filter(route => route !== '/broken' && route !== '/spared'),
      [],
    )
    assert.ok([...good.requests, ...bad.requests].every(({ headers }) => headers['traceparent'] === undefined))
  })
})

function labelsOf(port: number): Record<string, string> {
  return { server_address: '127.0.0.1', server_port: String(port) }
}
