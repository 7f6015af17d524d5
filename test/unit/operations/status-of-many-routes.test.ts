import assert from 'node:assert/strict'
import { RecentRequests } from '../../../src/observe/recent/recent-requests'
import { readStatus, type StatusSources } from '../../../src/operations/status/status'

const ROUTES = 1_000

describe('the status of 1,000 busy routes', () => {
  it('reads latencies of the 50 shown routes only, and a total that is kept', () => {
    const recent = new RecentRequests()
    const routes = Array.from({ length: ROUTES }, (_, index) => ({ name: `r${index}`, match: { path: `/${index}` } }))
    recent.announce(routes)
    for (const [index, route] of routes.entries()) {
      const outcome = index === 777 ? 'fault' : 'ok'
      for (let count = 0; count < 2; count++) {
        recent.note({ route, outcome, startedAt: performance.now(), stream: undefined })
      }
    }
    recent.noteRefused()
    const read: (string | null | undefined)[] = []
    const counting = (route: string | null | undefined): void => void read.push(route)
    const counted: StatusSources['recent'] = {
      recent: route => (counting(route), recent.recent(route)),
      slots: route => (counting(route), recent.slots(route)),
      counts: route => recent.counts(route),
      ofVariant: (route, variant) => recent.ofVariant(route, variant),
      countsOfVariant: (route, variant) => recent.countsOfVariant(route, variant),
      slower: (route, ms) => recent.slower(route, ms),
      reachMs: recent.reachMs,
    }
    const status = readStatus(sourcesWith(counted, routes), Date.now())
    assert.equal(read.length, 2 * 51, 'fifty routes and all together, each read twice')
    assert.equal(status.traffic.all.requests, 2 * ROUTES + 1)
    assert.deepEqual([status.traffic.all.faults, status.traffic.all.refusals], [2, 1])
    assert.equal(status.traffic.routes[0]?.route, 'r777', 'the route that fails is first')
    assert.equal(status.traffic.routesLeftOut, ROUTES + 1 - 50)
    assert.match(status.concerns[0]?.text ?? '', /Route r777: 2 of 2/)
  })
})

function sourcesWith(recent: StatusSources['recent'], routes: readonly object[]): StatusSources {
  return {
    recent,
    configuration: () => ({
      file: 'gateway.yaml',
      config: { routes, sha256: '' } as never,
      sinceMs: 0,
      reloads: [],
      lastReload: undefined,
      needRestart: [],
    }),
    upstreams: () => [],
    offenders: () => [],
    traces: { list: () => [], otlpJson: () => undefined },
    redis: () => undefined,
    pipelines: () => [],
    inFlight: () => 0,
    notReady: () => undefined,
    replica: { version: '', node: '', host: '', pid: 1, startedAtMs: 0 },
  }
}
