import assert from 'node:assert/strict'
import { causeOf, openIncident, withAlert, type Incident } from '../../../../src/incidents/record/incident'
import { isIncidentId } from '../../../../src/incidents/record/incident-store'
import { MAX_INCIDENT_BYTES } from '../../../../src/incidents/record/bounded'
import { alertOf, evidenceOf, NOW, traceOf } from './alerts'

describe('the cause that alerts have in common', () => {
  it('is the upstream, whatever else they say', () => {
    const spike = alertOf({ http_route: '/orders' })
    const other = alertOf({ http_route: '/orders/:id', alertname: 'GatewayRequestsFailing', severity: 'warning' })
    assert.equal(causeOf(spike), 'upstream orders')
    assert.equal(causeOf(other), causeOf(spike))
    assert.notEqual(causeOf(alertOf({ gateway_upstream_name: 'payments' })), causeOf(spike))
  })

  it('is Redis for Redis itself and for limits that are counted without it', () => {
    const down = alertOf({ component: 'redis', family: 'redis', gateway_upstream_name: '' })
    const degraded = alertOf({ component: 'gateway', family: 'rate-limit-store', gateway_upstream_name: '' })
    assert.deepEqual([causeOf(down), causeOf(degraded)], ['redis', 'redis'])
  })

  it('is the family of alerts about neither', () => {
    const { gateway_upstream_name: _, ...labels } = alertOf({ component: 'monitoring', family: 'up' }).labels
    assert.equal(causeOf({ ...alertOf(), labels }), 'monitoring up')
  })

  it('is the name of an alert that has no labels of ours', () => {
    assert.equal(causeOf({ ...alertOf(), labels: { alertname: 'Foreign' } }), 'Foreign')
    assert.equal(causeOf({ ...alertOf(), labels: {} }), 'alert')
  })
})

describe('an incident', () => {
  it('is opened with a name that says what and where, and an id for addresses and files', () => {
    const incident = openIncident(alertOf(), NOW)
    assert.equal(incident.title, 'GatewayHttp500Spike /orders (orders)')
    assert.equal(isIncidentId(incident.id), true)
    assert.notEqual(openIncident(alertOf(), NOW).id, incident.id)
    assert.equal(openIncident({ ...alertOf(), labels: { alertname: 'RedisDown' } }, NOW).title, 'RedisDown')
  })

  it('has an id that sorts by its time', () => {
    const ids = [NOW, NOW + 1, NOW + 86_400_000].map(now => openIncident(alertOf(), now).id)
    assert.deepEqual(ids.toSorted(), ids)
  })

  it('keeps one entry for an alert, however often it is repeated', () => {
    const repeated = [alertOf(), alertOf({}, { endsAt: new Date(NOW + 240_000).toISOString() })]
    const incident = repeated.reduce((known, alert) => withAlert(known, 'a', alert, {}), opened())
    assert.equal(incident.alerts.length, 1)
    assert.equal(incident.alerts[0]?.endsAtMs, undefined)
  })

  it('keeps the evidence of an alert when it is repeated and when it ends', () => {
    const evidence = evidenceOf({ missing: ['traces: no answer in time'] })
    const found = withAlert(opened(), 'a', alertOf(), { evidence })
    const over = withAlert(withAlert(found, 'a', alertOf(), {}), 'a', alertOf(), { endsAtMs: NOW + 1 })
    assert.equal(over.alerts[0]?.evidence, evidence)
  })

  it('is closed by the end of its last alert, at that time', () => {
    const two = withAlert(withAlert(opened(), 'a', alertOf(), {}), 'b', alertOf({ http_route: '/b' }), {})
    const one = withAlert(two, 'a', alertOf(), { endsAtMs: NOW + 9_000 })
    assert.equal(one.closedAtMs, undefined)
    const none = withAlert(one, 'b', alertOf({ http_route: '/b' }), { endsAtMs: NOW + 5_000 })
    assert.equal(none.closedAtMs, NOW + 9_000)
  })

  it('has an entry for each time that an alert fired', () => {
    const again = alertOf({}, { startsAt: new Date(NOW + 60_000).toISOString() })
    const over = withAlert(opened(), 'a', alertOf(), { endsAtMs: NOW + 30_000 })
    const incident = withAlert(over, 'a', again, {})
    assert.deepEqual(
      incident.alerts.map(({ endsAtMs }) => endsAtMs),
      [NOW + 30_000, undefined],
    )
    assert.equal(incident.closedAtMs, undefined)
  })

  it('remembers the last fifty alerts, so that one that flaps does not make it grow for ever', () => {
    let incident = opened()
    for (let turn = 0; turn < 60; turn++) {
      const alert = alertOf({}, { startsAt: new Date(NOW + turn * 60_000).toISOString() })
      incident = withAlert(incident, 'a', alert, { endsAtMs: NOW + turn * 60_000 + 1 })
    }
    assert.equal(incident.alerts.length, 50)
    assert.equal(incident.alerts.at(-1)?.startsAtMs, NOW + 59 * 60_000)
  })
})

