import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { incidentsPlan, prometheusPlan } from '../../tools/stack/components'
import { processesAlive } from '../../tools/stack/managed-process'
import { fleetAnswer } from '../../src/incidents/fleet/fleet-json'
import { freePort } from '../support/free-port'
import { needs } from '../support/needs'
import { startGateway, type RunningGateway } from '../support/start-gateway'
import { startPlanned } from '../support/start-planned'
import type { TestProcess } from '../support/start-process'
import { startUpstream, stopUpstreams } from '../support/start-upstream'
import { temporaryFolder } from '../support/temporary-folder'
import { until } from '../support/until'

type Answer = ReturnType<typeof fleetAnswer.parse>

/** The longest that a page may take: 2 s for Prometheus, 2 s for the ops ports, and a busy machine. */
const LONGEST_MS = 6_000

describe('the fleet page of three gateways, with real programs', function () {
  this.timeout(60_000)
  let gateways: RunningGateway[]
  let prometheus: TestProcess
  let url: string

  before(needs('prometheus'))

  before(async () => {
    const [prometheusPort, incidentsPort] = await Promise.all([freePort(), freePort()])
    url = `http://127.0.0.1:${incidentsPort}`
    const upstream = await startUpstream((request, response) => {
      response.writeHead(request.url === '/orders/bad' ? 500 : 200).end()
    })
    const dead = `http://127.0.0.1:${await freePort()}`
    const start = async (limit: number): Promise<RunningGateway> =>
      startGateway({ config: configuration(upstream.url, dead, limit), env: { INCIDENT_PUBLIC_URL: url } })
    gateways = await Promise.all([start(5), start(5), start(50)])
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'prometheus.yml'), scraping(gateways))
    prometheus = await startPlanned(await prometheusPlan(prometheusPort, folder, temporaryFolder()))
    const settings = { INCIDENTS_FOLDER: temporaryFolder(), INCIDENT_PUBLIC_URL: url }
    await startPlanned(incidentsPlan(incidentsPort, { prometheus: prometheusPort, alertmanager: 1 }, settings))
    await until(async () => (await fleet()).replicas.filter(({ state }) => state === 'ok').length === 3, {
      what: 'all three are known and well',
      timeoutMs: 20_000,
      intervalMs: 200,
    })
  })

  after(async () => {
    await Promise.all(processesAlive().map(async child => child.kill()))
    await stopUpstreams()
  })

  it('marks the gateway with another file, in words and in its row', async () => {
    const { concerns, replicas, configurations, versions } = await fleet()
    const [, , odd] = gateways.map(nameOf)
    const texts = concerns.map(({ text }) => text)
    assert.match(
      texts.join('\n'),
      new RegExp(`2 configurations are active: \\w{8} on .* and .*, \\w{8} on ${odd} since`),
    )
    assert.deepEqual(
      configurations.map(({ instances }) => instances.length),
      [2, 1],
    )
    assert.equal(versions.length, 1)
    assert.deepEqual(
      replicas.filter(({ differs }) => differs.configuration).map(({ instance }) => instance),
      [odd],
    )
  })

  it('shows load, faults, who is limited and which target is ejected, of all gateways', async () => {
    for (const { url: gateway } of gateways.slice(0, 2)) {
      for (let index = 0; index < 12; index++) await ask(`${gateway}/orders/${index % 4 === 0 ? 'bad' : 'fine'}`)
      for (let index = 0; index < 12; index++) await ask(`${gateway}/payments`)
    }
    const state = await until(
      async () => {
        const found = await fleet()
        const busy = found.replicas.filter(({ load }) => (load.faultShare ?? 0) > 0 && load.cpu !== undefined)
        return found.ejected.length > 0 && found.limited.length > 0 && busy.length === 2 ? found : undefined
      },
      { what: 'the load of two gateways, an ejected target and a limited client', timeoutMs: 20_000, intervalMs: 200 },
    )
    assert.equal(state.ejected[0]?.upstream, 'payments')
    assert.equal(state.ejected[0]?.instances.length, 2, 'the third had no request for it')
    assert.equal(state.limited[0]?.policy, 'burst')
    assert.equal(state.limited[0]?.instances.length, 2)
    assert.match(
      state.concerns[0]?.text ?? '',
      /^More than 1 % of the requests of the last 5 minutes failed on 2 of 3 replicas/,
    )
  })

  it('is a page for people, and every status page links to it', async () => {
    const response = await fetch(`${url}/fleet`, { headers: { accept: 'text/html' } })
    const page = await response.text()
    assert.equal(response.status, 200)
    for (const gateway of gateways) assert.ok(page.includes(`href="${gateway.opsUrl}/status"`), gateway.opsUrl)
    assert.match(page, /<strong>differs<\/strong>/)
    const list = await fetch(`${url}/incidents`, { headers: { accept: 'text/html' } })
    assert.match(await list.text(), /<a href="fleet">Fleet<\/a>/)
    const status = await fetch(`${gateways[0]?.opsUrl}/status`, { headers: { accept: 'text/html' } })
    assert.ok((await status.text()).includes(`<a href="${url}/fleet">`))
  })

  it('shows a frozen gateway with what Prometheus knows, in the stated time', async () => {
    const [, frozen] = gateways
    assert.ok(frozen)
    frozen.process.signal('SIGSTOP')
    try {
      await until(
        async () => {
          const { state, load } = stateOf(await fleet(), frozen) ?? {}
          return state === 'unreachable' && load?.requestsPerSecond !== undefined
        },
        { what: 'it is unreachable, with its last load', timeoutMs: 20_000 },
      )
      const startedAt = performance.now()
      const replica = stateOf(await fleet(), frozen)
      assert.ok(performance.now() - startedAt < LONGEST_MS)
      assert.equal(replica?.problem, 'no answer in time')
      assert.equal(replica.version, stateOf(await fleet(), gateways[2])?.version)
    } finally {
      frozen.process.signal('SIGCONT')
    }
    await until(async () => stateOf(await fleet(), frozen)?.summary !== undefined, { what: 'it answers again' })
  })

  it('says since when a killed gateway is away and why, and what it ran', async () => {
    const [killed] = gateways
    assert.ok(killed)
    const before = stateOf(await fleet(), killed)
    const killedAtMs = Date.now()
    await killed.kill()
    const state = await until(
      async () => {
        const found = await fleet()
        return stateOf(found, killed)?.scrape === 'down' ? found : undefined
      },
      { what: 'Prometheus misses it', timeoutMs: 15_000, intervalMs: 200 },
    )
    const replica = stateOf(state, killed)
    assert.equal(replica?.state, 'unreachable')
    assert.equal(state.replicas[0]?.instance, replica.instance, 'it comes first')
    assert.equal(replica.problem, 'connection refused')
    assert.match(replica.scrapeError ?? '', /connection refused/)
    assert.equal(replica.version, before?.version)
    assert.equal(replica.sha256, before?.sha256)
    assert.ok(Math.abs((replica.lastSeenMs ?? 0) - killedAtMs) < 8_000, 'since the last scrape, to 5 s')
    assert.match(
      state.concerns[0]?.text ?? '',
      /is unreachable since .*\d\d:\d\d:\d\d UTC \(\d+ s\): connection refused/,
    )
  })

  it('still asks the gateways while Prometheus is away', async () => {
    await prometheus.kill()
    const state = await until(
      async () => {
        const found = await fleet()
        return found.prometheusProblem === undefined ? undefined : found
      },
      { what: 'Prometheus is missed', intervalMs: 200 },
    )
    assert.equal(state.prometheusProblem, 'connection refused')
    assert.equal(stateOf(state, gateways[2])?.state, 'ok')
  })

  async function fleet(): Promise<Answer> {
    const response = await fetch(`${url}/fleet`)
    return fleetAnswer.parse(await response.json())
  }
})

function nameOf({ opsPort }: RunningGateway): string {
  return `127.0.0.1:${opsPort}`
}

function stateOf({ replicas }: Answer, gateway: RunningGateway | undefined): Answer['replicas'][number] | undefined {
  return replicas.find(({ instance }) => gateway !== undefined && instance === nameOf(gateway))
}

async function ask(url: string): Promise<void> {
  await (await fetch(url)).arrayBuffer()
}

function configuration(orders: string, payments: string, limit: number): string {
  return JSON.stringify({
    upstreams: {
      orders: { targets: [orders] },
      payments: { targets: [payments, orders] },
    },
    routes: [
      {
        name: 'orders',
        match: { path: '/orders' },
        upstream: 'orders',
        rateLimit: { name: 'burst', limit, window: '1m' },
      },
      { name: 'payments', match: { path: '/payments' }, upstream: 'payments' },
    ],
  })
}

function scraping(gateways: readonly RunningGateway[]): string {
  const targets = gateways.map(nameOf).map(name => `'${name}'`)
  return `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: myesi-api
    static_configs: [{ targets: [${targets.join(', ')}] }]
`
}
