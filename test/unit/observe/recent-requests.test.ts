import assert from 'node:assert/strict'
import { RecentRequests, SLOT_MS, SLOTS, type EndedRequest } from '../../../src/observe/recent/recent-requests'

const ORDERS = { name: 'orders' }
const SEARCH = { name: 'search' }

describe('the requests of the last quarter of an hour', () => {
  let now: number
  let recent: RecentRequests

  beforeEach(() => {
    now = 1_000 * SLOT_MS
    recent = new RecentRequests(() => now)
    recent.announce([ORDERS, SEARCH])
  })

  function note(times: number, ended: Partial<EndedRequest> & { tookMs?: number } = {}): void {
    const { tookMs = 10, ...rest } = ended
    for (let i = 0; i < times; i++) {
      recent.note({ route: ORDERS, outcome: 'ok', startedAt: now - tookMs, stream: undefined, ...rest })
    }
  }

  it('are counted by variant of a split too, until a reload removes the variant', () => {
    const canary = { name: 'orders', variant: 'canary' }
    recent.announce([ORDERS, canary, SEARCH])
    note(3)
    note(2, { route: canary, outcome: 'fault', tookMs: 400 })
    assert.deepEqual([recent.recent('orders').requests, recent.recent().requests], [5, 5])
    const { requests, faults, p50Ms } = recent.ofVariant('orders', 'canary')
    assert.deepEqual([requests, faults], [2, 2])
    assert.ok(p50Ms !== null && p50Ms > 300)
    recent.announce([ORDERS, SEARCH])
    note(1, { route: canary })
    assert.equal(recent.ofVariant('orders', 'canary').requests, 0)
    assert.equal(recent.recent('orders').requests, 6)
  })

  it('are counted by route and by how they ended', () => {
    note(3)
    note(2, { outcome: 'fault' })
    note(4, { outcome: 'refusal', route: SEARCH })
    note(1, { outcome: 'client_closed' })
    const { requests, faults, refusals, clientClosed } = recent.recent('orders')
    assert.deepEqual([requests, faults, refusals, clientClosed], [6, 2, 0, 1])
    assert.equal(recent.recent('search').refusals, 4)
    assert.equal(recent.recent().requests, 10)
  })

  it('are each in the slot in which they ended', () => {
    note(2)
    now += SLOT_MS
    note(1, { outcome: 'fault' })
    const [before, last] = recent.slots('orders').slice(-2)
    assert.deepEqual([before?.requests, last?.requests, last?.faults], [2, 1, 1])
    assert.equal(recent.recent('orders').requests, 3)
  })

  it('are forgotten after a quarter of an hour, also where none came since', () => {
    note(5)
    now += (SLOTS - 1) * SLOT_MS
    assert.equal(recent.recent('orders').requests, 5)
    now += SLOT_MS
    assert.equal(recent.recent('orders').requests, 0)
    assert.ok(recent.slots('orders').every(({ requests }) => requests === 0))
    note(1)
    assert.equal(recent.recent('orders').requests, 1)
  })

  it('say nothing of a slot whose place was taken long after', () => {
    note(7, { tookMs: 2_000 })
    now += 3 * SLOTS * SLOT_MS
    note(1, { tookMs: 1 })
    const { requests, p99Ms } = recent.recent('orders')
    assert.equal(requests, 1)
    assert.ok((p99Ms ?? NaN) < 2)
  })

  it('of the last five minutes are counted apart', () => {
    note(4, { outcome: 'fault' })
    now += 20 * SLOT_MS
    note(3, { outcome: 'fault' })
    note(1)
    assert.deepEqual(recent.recent('orders').lately, { requests: 4, faults: 3 })
    assert.equal(recent.recent('orders').faults, 7)
  })

  it('have a rate over the last minute, and over less of a process that has just begun', () => {
    now += 10_000
    note(50)
    assert.equal(recent.recent('orders').perSecond, 5)
    now += 20 * SLOT_MS
    assert.equal(recent.recent('orders').perSecond, 0)
    note(140)
    assert.equal(recent.recent('orders').perSecond, 2)
  })

  for (const tookMs of [0.3, 1, 7, 40, 333, 1_500, 20_000, 100_000]) {
    it(`know a latency of ${tookMs} ms to a quarter`, () => {
      note(1_000, { tookMs })
      const { p50Ms, p95Ms, p99Ms } = recent.recent('orders')
      for (const found of [p50Ms, p95Ms, p99Ms]) {
        assert.ok(found !== null && found > tookMs / 1.26 && found < tookMs * 1.26, String(found))
      }
    })
  }

  it('have quantiles, as exact as their buckets', () => {
    for (let i = 1; i <= 1_000; i++) note(1, { tookMs: i })
    const { p50Ms, p95Ms, p99Ms } = recent.recent('orders')
    for (const [found, exact] of [
      [p50Ms, 500],
      [p95Ms, 950],
      [p99Ms, 990],
    ] as const) {
      assert.ok(Math.abs((found ?? NaN) / exact - 1) < 0.1, `${found} for ${exact}`)
    }
  })

  it('with an endless or an impossible latency are counted all the same', () => {
    for (const tookMs of [0, -5, NaN, Infinity, 1e9]) note(1, { tookMs })
    assert.equal(recent.recent('orders').requests, 5)
    assert.ok(Number.isFinite(recent.recent('orders').p99Ms))
  })

  it('have no latency where nobody was answered, or the answer was meant to stay open', () => {
    note(3, { outcome: 'client_closed', tookMs: 30_000 })
    note(3, { stream: 'event_stream', tookMs: 300_000 })
    const { requests, p50Ms, p99Ms } = recent.recent('orders')
    assert.deepEqual([requests, p50Ms, p99Ms], [6, null, null])
  })

  it('of no route, and what never became a request, are counted together', () => {
    note(2, { route: undefined, outcome: 'refusal' })
    note(1, { route: { name: 'about' } })
    recent.noteRefused()
    const { requests, refusals } = recent.recent(null)
    assert.deepEqual([requests, refusals], [4, 3])
    assert.equal(recent.recent().requests, 4)
  })

  it('stay with a route that is announced again, and go with one that is not', () => {
    note(5)
    note(5, { route: SEARCH })
    recent.announce([{ name: 'orders' }, { name: 'new' }])
    assert.equal(recent.recent('orders').requests, 5)
    assert.equal(recent.recent('search').requests, 0)
    note(1, { route: SEARCH })
    assert.equal(recent.recent(null).requests, 1, 'a request that outlived its route')
    note(1, { route: { name: 'new' } })
    assert.equal(recent.recent('new').requests, 1)
  })

  it('of a process that has just begun are shown over three minutes, later over fifteen', () => {
    assert.equal(recent.slots().length, 12)
    now += 30 * SLOT_MS
    assert.equal(recent.slots().length, 31)
    assert.equal(recent.reachMs, 30 * SLOT_MS)
    now += 1_000 * SLOT_MS + 4_000
    assert.equal(recent.slots().length, SLOTS)
    assert.equal(recent.reachMs, (SLOTS - 1) * SLOT_MS + 4_000)
  })

  it('take no memory for each request', function () {
    this.timeout(20_000)
    const ended: EndedRequest = { route: ORDERS, outcome: 'ok', startedAt: now - 10, stream: undefined }
    for (let i = 0; i < 200_000; i++) recent.note(ended)
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000_000; i++) recent.note(ended)
    const grown = process.memoryUsage().heapUsed - before
    assert.ok(grown < 4_000_000, `${grown} bytes for a million requests`)
  })
})
