import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { prometheusPlan } from '../../tools/stack/components'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { openTrace } from '../support/ops-port'
import { sendMany } from '../support/send-many'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startProcess, type TestProcess } from '../support/start-process'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

interface ExemplarSeries {
  readonly seriesLabels: Readonly<Record<string, string>>
  readonly exemplars: readonly { readonly labels: Readonly<Record<string, string>>; readonly timestamp: number }[]
}

describe('exemplars in Prometheus', () => {
  before(needs('prometheus'))

  let gateway: RunningGateway
  let prometheus: TestProcess
  let prometheusUrl: string

  before(async function () {
    this.timeout(60_000)
    const nobody = await freePort()
    const config = JSON.stringify({
      upstreams: { gone: { targets: [`http://127.0.0.1:${nobody}`] } },
      routes: [
        { name: 'gone', match: { path: '/gone' }, upstream: 'gone' },
        { name: 'limited', match: { path: '/limited' }, upstream: 'gone', rateLimit: { limit: 1, window: '1m' } },
      ],
    })
    gateway = await startGateway({ config, env: { OTEL_TRACES_SAMPLER: 'always_off' } })
    const folder = temporaryFolder()
    const job = { job_name: 'myesi-api', static_configs: [{ targets: [`127.0.0.1:${gateway.opsPort}`] }] }
    writeFileSync(
      join(folder, 'prometheus.yml'),
      JSON.stringify({ global: { scrape_interval: '500ms', scrape_timeout: '500ms' }, scrape_configs: [job] }),
    )
    const plan = await prometheusPlan(await freePort(), folder, join(folder, 'data'))
    prometheus = startProcess({ name: plan.name, path: plan.path, args: plan.args })
    prometheusUrl = plan.address
    await until(() => plan.isReady(), { what: 'Prometheus is ready', timeoutMs: 30_000 })
  })

  after(async () => {
    await prometheus?.stop()
    await gateway?.stop()
  })

  async function query(selector: string): Promise<ExemplarSeries[]> {
    const span = { start: String(Date.now() / 1_000 - 300), end: String(Date.now() / 1_000 + 60) }
    const parameters = new URLSearchParams({ query: selector, ...span })
    const response = await fetch(`${prometheusUrl}/api/v1/query_exemplars?${parameters.toString()}`)
    return ((await response.json()) as { data: ExemplarSeries[] }).data
  }

  for (const [what, path, selector] of [
    ['of a fault counter', '/gone', 'gateway_requests_total{gateway_outcome="fault"}'],
    ['of a latency bucket', '/gone', 'http_server_request_duration_seconds_bucket{error_type="connect_refused"}'],
    ['of limited requests', '/limited', 'gateway_rate_limiting_requests_total{gateway_rate_limiting_result="limited"}'],
  ] as const) {
    it(`are returned for the selector ${what}, with the time of the request, and open at the gateway`, async () => {
      const sentAt = Date.now() / 1_000
      await sendMany(gateway.url, 5, () => ({ path }))
      const exemplars = await until(
        async () => {
          const series = await query(selector)
          return series.flatMap(found => found.exemplars).find(({ timestamp }) => timestamp >= sentAt - 1)
        },
        { what: `an exemplar for ${selector}` },
      )
      assert.ok(exemplars.timestamp <= Date.now() / 1_000)
      const spans = await openTrace(gateway.opsUrl, exemplars.labels['trace_id']!)
      assert.ok(spans?.some(({ spanId }) => spanId === exemplars.labels['span_id']))
    })
  }

  it('are part of a scrape that Prometheus accepts without warnings', async () => {
    const response = await fetch(`${prometheusUrl}/api/v1/targets`)
    const { data } = (await response.json()) as { data: { activeTargets: { health: string; lastError: string }[] } }
    assert.deepEqual(
      data.activeTargets.map(({ health, lastError }) => [health, lastError]),
      [['up', '']],
    )
    assert.deepEqual(
      prometheus.lines.filter(line => /level=(?:warn|error)/.test(line)),
      [],
    )
  })
})
