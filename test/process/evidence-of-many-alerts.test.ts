import assert from 'node:assert/strict'
import { availableParallelism, loadavg } from 'node:os'
import { incidentsPlan } from '../../tools/stack/components'
import { freePort } from '../support/free-port'
import {
  REPLICAS,
  startFleetStandIn,
  upstreamOf,
  type Counts,
  type FleetStandIn,
} from '../support/start-fleet-stand-in'
import { startPlanned } from '../support/start-planned'
import type { TestProcess } from '../support/start-process'
import { bodyOf, startUpstream } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { howStretched } from '../support/how-stretched'
import { until } from '../support/until'

const ROUTES = 100
const ALERTS = 300
/** As many as Prometheus posts at once. */
const BATCH = 64

/** docs/incidents.md says these numbers. */
const OF_A_MOMENT = 8
const OF_A_ROUTE = 10
const MAX_TRACES = 10
const MAX_TRACES_IN_CROWD = 3
/** Alerts that wait above this number are a crowd, and as many are gathered at once. */
const CROWD = 20
const AT_ONCE = 8

/** How long answers are shared. A run that takes longer asks again. */
const SHARED_MS = 10_000

/** For each alert, from the arrival of the first. */
const WITHIN_MS = 5_000
/** A core of a machine for tests is slower than one that runs a service, and the stand-ins of ten gateways use it too. */
const SLOWER = 2

describe('the evidence for three hundred alerts at once, of a hundred routes and ten replicas', function () {
  this.timeout(60_000)
  const onsetMs = Date.now() - 120_000
  let fleet: FleetStandIn
  let service: TestProcess
  let url: string
  /** When each alert was first told with its evidence. */
  let toldAt: Map<string, { readonly ms: number; readonly evidence: string }>

  beforeEach(async () => {
    toldAt = new Map()
    fleet = await startFleetStandIn(onsetMs)
    const alertmanager = await startUpstream((request, response) => {
      bodyOf(request).then(
        body => {
          for (const { labels, annotations } of JSON.parse(body.toString()) as Posted[]) {
            const key = JSON.stringify(labels)
            const { evidence } = annotations
            if (evidence !== undefined && !toldAt.has(key)) toldAt.set(key, { ms: performance.now(), evidence })
          }
          response.end()
        },
        () => response.destroy(),
      )
    })
    const port = await freePort()
    const ports = { prometheus: fleet.prometheus.port, alertmanager: alertmanager.port }
    url = `http://127.0.0.1:${port}`
    service = await startPlanned(incidentsPlan(port, ports, { INCIDENTS_FOLDER: temporaryFolder() }))
  })
  afterEach(async () => {
    await service?.stop()
  })

  it('of a hundred causes is told within seconds, and costs as much as one alert of each', async () => {
    const alerts = Array.from({ length: ALERTS }, (_, index) => alertOf(`A${index % 3}`, `/r${Math.floor(index / 3)}`))
    const { moments, prometheus, ops, shares } = await measure(alerts)
    // A route whose alerts arrive in two seconds is looked at in both.
    const looks = ROUTES + moments - 1
    assert.ok(
      prometheus >= OF_A_ROUTE * ROUTES,
      `${prometheus} queries: the stand-in answers less than Prometheus would`,
    )
    assert.ok(
      prometheus <= OF_A_MOMENT * moments * shares + OF_A_ROUTE * looks,
      `${prometheus} queries in ${moments} moments`,
    )
    assert.ok((ops['samples'] ?? 0) <= REPLICAS * looks, `${ops['samples']} reads of samples`)
    assert.ok((ops['reloads'] ?? 0) <= REPLICAS * shares, `${ops['reloads']} reads of reloads, which all alerts share`)
    const few = AT_ONCE + CROWD
    const traces = looks * (MAX_TRACES_IN_CROWD + 1) + few * (MAX_TRACES - MAX_TRACES_IN_CROWD)
    assert.ok((ops['trace'] ?? 0) <= traces, `${ops['trace']} traces, one of them good for each route`)
    assert.ok((ops['traces'] ?? 0) <= looks, `${ops['traces']} lists of good traces`)
  })

  it('of one cause is told within seconds, and costs as much as one alert', async () => {
    const { moments, prometheus, ops, shares } = await measure(
      Array.from({ length: ALERTS }, (_, index) => alertOf(`A${index}`, '/r0')),
    )
    assert.ok(
      prometheus <= (OF_A_MOMENT + OF_A_ROUTE) * moments * shares,
      `${prometheus} queries in ${moments} moments`,
    )
    assert.ok((ops['samples'] ?? 0) <= REPLICAS * moments, `${ops['samples']} reads of samples`)
    assert.ok((ops['reloads'] ?? 0) <= REPLICAS * shares, `${ops['reloads']} reads of reloads`)
    assert.ok((ops['trace'] ?? 0) <= (MAX_TRACES + 1) * moments, `${ops['trace']} traces`)
  })

  /** Posts alerts as Prometheus does, and waits until Alertmanager has the evidence of each. */
  async function measure(alerts: readonly Posted[]): Promise<Counts & { readonly shares: number }> {
    const before = howStretched()
    const startedAt = performance.now()
    for (let from = 0; from < alerts.length; from += BATCH) {
      const response = await fetch(`${url}/api/v2/alerts`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(alerts.slice(from, from + BATCH)),
      })
      assert.equal(response.status, 200)
    }
    await until(() => toldAt.size === alerts.length, { what: 'all are told', timeoutMs: 50_000 })
    const stretched = Math.max(before, howStretched())
    const told = [...toldAt.values()]
    for (const { evidence } of told) {
      assert.match(evidence, /^600 of 600: upstream\d → 10\.0\.0\.7 failed/)
      assert.match(evidence, /All failing requests went to 10\.0\.0\.7:9001/)
      assert.match(evidence, /Trace [0-9a-f]{32}: GET \/orders\/17 502 in 20 ms\n/)
      assert.doesNotMatch(evidence, /Not found out|not verified/)
    }
    const times = told.map(({ ms }) => ms - startedAt).toSorted((a, b) => a - b)
    const after = (share: number): string =>
      `${((times[Math.ceil(share * times.length) - 1] ?? 0) / 1_000).toFixed(1)} s`
    const counts = fleet.takeCounts()
    console.log(
      `      evidence of 1 after ${after(0.001)}, of half after ${after(0.5)}, of 90 % after ${after(0.9)}, of all after ${after(1)};`,
      `load ${loadavg()[0]?.toFixed(1)} on ${availableParallelism()} cores, stretched ${stretched.toFixed(1)} times;`,
      `${counts.prometheus} queries, at most ${counts.most} requests to one gateway`,
    )
    const boundMs = WITHIN_MS * SLOWER * stretched
    assert.ok((times.at(-1) ?? 0) < boundMs, `the last after ${times.at(-1)} ms, ${boundMs} ms are allowed`)
    return { ...counts, shares: 1 + Math.floor((times.at(-1) ?? 0) / SHARED_MS) }
  }

  function alertOf(alertname: string, route: string): Posted {
    return {
      labels: {
        alertname,
        severity: 'critical',
        component: 'gateway',
        family: 'faults',
        job: 'myesi-api',
        http_route: route,
        gateway_upstream_name: upstreamOf(route),
      },
      annotations: { exemplar_query: `http_server_request_duration_seconds_bucket{http_route="${route}"}` },
      startsAt: new Date(onsetMs + 60_000).toISOString(),
      endsAt: new Date(Date.now() + 300_000).toISOString(),
    }
  }
})

interface Posted {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: string
  readonly endsAt: string
}
