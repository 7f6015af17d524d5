import assert from 'node:assert/strict'
import type { Incident } from '../../../../src/incidents/record/incident'
import { IncidentLog } from '../../../../src/incidents/record/incident-log'
import type { IncidentStore } from '../../../../src/incidents/record/incident-store'
import { until } from '../../../support/until'
import { alertOf, evidenceOf, NOW, traceOf } from './alerts'

/** Keeps incidents in memory; can be told to fail and to take its time. */
class StoreStandIn implements IncidentStore {
  readonly kept = new Map<string, Incident>()
  readonly puts: Incident[] = []
  isDown = false
  isClosed = false
  /** A write waits for this. */
  gate: Promise<void> = Promise.resolve()

  async put(incident: Incident): Promise<void> {
    await this.gate
    if (this.isDown) throw new Error('the store is down')
    this.puts.push(incident)
    this.kept.set(incident.id, incident)
  }

  async get(id: string): Promise<Incident | undefined> {
    if (this.isDown) throw new Error('the store is down')
    return this.kept.get(id)
  }

  async list(limit: number): Promise<Incident[]> {
    if (this.isDown) throw new Error('the store is down')
    return [...this.kept.values()].sort((a, b) => b.openedAtMs - a.openedAtMs).slice(0, limit)
  }

  async close(): Promise<void> {
    this.isClosed = true
  }
}

