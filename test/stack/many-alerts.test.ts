import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis } from '../support/start-redis'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

const ROUTES = 100
const FAILED = 12
const NAMES = ['First', 'Second', 'Third']

describe('three hundred alerts at once', function () {
  this.timeout(110_000)
  let gateway: RunningGateway

  const alerting = withAlerting(async () => {
    const redis = await startRedis()
    gateway = await startGateway({ config: await configuration(), env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: 1, incidents: {} }
  })

  it('get all of their evidence within seconds, and are delivered with it', async () => {
    for (let i = 0; i < ROUTES * FAILED; i++) await (await fetch(`${gateway.url}/r${i % ROUTES}`)).arrayBuffer()
    await until(() => scraped(), { what: 'the failures are scraped', timeoutMs: 60_000, intervalMs: 200 })
    const startsAt = new Date().toISOString()
    const alerts = NAMES.flatMap(name => Array.from({ length: ROUTES }, (_, route) => alertOf(name, route, startsAt)))
    const posted = performance.now()
    await post(alerts)
    const answeredMs = performance.now() - posted
    assert.ok(answeredMs < 2_000, `answered after ${answeredMs} ms`)
    const told = await until(() => toldWithEvidence(), { what: 'all are told', timeoutMs: 60_000, intervalMs: 50 })
    const texts = told.map(({ annotations }) => annotations['evidence'] ?? '')
    assert.deepEqual(
      texts.filter(text => text.includes('Not found out')),
      [],
    )
    for (const text of texts) assert.match(text, new RegExp(`${FAILED} of ${FAILED}: .*refused the connection`))
  })

  it('are accepted at once, even six batches of sixty large ones', async () => {
    const startsAt = new Date().toISOString()
    const posted = performance.now()
    for (let round = 0; round < 6; round++) {
      const large = Array.from({ length: 60 }, (_, route) => alertOf(`Large${round}`, route, startsAt, 53_000))
      await post(large)
    }
    const ms = performance.now() - posted
    assert.ok(ms < 5_000, `answered after ${ms} ms`)
  })

  async function post(alerts: readonly object[]): Promise<void> {
    const response = await fetch(`${alerting.incidentsUrl}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(alerts),
    })
    assert.equal(response.status, 200)
  }

  async function scraped(): Promise<boolean> {
    const query = 'sum(gateway_requests_total{gateway_outcome="fault"})'
    const response = await fetch(`${alerting.prometheusUrl}/api/v1/query?query=${encodeURIComponent(query)}`)
    const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } }
    return Number(data.result[0]?.value[1]) === ROUTES * FAILED
  }

  async function toldWithEvidence(): Promise<readonly Told[] | undefined> {
    const response = await fetch(`${alerting.alertmanagerUrl}/api/v2/alerts?filter=planted=yes`)
    const told = (await response.json()) as Told[]
    const withEvidence = told.filter(({ annotations }) => annotations['evidence'] !== undefined)
    return withEvidence.length === NAMES.length * ROUTES ? withEvidence : undefined
  }
})

interface Told {
  readonly annotations: Readonly<Record<string, string>>
}

function alertOf(name: string, route: number, startsAt: string, characters = 0): object {
  const http_route = `/r${route}`
  return {
    labels: {
      alertname: name,
      component: 'gateway',
      family: 'faults',
      job: 'myesi-api',
      planted: characters === 0 ? 'yes' : 'large',
      http_route,
      gateway_upstream_name: 'gone',
    },
    annotations: {
      summary: 'x'.repeat(characters),
      exemplar_query: `http_server_request_duration_seconds_bucket{http_route="${http_route}",error_type!=""}`,
    },
    startsAt,
    endsAt: new Date(Date.now() + 300_000).toISOString(),
  }
}

async function configuration(): Promise<string> {
  const routes = Array.from(
    { length: ROUTES },
    (_, route) => `  - { name: r${route}, match: { path: /r${route} }, upstream: gone }`,
  )
  return `
upstreams:
  gone: { targets: ['http://127.0.0.1:${await freePort()}'] }
routes:
${routes.join('\n')}
`
}
