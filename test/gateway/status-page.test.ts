import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createOpsAccess } from '../../src/operations/ops-access'
import { createOpsServer, type OpsServerOptions } from '../../src/operations/ops-server'
import type { ConfigurationState, RedisState } from '../../src/operations/status/status'
import { configOf, QUIET_CONFIG, quietSources, recorderWithClock } from '../support/ops-sources'

const HOSTILE = `"><script>window.taken = 1</script><img src=x onerror='alert(2)'>\u202e`
const ESCAPED = '&#34;&#62;&#60;script&#62;'
const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' }

interface StatusJson {
  readonly status: string
  readonly concerns: readonly { readonly text: string; readonly path: string }[]
  readonly inFlight: number
  readonly traffic: {
    readonly slotMs: number
    readonly all: TrafficJson
    readonly routes: readonly TrafficJson[]
    readonly routesLeftOut: number
  }
  readonly redis?: object
  readonly limited: readonly object[]
  readonly replica: Readonly<Record<string, unknown>>
  readonly configuration: Readonly<Record<string, unknown>>
}

interface TrafficJson {
  readonly route?: string | null
  readonly path?: string | null
  readonly requests: number
  readonly faults: number
  readonly perSecond: number
  readonly p95Ms: number | null
  readonly slots: readonly { readonly requests: number }[]
  readonly burns?: readonly {
    readonly slo: string
    readonly target: number
    readonly windowDays: number
    readonly burnRate: number | null
  }[]
}

