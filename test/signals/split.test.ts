import assert from 'node:assert/strict'
import { parseExposition, sampleValue } from '../support/exposition'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

interface Traffic {
  readonly requests: number
  readonly faults: number
  readonly p95Ms: number | null
}
interface StatusJson {
  readonly concerns: readonly { readonly text: string }[]
  readonly traffic: {
    readonly routes: readonly (Traffic & { readonly variants: readonly (Traffic & { variant: string })[] })[]
  }
  readonly upstreams: readonly { readonly name: string; readonly targets: readonly { readonly calls: Traffic }[] }[]
}

describe('the variants of a split', () => {
  const TESTER = { 'x-canary': 'always' }
  let stable: RunningUpstream
  let canary: RunningUpstream
  let gateway: RunningGateway

  before(async () => {
    stable = await startUpstream((_request, response) => response.end('stable'))
    canary = await startUpstream((request, response) =>
      response.writeHead(request.url === '/shop/bad' ? 500 : 200).end('canary'),
    )
    const file = {
      upstreams: { web: { targets: [stable.url] }, 'web-next': { targets: [canary.url] } },
      routes: [
        {
          name: 'shop',
          match: { path: '/shop' },
          split: {
            variants: [
              { name: 'stable', upstream: 'web', weight: 95 },
              { name: 'canary', upstream: 'web-next', weight: 0, match: { headers: TESTER } },
            ],
          },
        },
      ],
    }
    gateway = await startGateway({ config: JSON.stringify(file) })
    for (let i = 0; i < 5; i++) await send(gateway.port, '/shop')
    await send(gateway.port, { path: '/shop', headers: TESTER })
    await send(gateway.port, { path: '/shop/bad', headers: TESTER })
  })
  after(async () => {
    await gateway.stop()
    await stable.stop()
    await canary.stop()
  })

  async function page(path: string): Promise<string> {
    return (await fetch(`${gateway.opsUrl}${path}`, { headers: { accept: 'text/html' } })).text()
  }
  async function json<T>(path: string): Promise<T> {
    return (await fetch(`${gateway.opsUrl}${path}`)).json() as Promise<T>
  }

  it('are on the metrics of requests, from 0 on', async () => {
    const families = parseExposition(await (await fetch(`${gateway.opsUrl}/metrics`)).text(), 'text')
    const count = (labels: Record<string, string>): number | undefined =>
      sampleValue(families, 'gateway_requests_total', { http_route: '/shop', ...labels })
    const ofCanary = { gateway_variant: 'canary', gateway_upstream_name: 'web-next' }
    assert.equal(count({ gateway_variant: 'stable', gateway_upstream_name: 'web', gateway_outcome: 'ok' }), 5)
    assert.equal(count({ ...ofCanary, gateway_outcome: 'ok' }), 1)
    assert.equal(count({ ...ofCanary, gateway_outcome: 'fault', gateway_reason: 'upstream_5xx' }), 1)
    assert.equal(count({ ...ofCanary, gateway_outcome: 'fault', gateway_reason: 'connect_refused' }), 0)
    const durations = families.get('http_server_request_duration_seconds')
    assert.ok(durations?.samples.some(({ labels }) => labels['gateway_variant'] === 'canary'))
  })

  it('are on the spans', async () => {
    type Traces = { readonly traces: readonly { readonly traceId: string; readonly upstream: string }[] }
    const { traces } = await until(
      async () => {
        const found = await json<Traces>('/traces?outcome=fault')
        return found.traces.length > 0 && found
      },
      { what: 'the trace of the failure' },
    )
    assert.equal(traces[0]?.upstream, 'web-next')
    const trace = JSON.stringify(await json(`/traces/${traces[0]?.traceId}`))
    assert.match(trace, /"gateway\.variant","value":\{"stringValue":"canary"\}/)
  })

  it('are side by side on the status page, each with its faults and latency', async () => {
    const { concerns, traffic, upstreams } = await json<StatusJson>('/status')
    const [route] = traffic.routes
    assert.deepEqual(
      route?.variants.map(({ variant, requests, faults }) => [variant, requests, faults]),
      [
        ['stable', 5, 0],
        ['canary', 2, 1],
      ],
    )
    assert.ok(route.variants.every(({ p95Ms }) => p95Ms !== null))
    assert.equal(route.requests, 7)
    assert.deepEqual(
      upstreams.map(({ name, targets }) => [name, targets[0]?.calls.requests, targets[0]?.calls.faults]),
      [
        ['web', 5, 0],
        ['web-next', 2, 1],
      ],
    )
    assert.match(concerns[0]?.text ?? '', /^Route shop, variant canary: 1 of 2 requests failed/)
    const html = await page('/status')
    assert.match(html, /<tr class="variant">\s*<th scope="row" class="wide">canary<span[^>]*>testers only to web-next/)
  })

  it('are on the pages of routes and upstreams', async () => {
    type Routes = { readonly routes: readonly { readonly split: unknown; readonly upstream: unknown }[] }
    const { routes } = await json<Routes>('/routes')
    assert.deepEqual(routes[0]?.split, {
      stickyBy: 'cookie',
      variants: [
        { name: 'stable', upstream: 'web', targets: [stable.url], weight: 95, match: null },
        {
          name: 'canary',
          upstream: 'web-next',
          targets: [canary.url],
          weight: 0,
          match: { headers: ['x-canary'], cookies: [] },
        },
      ],
    })
    assert.match(await page('/routes'), /100 % <strong>stable<\/strong>[^]*testers only <strong>canary<\/strong>/)
    assert.match(await page('/upstreams'), /data-label="faults">\s*<span class="bad-text">50 %<\/span>/)
  })
})
