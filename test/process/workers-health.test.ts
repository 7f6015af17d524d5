import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { sampleValue } from '../support/exposition'
import { scrape } from '../support/ops-port'
import { send } from '../support/send'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { proxyTo } from '../support/start-pipeline'
import { startUpstream, type RunningUpstream } from '../support/start-upstream'
import { until } from '../support/until'

const INTERVAL_MS = 200

describe('what one of two workers finds out about a target', () => {
  let good: RunningUpstream
  let other: RunningUpstream
  let gateway: RunningGateway
  /** What the other target does. */
  let isFailing = false
  let isUnhealthy = false

  beforeEach(async () => {
    isFailing = false
    isUnhealthy = false
    good = await startUpstream()
    other = await startUpstream((request, response) => {
      response.statusCode = (request.url === '/health' ? isUnhealthy : isFailing) ? 500 : 200
      response.end()
    })
  })
  afterEach(async () => {
    await gateway.kill()
    await good.stop()
    await other.stop()
  })

  async function start(upstream: object): Promise<void> {
    const targets = [good.url, other.url]
    gateway = await startGateway({
      config: JSON.stringify(proxyTo(good.url, { upstream: { targets, ...upstream } })),
      env: { WORKERS: '2' },
    })
  }
  /** Requests that the other target gets of 12 on new connections, which go to both workers in turn. */
  const requestsOfOther = async (): Promise<number> => {
    const before = other.requests.filter(({ url }) => url === '/app').length
    for (let i = 0; i < 12; i++) await send(gateway.port, '/app')
    return other.requests.filter(({ url }) => url === '/app').length - before
  }
  const checks = (): number => other.requests.filter(({ url }) => url === '/health').length

  it('is known to both: an ejection', async () => {
    await start({ ejection: { failures: 3, for: '2s' } })
    assert.equal(await requestsOfOther(), 6)
    isFailing = true
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    await until(
      async () => {
        await send(gateway.port, { path: '/app', agent })
        return gateway.logs.some(({ circuit }) => circuit === 'open')
      },
      { what: 'the worker of this connection ejects the target' },
    )
    agent.destroy()
    assert.equal(await requestsOfOther(), 0)
    const families = await scrape(gateway.opsUrl)
    assert.equal(
      sampleValue(families, 'gateway_upstream_target_ejections_total', {
        server_port: String(other.port),
        gateway_upstream_cause: 'circuit',
      }),
      1,
    )
    const { upstreams } = (await (await fetch(`${gateway.opsUrl}/upstreams`)).json()) as {
      upstreams: { targets: { target: string; circuit: string; healthy: boolean }[] }[]
    }
    assert.deepEqual(
      upstreams[0]?.targets.map(({ circuit, healthy }) => [circuit, healthy]),
      [
        ['closed', true],
        ['open', false],
      ],
    )

    isFailing = false
    await until(async () => (await requestsOfOther()) === 6, { what: 'both use the target again' })
    // Both may have tested it in the same moment.
    await gateway.process.waitForLog('its reinstatement', ({ msg }) => msg === 'target reinstated')
    assert.equal(gateway.logs.filter(({ circuit }) => circuit === 'open').length, 1)
  })

  it('is known to both: the health checks of one, and after its end those of another', async () => {
    await start({
      healthCheck: { path: '/health', interval: `${INTERVAL_MS}ms`, unhealthyAfter: 2, healthyAfter: 1 },
    })
    await until(() => checks() > 0, { what: 'checks' })
    const [before, startedAt] = [checks(), performance.now()]
    await delay(10 * INTERVAL_MS)
    const expected = (performance.now() - startedAt) / INTERVAL_MS
    assert.ok(checks() - before <= 1.3 * expected, `${checks() - before} checks instead of ${expected}`)

    isUnhealthy = true
    await until(async () => (await requestsOfOther()) === 0, { what: 'no worker uses the unhealthy target' })
    const { workers } = (await (await fetch(`${gateway.opsUrl}/status`)).json()) as {
      workers: { running: { pid: number }[] }
    }
    process.kill(workers.running[0]!.pid, 'SIGKILL')
    await until(async () => (await scrape(gateway.opsUrl)).get('gateway_worker_listening')?.samples[0]?.value === 2, {
      what: 'another worker has started',
    })
    assert.equal(await requestsOfOther(), 0, 'also the new worker knows')
    isUnhealthy = false
    await until(async () => (await requestsOfOther()) === 6, { what: 'all use the target again' })
    assert.equal(gateway.logs.filter(({ msg }) => msg === 'target failed its health check').length, 1)
  })
})