describe('the status page', () => {
  let server: Server | undefined

  afterEach(async () => {
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })

  async function start(sources: Partial<OpsServerOptions> = {}): Promise<string> {
    server = createOpsServer({
      ...quietSources(),
      access: createOpsAccess({ host: '127.0.0.1', token: undefined }),
      ...sources,
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  async function json(url: string): Promise<StatusJson> {
    const response = await fetch(`${url}/status`)
    assert.equal(response.headers.get('content-type'), 'application/json')
    return (await response.json()) as StatusJson
  }

  async function page(url: string, path = '/status'): Promise<string> {
    return (await fetch(url + path, { headers: BROWSER })).text()
  }

  it('reports no problems before the first request', async () => {
    const url = await start()
    const status = await json(url)
    assert.deepEqual([status.status, status.concerns, status.inFlight], ['ok', [], 0])
    assert.deepEqual(
      status.traffic.routes.map(({ route, path, requests }) => [route, path, requests]),
      [
        ['orders', '/api/orders', 0],
        ['search', '/search/:index', 0],
      ],
    )
    assert.match(await page(url), /No problems/)
  })

  it('shows the traffic of the last minutes by route, the failing route first', async () => {
    const { recent, clock } = recorderWithClock()
    recent.announce(QUIET_CONFIG.routes)
    const [orders, search] = QUIET_CONFIG.routes
    clock.now += 60_000
    const ended = { startedAt: clock.now - 20, stream: undefined }
    for (let i = 0; i < 90; i++) recent.note({ ...ended, route: orders, outcome: 'ok' })
    for (let i = 0; i < 30; i++) recent.note({ ...ended, route: search, outcome: i < 6 ? 'fault' : 'ok' })
    recent.note({ ...ended, route: undefined, outcome: 'refusal' })
    const url = await start({ recent, inFlight: () => 4 })
    const { status, concerns, inFlight, traffic } = await json(url)
    assert.deepEqual([status, inFlight, traffic.all.requests, traffic.all.faults], ['attention', 4, 121, 6])
    assert.deepEqual(
      traffic.routes.map(({ route, requests, faults }) => [route, requests, faults]),
      [
        ['search', 30, 6],
        ['orders', 90, 0],
        [null, 1, 0],
      ],
    )
    assert.equal(traffic.routes[1]?.perSecond, 1.5)
    assert.ok((traffic.all.p95Ms ?? NaN) > 15 && (traffic.all.p95Ms ?? NaN) < 26)
    assert.equal(traffic.all.slots.at(-1)?.requests, 121)
    assert.deepEqual(concerns, [
      {
        text: 'Route search: 6 of 30 requests failed in the last 5 minutes',
        path: '/traces?outcome=fault&route=%2Fsearch%2F%3Aindex',
      },
    ])
    const text = await page(url)
    assert.match(text, /One thing to look at/)
    assert.match(text, /20 %/)
    assert.equal(text.match(/<svg[^>]*class="spark"/g)?.length, 6, 'two small charts for each route that had requests')
  })

  it('shows how fast a route with objectives burns its budget, in these minutes and on this replica', async () => {
    const config = configOf({
      slo: { availability: 99, latency: { threshold: '100ms', target: 90 }, window: '7d' },
      upstreams: { orders: { targets: ['http://127.0.0.1:9001'] } },
      routes: [
        { name: 'orders', match: { path: '/api/orders' }, upstream: 'orders' },
        { name: 'idle', match: { path: '/idle' }, upstream: 'orders' },
        { name: 'free', match: { path: '/free' }, upstream: 'orders', slo: false },
      ],
    })
    const { recent, clock } = recorderWithClock()
    recent.announce(config.routes)
    const [orders] = config.routes
    clock.now += 60_000
    const ended = { route: orders, stream: undefined }
    for (let i = 0; i < 97; i++) recent.note({ ...ended, startedAt: clock.now - 20, outcome: 'ok' })
    for (let i = 0; i < 3; i++) recent.note({ ...ended, startedAt: clock.now - 500, outcome: 'fault' })
    // Neither refusals nor closed clients count.
    for (let i = 0; i < 50; i++) recent.note({ ...ended, startedAt: clock.now - 1, outcome: 'client_closed' })
    const quiet = quietSources().configuration()
    const url = await start({ recent, configuration: () => ({ ...quiet, config }) })
    const { traffic } = await json(url)
    const burns = (name: string) => traffic.routes.find(({ route }) => route === name)?.burns
    assert.deepEqual(
      burns('orders')?.map(({ slo, target, windowDays, burnRate }) => [slo, target, windowDays, burnRate?.toFixed(1)]),
      [
        ['availability', 99, 7, '3.0'],
        ['latency', 90, 7, '0.3'],
      ],
    )
    assert.deepEqual(
      burns('idle')?.map(({ burnRate }) => burnRate),
      [null, null],
    )
    assert.deepEqual(burns('free'), [])
    const text = (await page(url)).replaceAll(/<[^>]*>/g, '').replaceAll(/\s+/g, ' ')
    assert.match(text, /99 % over 7 d: burn 3/)
    assert.match(text, /90 % within 100 ms over 7 d: burn 0\.3/)
    assert.match(text, /99 % over 7 d: no requests/)
    assert.match(text, /on this replica alone/)
  })

  it('shows the curves of one route, and reports an unknown route', async () => {
    const url = await start()
    assert.match(await page(url, '/status?route=orders'), /Requests per second, route orders/)
    for (const path of ['/status?route=gone', '/status?colour=red', '/status?refresh=1']) {
      assert.equal((await fetch(url + path, { headers: BROWSER })).status, 400, path)
      assert.equal((await fetch(url + path)).status, 400, path)
    }
  })

  it('reloads itself, unless that is turned off', async () => {
    const url = await start()
    assert.match(await page(url), /<meta http-equiv="refresh" content="10" \/>/)
    assert.doesNotMatch(await page(url, '/status?refresh=off'), /http-equiv="refresh"/)
    assert.doesNotMatch(await page(url, '/routes'), /http-equiv="refresh"/)
  })

  it('names the upstreams with ejected targets', async () => {
    const connections = { open: 0, free: 0, waitingCalls: 0 }
    const target = { target: 'http://127.0.0.1:9001', healthy: true, activeCalls: 0, connections }
    const out = { ...target, target: 'http://127.0.0.1:9002', healthy: false, circuit: 'open' as const }
    const url = await start({
      upstreams: () => [
        { name: 'orders', panicking: false, targets: [target, out] },
        { name: 'search', panicking: true, targets: [out, out] },
      ],
    })
    const { concerns } = await json(url)
    assert.deepEqual(
      concerns.map(({ text }) => text),
      [
        'Upstream orders: 1 of 2 targets is ejected',
        'Upstream search: 2 of 2 targets are unhealthy, so all get requests',
      ],
    )
    assert.match(await page(url, '/upstreams'), /ejected/)
    assert.match(await page(url, '/upstreams'), /unhealthy, still gets requests/)
  })

  it('shows where limits are counted, and since when Redis is unavailable', async () => {
    let redis: RedisState | undefined = { address: '10.0.0.7:6379', isUsable: true, outage: undefined }
    const url = await start({ redis: () => redis })
    assert.match(await page(url), /10\.0\.0\.7:6379/)
    assert.equal((await json(url)).status, 'ok')
    const sinceMs = Date.now() - 90_000
    redis = { ...redis, isUsable: false, outage: { sinceMs, reason: 'ECONNREFUSED' } }
    const status = await json(url)
    assert.deepEqual(status.redis, {
      address: '10.0.0.7:6379',
      isUsable: false,
      outage: { since: new Date(sinceMs).toISOString(), reason: 'ECONNREFUSED' },
    })
    assert.match(status.concerns[0]?.text ?? '', /^Redis unavailable since \d\d:\d\d:\d\d UTC, for 1 min 30 s/)
    assert.match(await page(url), /ECONNREFUSED/)
    redis = undefined
    assert.match(await page(url), /limits are counted in the memory of this replica/)
  })

  it('shows how telemetry is exported, and updates when the export fails', async () => {
    const failed = {
      atMs: Date.now(),
      message: 'traces could not be sent by otlp to http://collector/v1/traces: it answered 401',
    }
    const pipeline = {
      signal: 'traces',
      exporter: 'otlp',
      receiver: 'http://collector/v1/traces',
      sent: 3,
      failed: { 401: 2 },
    }
    let lastSuccessMs = failed.atMs - 1_000
    const url = await start({ pipelines: () => [{ ...pipeline, lastSuccessMs, lastFailure: failed }] })
    const { status, concerns } = await json(url)
    assert.equal(status, 'attention')
    assert.deepEqual(concerns, [{ text: failed.message, path: '#telemetry' }])
    assert.match(await page(url), /3\s+batches\s+sent,\s+2\s+lost[^]*failing/)
    lastSuccessMs = failed.atMs + 1_000
    assert.deepEqual((await json(url)).concerns, [])
  })

  it('shows the active configuration, and the reason when a new one was refused', async () => {
    let state: ConfigurationState = quietSources().configuration()
    const url = await start({ configuration: () => state })
    const first = (await json(url)).configuration
    assert.deepEqual([first['file'], first['sha256'], first['routes']], ['gateway.yaml', QUIET_CONFIG.sha256, 2])
    const config = configOf({
      upstreams: { new: { targets: ['http://127.0.0.1:9009'] } },
      routes: [{ name: 'new', match: { path: '/new' }, upstream: 'new' }],
    })
    const atMs = Date.UTC(2026, 10, 23, 16, 0, 0)
    state = { ...state, config, sinceMs: atMs, lastReload: { atMs, isRefused: false, details: [] } }
    const routes = (await (await fetch(`${url}/routes`)).json()) as {
      sha256: string
      overload: unknown
      routes: { name: string }[]
    }
    assert.deepEqual(routes.overload, { maxRequests: 10_000, maxEventLoopDelayMs: 500 })
    assert.deepEqual([routes.sha256, routes.routes.map(({ name }) => name)], [config.sha256, ['new']])
    assert.deepEqual((await json(url)).configuration['since'], '2026-11-23T16:00:00.000Z')
    state = {
      ...state,
      lastReload: { atMs, isRefused: true, details: ['routes[2].upstream: unknown upstream "orders"'] },
    }
    const status = await json(url)
    assert.equal(status.status, 'attention')
    assert.match(status.concerns[0]?.text ?? '', /16:00:00 UTC was refused \(routes\[2\]\.upstream: unknown upstream/)
    assert.match(await page(url), /refused<\/span>[^]*unknown upstream/)
  })

  it('shows that no requests are accepted, and why', async () => {
    const url = await start({ notReady: () => 'draining' })
    assert.equal((await json(url)).status, 'not_ready')
    assert.match(await page(url), /Not ready: draining/)
  })

  it('lists a limited number of routes, and always those that fail', async () => {
    const routes = Array.from({ length: 120 }, (_, i) => ({ name: `r${i}`, match: { path: `/r${i}` }, upstream: 'u' }))
    const config = configOf({ upstreams: { u: { targets: ['http://127.0.0.1:9001'] } }, routes })
    const { recent, clock } = recorderWithClock()
    recent.announce(config.routes)
    recent.note({ route: { name: 'r117' }, outcome: 'fault', startedAt: clock.now, stream: undefined })
    const url = await start({ recent, configuration: () => ({ ...quietSources().configuration(), config }) })
    const { traffic } = await json(url)
    assert.deepEqual([traffic.routes.length, traffic.routesLeftOut, traffic.routes[0]?.route], [50, 70, 'r117'])
    assert.match(await page(url), /70 more are not shown here/)
    assert.equal(((await (await fetch(`${url}/routes`)).json()) as { routes: [] }).routes.length, 120)
  })

  it('escapes what clients and upstreams wrote', async () => {
    const trace = {
      traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
      timeMs: Date.now(),
      method: HOSTILE,
      path: `/${HOSTILE}`,
      route: HOSTILE,
      upstream: HOSTILE,
      status: 502,
      outcome: 'fault',
      reason: HOSTILE,
      durationMs: 3,
      cause: HOSTILE,
    }
    const connections = { open: 1, free: 0, waitingCalls: 3 }
    const healthCheck = { healthy: false, lastFailure: HOSTILE }
    const target = { target: HOSTILE, healthy: false, healthCheck, activeCalls: 1, connections }
    const url = await start({
      traces: { list: () => [trace], otlpJson: () => undefined },
      upstreams: () => [{ name: HOSTILE, panicking: false, targets: [target] }],
      offenders: () => [
        {
          route: HOSTILE,
          policy: HOSTILE,
          httpRoute: HOSTILE,
          limited: 9,
          offenders: [{ client: HOSTILE, count: 9, error: 2 }],
        },
      ],
      pipelines: () => [
        {
          signal: HOSTILE,
          exporter: HOSTILE,
          receiver: HOSTILE,
          sent: 0,
          failed: { [HOSTILE]: 1 },
          lastSuccessMs: undefined,
          lastFailure: { atMs: Date.now(), message: HOSTILE },
        },
      ],
      redis: () => ({ address: HOSTILE, isUsable: false, outage: { sinceMs: Date.now(), reason: HOSTILE } }),
      notReady: () => HOSTILE,
      configuration: () => ({ ...quietSources().configuration(), file: HOSTILE }),
    })
    for (const path of ['/status', '/upstreams', '/offenders', `/status?route=${encodeURIComponent(HOSTILE)}`]) {
      const text = await page(url, path)
      assert.ok(text.includes(ESCAPED), path)
      assert.doesNotMatch(text, /<script|<img| on\w+="|\u202e/, path)
    }
  })
})
