import assert from 'node:assert/strict'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { upstreamText } from '../../src/cli/wording'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway } from '../support/start-gateway'
import { slice, startApiServer } from '../support/start-api-server'
import { startNameServer } from '../support/start-name-server'
import { startUpstream } from '../support/start-upstream'
import { until } from '../support/until'

describe('discovered targets', () => {
  it('are known before the first request, on /metrics, /upstreams and /routes', async () => {
    const upstream = await startUpstream()
    const names = await startNameServer({ 'orders.test': { a: ['127.0.0.1'] } })
    const dns = `http://orders.test:${upstream.port}`
    const api = await startApiServer()
    api.set(slice('pods-1', ['127.0.0.1'], { ports: [{ name: 'http', port: upstream.port }] }))
    const config = JSON.stringify({
      upstreams: {
        orders: { targets: [{ dns }], discovery: { resolvers: [names.address], refresh: '50ms' } },
        pods: {
          targets: [{ kubernetes: 'pods', namespace: 'shop', port: 'http' }],
          discovery: { refresh: '50ms', kubernetes: { server: api.url } },
        },
        lost: { targets: [{ srv: '_x._tcp.lost.test' }], discovery: { resolvers: [names.address], refresh: '50ms' } },
      },
      routes: [
        { name: 'orders', match: { path: '/orders' }, upstream: 'orders' },
        { name: 'pods', match: { path: '/pods' }, upstream: 'pods' },
        { name: 'lost', match: { path: '/lost' }, upstream: 'lost' },
      ],
    })
    const gateway = await startGateway({ config })
    try {
      assert.equal((await send(gateway.port, '/orders')).status, 200)
      assert.equal((await send(gateway.port, '/pods')).status, 200)
      await api.goAway()
      names.records.delete('orders.test')
      const families = await until(
        async () => {
          const seen = await scrape(gateway.opsUrl)
          const isLost = (name: string): boolean =>
            sampleValue(seen, 'gateway_upstream_discovery_successful', labels(name)) === 0
          return isLost('orders') && isLost('pods') && seen
        },
        { what: 'the outages of the name and of the API server are on /metrics' },
      )
      const value = (name: string, more: Record<string, string>): number | undefined =>
        sampleValue(families, `gateway_upstream_${name}`, more)
      assert.equal(value('discovered_targets', labels('orders')), 1)
      assert.equal(value('discovered_targets', labels('lost')), 0)
      for (const [name, source] of [
        ['orders', 'dns'],
        ['pods', 'kubernetes'],
      ] as const) {
        const of = (result: string): Record<string, string> => ({
          ...labels(name),
          gateway_upstream_discovery_source: source,
          gateway_upstream_discovery_result: result,
        })
        assert.equal(value('discoveries_total', of('changed')), 1)
        assert.equal(value('discoveries_total', of('failed')), 1)
      }
      const target = { server_address: '127.0.0.1', server_port: String(upstream.port) }
      assert.equal(value('target_healthy', { ...labels('orders'), ...target }), 1)

      const { upstreams } = (await (await fetch(`${gateway.opsUrl}/upstreams`)).json()) as { upstreams: object[] }
      const [orders, pods] = upstreams as { sources: unknown; targets: { target: string }[] }[]
      const source = `all addresses of ${dns}`
      assert.deepEqual(orders?.sources, [{ source, targets: 1, lastFailure: 'ENOTFOUND' }])
      const pod = 'ready pods of service shop/pods, port http (http)'
      const lastFailure = 'the API server does not answer (ECONNREFUSED)'
      assert.deepEqual(pods?.sources, [{ source: pod, targets: 1, lastFailure }])
      const page = await fetch(`${gateway.opsUrl}/upstreams`, { headers: { accept: 'text/html' } })
      const text = await page.text()
      assert.ok(text.includes(source), text)
      assert.match(text, /not found now: ENOTFOUND; old ones kept/)
      assert.match(text, /<strong>lost<\/strong>/)
      const { routes } = (await (await fetch(`${gateway.opsUrl}/routes`)).json()) as { routes: { targets: string[] }[] }
      assert.deepEqual(
        routes.map(({ targets }) => targets),
        [[source], [pod], ['SRV records of _x._tcp.lost.test (http)']],
      )
    } finally {
      await gateway.stop()
    }
  })

  it('are in explain by their source', () => {
    const upstreams = { orders: { targets: [{ dns: 'http://orders.test' }], balance: 'least-requests' } }
    const routes = [{ name: 'orders', match: { path: '/orders' }, upstream: 'orders' }]
    const { config } = parseGatewayFile(JSON.stringify({ upstreams, routes }), 'gateway.yaml', {})
    const [upstream] = config?.upstreams ?? []
    assert.match(upstream ? upstreamText(upstream) : '', /^all addresses of http:\/\/orders.test by least-requests,/)
  })
})

function labels(name: string): Record<string, string> {
  return { gateway_upstream_name: name }
}