describe('the incident log', () => {
  let store: StoreStandIn
  let failures: unknown[]
  let log: IncidentLog

  beforeEach(() => {
    store = new StoreStandIn()
    failures = []
    log = new IncidentLog(store, { onStoreFailure: error => failures.push(error), retryMs: 1 })
  })
  afterEach(async () => {
    await log.close()
    assert.equal(store.isClosed, true)
  })

  const isSaved = (): Promise<unknown> => until(() => store.puts.length > 0, { what: 'a write' })

  it('puts alerts of one cause into one incident, others into others', () => {
    const first = log.fire(alertOf(), NOW)
    const second = log.fire(alertOf({ http_route: '/orders/:id' }), NOW + 1_000)
    const other = log.fire(alertOf({ gateway_upstream_name: 'payments' }), NOW + 2_000)
    assert.equal(second.id, first.id)
    assert.notEqual(other.id, first.id)
    assert.equal(second.alerts.length, 2)
  })

  it('adds evidence to the alert it was gathered for', async () => {
    const { id } = log.fire(alertOf(), NOW)
    log.fire(alertOf({ http_route: '/b' }), NOW)
    const evidence = evidenceOf({ firstBadMs: NOW - 5_000 })
    log.addEvidence(alertOf({ http_route: '/b' }), evidence)
    const incident = await log.get(id)
    assert.deepEqual(
      incident?.alerts.map(found => found.evidence),
      [undefined, evidence],
    )
  })

  it('closes an incident with its last alert, and opens a new one for the next', async () => {
    const { id } = log.fire(alertOf(), NOW)
    log.resolve(alertOf({}, { endsAt: new Date(NOW + 60_000).toISOString() }))
    assert.equal((await log.get(id))?.closedAtMs, NOW + 60_000)
    assert.notEqual(log.fire(alertOf(), NOW + 120_000).id, id)
  })

  it('takes no notice of an end or of evidence that belongs to nothing', async () => {
    log.resolve(alertOf())
    log.addEvidence(alertOf(), evidenceOf())
    assert.deepEqual(await log.list(10), [])
  })

  it('lists the open ones first, each kind newest first, with the newest that is known of each', async () => {
    const over = log.fire(alertOf({ gateway_upstream_name: 'a' }), NOW + 3_000)
    log.resolve(alertOf({ gateway_upstream_name: 'a' }, { endsAt: new Date(NOW + 4_000).toISOString() }))
    const older = log.fire(alertOf({ gateway_upstream_name: 'b' }), NOW)
    const newer = log.fire(alertOf({ gateway_upstream_name: 'c' }), NOW + 1_000)
    await until(async () => store.kept.size === 3, { what: 'three writes' })
    assert.deepEqual(
      (await log.list(10)).map(({ id }) => id),
      [newer.id, older.id, over.id],
    )
    assert.deepEqual(
      (await log.list(1)).map(({ id }) => id),
      [newer.id],
    )
  })

  it('takes up what was open when the process ended', async () => {
    const { id } = log.fire(alertOf(), NOW)
    await isSaved()
    const next = new IncidentLog(store, { onStoreFailure: error => failures.push(error) })
    await next.restore()
    assert.equal(next.fire(alertOf({ http_route: '/b' }), NOW + 1_000).id, id)
    assert.deepEqual(failures, [])
    await next.close()
  })

  it('hands over what fired when the process ended, with its evidence, and closes it when it ends', async () => {
    const evidence = evidenceOf({ firstBadMs: NOW - 5_000 })
    const { id } = log.fire(alertOf(), NOW)
    log.fire(alertOf({ http_route: '/over' }), NOW)
    log.resolve(alertOf({ http_route: '/over' }, { endsAt: new Date(NOW + 1).toISOString() }))
    log.addEvidence(alertOf(), evidence)
    await until(() => store.kept.get(id)?.alerts.some(alert => alert.evidence), { what: 'the evidence is written' })
    const next = new IncidentLog(store, { onStoreFailure: error => failures.push(error) })
    const restored = await next.restore()
    assert.deepEqual(restored, [{ incidentId: id, alert: alertOf(), evidence }])
    next.resolve(alertOf({}, { endsAt: new Date(NOW + 60_000).toISOString() }))
    assert.equal((await next.get(id))?.closedAtMs, NOW + 60_000)
    await next.close()
  })

  it('starts with a record of an older version, and without one that somebody edited', async () => {
    const { alerts, ...incident } = log.fire(alertOf(), NOW)
    await isSaved()
    const { limitedClients: _, ...older } = evidenceOf()
    store.kept.set('older', { ...incident, alerts: [{ ...alerts[0], evidence: older }] } as unknown as Incident)
    store.kept.set('edited', { ...incident, cause: 'other', alerts: [null] } as unknown as Incident)
    store.kept.delete(incident.id)
    const next = new IncidentLog(store, { onStoreFailure: error => failures.push(error) })
    const restored = await next.restore()
    assert.deepEqual(
      restored.map(({ evidence }) => evidence?.limitedClients),
      [[]],
    )
    assert.equal(failures.length, 1)
    await next.close()
  })

  it('answers with the richer evidence when an alert is looked at again', () => {
    log.fire(alertOf(), NOW)
    const trace = traceOf()
    log.addEvidence(alertOf(), evidenceOf({ traces: [trace] }))
    const known = log.addEvidence(alertOf(), evidenceOf({ missing: ['traces: no answer in time'] }))
    assert.deepEqual(known.traces, [trace])
    assert.deepEqual(known.missing, [])
  })

  it('does not put the end of an earlier alert into an incident that it never belonged to', async () => {
    const { id } = log.fire(alertOf(), NOW)
    log.resolve(alertOf({ http_route: '/other' }, { endsAt: new Date(NOW + 1).toISOString() }))
    log.resolve(alertOf({}, { startsAt: new Date(NOW - 9).toISOString(), endsAt: new Date(NOW - 1).toISOString() }))
    const incident = await log.get(id)
    assert.equal(incident?.alerts.length, 1)
    assert.equal(incident?.closedAtMs, undefined)
  })

  describe('when the store is down', () => {
    beforeEach(() => {
      store.isDown = true
    })
    afterEach(() => {
      store.isDown = false
    })

    it('still knows what is open, and what closed meanwhile', async () => {
      const open = log.fire(alertOf(), NOW)
      const over = log.fire(alertOf({ gateway_upstream_name: 'b' }), NOW)
      log.resolve(alertOf({ gateway_upstream_name: 'b' }, { endsAt: new Date(NOW + 4_000).toISOString() }))
      await until(() => failures.length > 0, { what: 'a complaint' })
      assert.deepEqual(
        (await log.list(10)).map(({ id }) => id),
        [open.id, over.id],
      )
      assert.equal((await log.get(over.id))?.closedAtMs, NOW + 4_000)
    })

    it('begins without history', async () => {
      await log.restore()
      assert.equal(failures.length, 1)
    })

    it('writes everything when it is back, the newest of each alone', async () => {
      const { id } = log.fire(alertOf(), NOW)
      await until(() => failures.length >= 3, { what: 'several attempts' })
      log.resolve(alertOf({}, { endsAt: new Date(NOW + 4_000).toISOString() }))
      const other = log.fire(alertOf({ gateway_upstream_name: 'b' }), NOW)
      store.isDown = false
      await until(() => store.kept.size === 2, { what: 'both are written' })
      assert.equal(store.kept.get(id)?.closedAtMs, NOW + 4_000)
      assert.deepEqual(store.puts.map(put => put.id).sort(), [id, other.id].sort())
    })

    it('does not wait for it when the process ends', async () => {
      log.fire(alertOf(), NOW)
      await until(() => failures.length > 0, { what: 'a complaint' })
      const patient = new IncidentLog(store, { onStoreFailure: () => undefined, retryMs: 3_600_000 })
      patient.fire(alertOf(), NOW)
      await patient.close()
    })
  })

  it('takes what is known of an alert once it is over, and leaves a later incident of the same cause open', async () => {
    const alert = alertOf()
    const { id } = log.fire(alert, NOW)
    log.addEvidence(alert, evidenceOf())
    const endsAt = new Date(NOW + 60_000).toISOString()
    assert.equal(log.resolve({ ...alert, endsAt }), id)
    await until(() => store.kept.get(id)?.closedAtMs, { what: 'the closed incident is written' })
    const again = log.fire({ ...alert, startsAt: new Date(NOW + 90_000).toISOString() }, NOW + 90_000)
    const evidence = await log.conclude(id, alert, { lastBadMs: NOW + 2_000 })
    assert.equal(evidence?.lastBadMs, NOW + 2_000)
    assert.equal((await log.get(id))?.alerts[0]?.evidence?.lastBadMs, NOW + 2_000)
    assert.equal(log.fire(alertOf({ http_route: '/other' }), NOW + 91_000).id, again.id)
    assert.equal(await log.conclude('unknown', alert, { lastBadMs: NOW }), undefined)
  })

  it('writes what changes while it writes, in order and once each', async () => {
    let open = (): void => undefined
    store.gate = new Promise(resolve => {
      open = resolve
    })
    const { id } = log.fire(alertOf(), NOW)
    for (let turn = 0; turn < 20; turn++)
      log.addEvidence(alertOf(), evidenceOf({ limitedClients: [{ client: 'a', count: turn }] }))
    open()
    await until(() => store.puts.length === 2, { what: 'two writes' })
    assert.equal(store.kept.get(id)?.alerts[0]?.evidence?.limitedClients[0]?.count, 19)
    log.resolve(alertOf({}, { endsAt: new Date(NOW + 1).toISOString() }))
    await until(() => store.puts.length === 3, { what: 'what comes later is written too' })
  })

  it('holds no more than a thousand open incidents: the one that was quiet longest goes', async () => {
    const ids = Array.from(
      { length: 1_001 },
      (_, index) => log.fire(alertOf({ gateway_upstream_name: `u${index}` }), NOW + index).id,
    )
    await until(() => store.kept.size === 1_001, { what: 'all are written' })
    assert.equal(log.fire(alertOf({ gateway_upstream_name: 'u1' }), NOW).id, ids[1])
    assert.notEqual(log.fire(alertOf({ gateway_upstream_name: 'u0' }), NOW).id, ids[0])
    assert.equal(log.fire(alertOf({ gateway_upstream_name: 'u1' }), NOW).id, ids[1], 'an update drives nobody out')
  })
})
