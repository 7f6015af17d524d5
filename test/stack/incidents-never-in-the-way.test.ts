import assert from 'node:assert/strict'
import { freePort } from '../support/free-port'
import { incidentsPlan } from '../../tools/stack/components'
import { startPlanned } from '../support/start-planned'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startRedis, type RunningRedis } from '../support/start-redis'
import { until } from '../support/until'
import { withAlerting } from '../support/with-alerting'

const FACTOR = 12.5

describe('a frozen or failing incident service', function () {
  this.timeout(110_000)
  let redis: RunningRedis
  let gateway: RunningGateway

  const alerting = withAlerting(async () => {
    redis = await startRedis()
    gateway = await startGateway({ config: CONFIGURATION, env: { REDIS_URL: redis.url } })
    return { gateways: [gateway], redis, factor: FACTOR, incidents: {} }
  })

  it('delays no alert message: only the evidence is missing', async () => {
    alerting.incidents?.signal('SIGSTOP')
    for (let i = 0; i < 40; i++) await (await fetch(`${gateway.url}/gone`)).arrayBuffer()
    const firing = await until(() => firingSince('GatewayHttp500Spike'), { what: 'the alert fires', timeoutMs: 60_000 })
    const page = await until(() => alerting.slack.messages.find(({ title }) => title.includes('GatewayHttp500Spike')), {
      what: 'the page',
      timeoutMs: 60_000,
      intervalMs: 20,
    })
    // The group wait of a message is 15 s; the second that the service may take is shortened like all durations.
    assert.ok(Date.now() - firing < (15_000 / FACTOR) * 2 + 2_000, `${Date.now() - firing} ms after it fired`)
    assert.match(page.text, /Reason:\* connect_refused/)
    assert.doesNotMatch(page.text, /Trace [0-9a-f]{32}/)
  })

  it('queries an unresponsive Prometheus only within its time budget, and reports what is missing', async () => {
    alerting.incidents?.signal('SIGCONT')
    const evidence = await evidenceWithout()
    assert.match(evidence, /Not found out: .*traces.*counts/)
  })

  it('accepts five hundred alerts at once and forwards all of them', async () => {
    const service = await startAnother(Number(new URL(alerting.prometheusUrl).port))
    const names = Array.from({ length: 500 }, (_, i) => `Flood${i}`)
    const response = await post(service, names.map(firingAlert))
    assert.equal(response.status, 200)
    const told = await until(() => toldOf('Flood'), { what: 'all are with Alertmanager', timeoutMs: 60_000 })
    assert.deepEqual(new Set(told.map(({ labels }) => labels['alertname'])), new Set(names))
    assert.ok(told.every(({ annotations }) => annotations['incident_url'] !== undefined))
  })

  /** The time at which Prometheus began to fire the alert, by its own clock. */
  async function firingSince(alertname: string): Promise<number | undefined> {
    const found = (await toldAlerts()).find(({ labels }) => labels['alertname'] === alertname)
    return found && Date.parse(found.startsAt)
  }

  /** All alerts that Alertmanager has. */
  async function toldAlerts(): Promise<ToldAlert[]> {
    const response = await fetch(`${alerting.alertmanagerUrl}/api/v2/alerts`)
    return (await response.json()) as ToldAlert[]
  }

  async function toldOf(prefix: string): Promise<ToldAlert[] | undefined> {
    const found = (await toldAlerts()).filter(({ labels }) => labels['alertname']?.startsWith(prefix) === true)
    return found.length === 500 ? found : undefined
  }

  /** The annotation that a service without Prometheus adds to an alert about requests. */
  async function evidenceWithout(): Promise<string> {
    const service = await startAnother(1)
    const startedAt = Date.now()
    const alert = firingAlert('Lonely')
    await post(service, [{ ...alert, labels: { ...alert.labels, component: 'gateway', family: 'faults' } }])
    const told = await until(
      async () =>
        (await toldAlerts()).find(
          ({ labels, annotations }) => labels['alertname'] === 'Lonely' && annotations['evidence'],
        ),
      { what: 'the evidence arrives', timeoutMs: 20_000 },
    )
    assert.ok(Date.now() - startedAt < 10_000)
    return told.annotations['evidence'] ?? ''
  }

  /** Another incident service, with a different Prometheus address. */
  async function startAnother(prometheusPort: number): Promise<string> {
    const port = await freePort()
    const ports = { prometheus: prometheusPort, alertmanager: Number(new URL(alerting.alertmanagerUrl).port) }
    await startPlanned(incidentsPlan(port, ports, { REDIS_URL: redis.url }))
    return `http://127.0.0.1:${port}`
  }
})

interface ToldAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: string
}

function post(service: string, alerts: readonly object[]): Promise<Response> {
  return fetch(`${service}/api/v2/alerts`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(alerts),
  })
}

function firingAlert(alertname: string): {
  labels: Record<string, string>
  annotations: object
  startsAt: string
  endsAt: string
} {
  return {
    labels: { alertname, severity: 'none' },
    annotations: { exemplar_query: 'http_server_request_duration_seconds_bucket' },
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 300_000).toISOString(),
  }
}

const CONFIGURATION = `
upstreams: { nobody: { targets: ['http://127.0.0.1:1'] } }
routes: [{ name: gone, match: { path: /gone }, upstream: nobody }]
`