describe('an alert whose end was missed', () => {
  it('ends when it begins anew', () => {
    const again = alertOf({}, { startsAt: new Date(NOW + 60_000).toISOString() })
    const incident = withAlert(withAlert(opened(), 'a', alertOf(), {}), 'a', again, {})
    assert.deepEqual(
      incident.alerts.map(({ endsAtMs }) => endsAtMs),
      [NOW + 60_000, undefined],
    )
  })

  it('ends with the one that another Prometheus saw begin at another moment', () => {
    const other = alertOf({}, { startsAt: new Date(NOW - 5_000).toISOString() })
    const fired = withAlert(withAlert(opened(), 'a', alertOf(), {}), 'a', other, {})
    assert.equal(fired.closedAtMs, undefined)
    assert.equal(withAlert(fired, 'a', other, { endsAtMs: NOW + 60_000 }).closedAtMs, NOW + 60_000)
  })
})

describe('the size of an incident', () => {
  const sizeOf = (incident: Incident): number => Buffer.byteLength(JSON.stringify(incident))

  it('is bounded: the spans of the oldest alert go first, its traces stay named', () => {
    let incident = opened()
    for (const name of ['a', 'b', 'c']) {
      const traces = [traceOf({ traceId: `${name}1` }, 256), traceOf({ traceId: `${name}2` }, 256)]
      incident = withAlert(incident, name, alertOf({ name }), { evidence: evidenceOf({ traces }) })
    }
    assert.ok(sizeOf(incident) <= MAX_INCIDENT_BYTES)
    const spans = incident.alerts.map(({ evidence }) => evidence?.traces.map(trace => trace.spans.length))
    assert.deepEqual(spans.at(0), [0, 0])
    assert.deepEqual(spans.at(-1), [256, 256])
  })

  it('keeps the newest traces of a single alert that is too large by itself', () => {
    const traces = Array.from({ length: 10 }, (_, index) => traceOf({ traceId: String(index) }, 256))
    const { alerts } = withAlert(opened(), 'a', alertOf(), { evidence: evidenceOf({ traces }) })
    const spans = alerts[0]?.evidence?.traces.map(trace => trace.spans.length) ?? []
    assert.equal(spans.length, 10)
    assert.equal(spans[0], 256)
    assert.equal(spans.at(-1), 0)
  })

  it('is bounded where labels and annotations alone are too large, and the newest alert stays', () => {
    let incident = opened()
    for (let index = 0; index < 20; index++) {
      const labels = { name: `${index}`, huge: 'ü'.repeat(30_000) }
      incident = withAlert(incident, `${index}`, alertOf(labels, { annotations: { huge: 'x'.repeat(30_000) } }), {})
    }
    assert.ok(sizeOf(incident) <= MAX_INCIDENT_BYTES)
    assert.equal(incident.alerts.at(-1)?.labels['name'], '19')
  })
})

describe('the id of an incident', () => {
  for (const id of ['', '..', '../x', 'a/b', 'mwti7oaz', 'mwti7oaz-a715337', 'mwti7oaz-a7153375 ', 'MWTI-a7153375']) {
    it(`is not ${JSON.stringify(id)}`, () => assert.equal(isIncidentId(id), false))
  }
})

function opened(): Incident {
  return openIncident(alertOf(), NOW)
}
