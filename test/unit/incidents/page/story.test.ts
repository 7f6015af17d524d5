import assert from 'node:assert/strict'
import type { Evidence } from '../../../../src/incidents/evidence/evidence'
import { firstLine, nameOf, tell } from '../../../../src/incidents/page/story'
import type { IncidentAlert } from '../../../../src/incidents/record/incident'
import { clock } from '../../../../src/pages/times'
import { alertRecord, BEGAN, incidentRecord } from '../../../support/incident-record'

const NOW = BEGAN + 360_000

function evidenceWith(more: Partial<Evidence>): { readonly evidence: Evidence } {
  const { evidence } = alertRecord()
  assert.ok(evidence)
  return { evidence: { ...evidence, ...more } }
}

function told(alerts: readonly IncidentAlert[], closedAtMs?: number): ReturnType<typeof tell> {
  return tell(incidentRecord({ alerts, closedAtMs }), NOW)
}

describe('the story of an incident', () => {
  it('says what broke, where, since when, and why', () => {
    const story = told([alertRecord()])
    assert.match(story.what, /^Requests to \/orders fail since .*\d\d:\d\d:\d\d UTC, for 6 min now\.$/)
    assert.ok(story.what.includes(clock(BEGAN)), 'since the first failure, not since the alert')
    assert.equal(
      story.why,
      'orders → 10.0.0.7:9001 broke the connection in 28 of 40 and answered with a 5xx in 12 of 40.',
    )
  })

  it('says when and how long requests failed, once it is over, and not how long the alert went on', () => {
    const alert = alertRecord({}, { endsAtMs: BEGAN + 125_000, ...evidenceWith({ lastBadMs: BEGAN + 2_000 }) })
    const story = told([alert], BEGAN + 125_000)
    assert.equal(story.isOpen, false)
    const [first, last, end] = [BEGAN, BEGAN + 2_000, BEGAN + 125_000].map(clock)
    assert.equal(
      story.what.replaceAll(/\d+ \w+ \d{4} /g, ''),
      `Requests to /orders failed from ${first} to ${last} UTC, for 2 s. The alert was resolved at ${end} UTC.`,
    )
    const moment = story.timeline.find(({ what }) => what === 'Last failure')
    assert.equal(moment?.timeMs, BEGAN + 2_000)
  })

  it('claims no duration where the last failure is not known', () => {
    const story = told([alertRecord({}, { endsAtMs: BEGAN + 125_000 })], BEGAN + 125_000)
    assert.match(story.what, /^Requests to \/orders failed since .* UTC\. The alert was resolved at .* UTC\.$/)
    assert.doesNotMatch(story.what, / for /)
  })

  it('says of an alert that still fires that nothing has failed for a while', () => {
    const story = told([alertRecord({}, evidenceWith({ lastBadMs: BEGAN + 2_000 }))])
    assert.match(story.what, / from .* to .* UTC, for 2/)
  })

  it('is told by the alert that says most: firing, then critical, then first', () => {
    const over = alertRecord({ alertname: 'Over' }, { endsAtMs: NOW })
    const warning = alertRecord({ alertname: 'Warning', severity: 'warning' })
    const later = alertRecord({ alertname: 'Later' }, { startsAtMs: NOW })
    const first = alertRecord({ alertname: 'First' })
    for (const alerts of [
      [over, warning, later, first],
      [first, later, warning, over],
    ]) {
      assert.equal(told(alerts).main?.labels['alertname'], 'First')
    }
    assert.equal(told([over, warning]).severity, 'warning')
    assert.equal(told([alertRecord({ severity: 'made up' }), warning]).severity, 'warning')
  })

  it('uses the words of the rule where it has none of its own', () => {
    const annotations = {
      summary: 'Redis does not answer',
      description: 'redis_exporter runs, Redis behind it does not.',
    }
    const story = told([alertRecord({ family: 'redis', component: 'redis' }, { annotations, evidence: undefined })])
    assert.match(story.what, /^Redis does not answer since /)
    assert.equal(story.why, annotations.description)
    assert.equal(firstLine(story), annotations.description)
  })

  it('names three routes at the most', () => {
    const [signature] = alertRecord().evidence?.signatures ?? []
    assert.ok(signature)
    const signatures = ['/a', '/b', '/c', '/d', '/e'].map(route => ({ ...signature, route }))
    assert.match(
      told([alertRecord({}, evidenceWith({ signatures }))]).what,
      /^Requests to \/a, \/b, \/c and 2 more fail /,
    )
  })

  it('says what refused and limited requests are', () => {
    const [signature] = alertRecord().evidence?.signatures ?? []
    assert.ok(signature)
    const limited = evidenceWith({ signatures: [{ ...signature, reason: 'limited', count: 7, total: 7 }] })
    const story = told([alertRecord({ family: 'rate-limit' }, limited)])
    assert.match(story.what, /^Requests to \/orders are over their rate limit since/)
    assert.equal(story.why, 'clients were over their rate limit in 7 of 7.')
    assert.match(told([alertRecord({ family: 'refusals' })]).what, /are refused/)
  })

  it('counts a signature once that stands in the evidence of several alerts, as often as it was seen most', () => {
    const [first, second] = alertRecord().evidence?.signatures ?? []
    assert.ok(first && second)
    const earlier = evidenceWith({ signatures: [{ ...first, count: 3, total: 3 }] })
    const other = evidenceWith({ signatures: [{ ...second, route: '/b', count: 10, total: 10 }] })
    const story = told([alertRecord({}, earlier), alertRecord(), alertRecord({ http_route: '/b' }, other)])
    assert.deepEqual(
      story.signatures.map(({ route, reason, count, total }) => [route, reason, count, total]),
      [
        ['/orders', 'reset', 28, 50],
        ['/orders', 'upstream_5xx', 12, 50],
        ['/b', 'reset', 10, 50],
      ],
    )
    assert.equal(firstLine(story), '28 of 50: orders → 10.0.0.7:9001 broke the connection')
  })

  it('has every trace once, as they happened, opened rather than not', () => {
    const [trace] = alertRecord().evidence?.traces ?? []
    assert.ok(trace)
    const unopened = evidenceWith({ traces: [{ ...trace, source: undefined, spans: [] }] })
    const story = told([alertRecord(), alertRecord({}, unopened)])
    assert.equal(story.traces.length, 3)
    assert.deepEqual(
      story.traces.map(({ timeMs }) => timeMs - BEGAN),
      [0, 20_000, 30_000],
    )
    assert.ok(story.traces.find(({ traceId }) => traceId === trace.traceId)?.source)
  })

  it('has a timeline of changes, the turn, and alerts', () => {
    const story = told([
      alertRecord({ alertname: 'GatewayRequestsFailing' }, { startsAtMs: BEGAN + 90_000, endsAtMs: BEGAN + 300_000 }),
      alertRecord(),
    ])
    assert.deepEqual(
      story.timeline.map(({ timeMs, kind, what }) => [(timeMs - BEGAN) / 1_000, kind, what]),
      [
        [-70, 'change', 'Release 1.4.2 began on 10.0.0.5:9464'],
        [-9, 'good', 'Last scrape without a failure'],
        [0, 'bad', 'First failure'],
        [60, 'fired', 'GatewayHttp500Spike /orders fired'],
        [90, 'fired', 'GatewayRequestsFailing /orders fired'],
        [300, 'resolved', 'GatewayRequestsFailing /orders resolved'],
      ],
    )
  })

  it('tells a change once that two alerts saw seconds apart, and twice what happened twice', () => {
    const change = (seconds: number): { timeMs: number; what: string } => ({
      timeMs: BEGAN + seconds * 1_000,
      what: 'Redis went away',
    })
    const story = told([
      alertRecord({}, evidenceWith({ changes: [change(-200), change(-20)] })),
      alertRecord({}, evidenceWith({ changes: [change(-195)] })),
    ])
    const changes = story.timeline.filter(({ kind }) => kind === 'change')
    assert.deepEqual(
      changes.map(({ timeMs }) => (timeMs - BEGAN) / 1_000),
      [-200, -20],
    )
  })

  it('claims nothing good after the first failure', () => {
    const story = told([alertRecord({}, evidenceWith({ lastGoodMs: BEGAN + 1_000 }))])
    assert.equal(
      story.timeline.some(({ kind }) => kind === 'good'),
      false,
    )
  })

  it('is there for an incident without alerts', () => {
    const story = told([])
    assert.deepEqual([story.main, story.why, story.traces, story.signatures], [undefined, '', [], []])
    assert.match(story.what, /since/)
  })
})

describe('the name of an alert', () => {
  it('says where, and which policy', () => {
    assert.equal(nameOf(alertRecord()), 'GatewayHttp500Spike /orders')
    const labels = { alertname: 'GatewayRateLimitSurge', http_route: '/search', gateway_rate_limiting_policy: 'daily' }
    assert.equal(nameOf({ ...alertRecord(), labels }), 'GatewayRateLimitSurge /search (policy daily)')
    assert.equal(nameOf({ ...alertRecord(), labels: { alertname: 'TargetDown', instance: 'a:1' } }), 'TargetDown a:1')
  })
})
