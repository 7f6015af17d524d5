import assert from 'node:assert/strict'
import { incidentsPlan } from '../../tools/stack/components'
import { freePort } from '../support/free-port'
import { startPrometheusStandIn, type PrometheusStandIn } from '../support/prometheus-stand-in'
import { startPlanned } from '../support/start-planned'
import type { TestProcess } from '../support/start-process'
import { bodyOf, startUpstream, type RunningUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

describe('a restarted incident service', function () {
  this.timeout(60_000)
  const startsAt = new Date(Date.now() - 60_000).toISOString()
  let alertmanager: RunningUpstream
  let prometheus: PrometheusStandIn
  let service: TestProcess
  let url: string
  let told: Told[]
  let start: () => Promise<TestProcess>

  beforeEach(async () => {
    told = []
    alertmanager = await startUpstream((request, response) => {
      void bodyOf(request).then(body => {
        told.push(...(JSON.parse(body.toString()) as Told[]))
        response.end()
      })
    })
    const replica = await startUpstream((_request, response) => response.end(JSON.stringify(TRACE)))
    prometheus = await startPrometheusStandIn(Date.parse(startsAt), replica.url)
    const port = await freePort()
    const ports = { prometheus: Number(new URL(prometheus.url).port), alertmanager: alertmanager.port }
    const plan = incidentsPlan(port, ports, { INCIDENTS_FOLDER: temporaryFolder() })
    url = `http://127.0.0.1:${port}`
    start = () => startPlanned(plan)

    service = await start()
    await post(new Date(Date.now() + 240_000))
    await until(() => told.length > 0, { what: 'the evidence' })
    await service.stop()
    // After the restart, the evidence exists only in the record.
    prometheus.mode = 'knows nothing'
    await replica.stop()
    service = await start()
  })
  afterEach(async () => {
    await service?.stop()
    await prometheus?.stop()
  })

  it('sends the evidence of the record and keeps it', async () => {
    await post(new Date(Date.now() + 240_000))
    await until(() => told.length > 1, { what: 'the alert is told again' })
    assert.match(told[0]?.annotations['evidence'] ?? '', /Trace [0-9a-f]{32}: GET \/orders\/17 502/)
    assert.deepEqual(told[1]?.annotations, told[0]?.annotations)
    const incident = await onlyIncident()
    assert.ok((incident.alerts[0]?.evidence?.traces[0]?.spans.length ?? 0) > 0)
  })

  it('closes the incident when the alert ends, and sends that with the evidence', async () => {
    const endsAt = new Date()
    await post(endsAt)
    await until(() => told.length > 1, { what: 'the end is told' })
    assert.deepEqual(told[1]?.annotations, told[0]?.annotations)
    assert.equal((await onlyIncident()).closedAtMs, endsAt.getTime())
  })

  async function post(endsAt: Date): Promise<void> {
    const labels = { alertname: 'A', component: 'gateway', family: 'faults', http_route: '/orders' }
    const annotations = { exemplar_query: 'http_server_request_duration_seconds_bucket' }
    const response = await fetch(`${url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations, startsAt, endsAt: endsAt.toISOString() }]),
    })
    assert.equal(response.status, 200)
  }

  async function onlyIncident(): Promise<FoundIncident> {
    const headers = { accept: 'application/json' }
    const list = (await (await fetch(`${url}/incidents`, { headers })).json()) as { incidents: { id: string }[] }
    assert.equal(list.incidents.length, 1)
    const response = await fetch(`${url}/incidents/${list.incidents[0]?.id}`, { headers })
    return (await response.json()) as FoundIncident
  }
})

interface Told {
  readonly annotations: Readonly<Record<string, string>>
}

interface FoundIncident {
  readonly closedAtMs?: number
  readonly alerts: readonly {
    readonly evidence?: { readonly traces: readonly { readonly spans: readonly object[] }[] }
  }[]
}

/** The trace that a replica keeps of a failed request. */
const TRACE = {
  resourceSpans: [
    {
      scopeSpans: [
        {
          spans: [
            {
              spanId: '00f067aa0ba902b7',
              name: 'GET /orders',
              kind: 2,
              attributes: Object.entries({
                'gateway.outcome': 'fault',
                'http.request.method': 'GET',
                'url.path': '/orders/17',
                'http.response.status_code': '502',
              }).map(([key, stringValue]) => ({ key, value: { stringValue } })),
            },
          ],
        },
      ],
    },
  ],
}
