import assert from 'node:assert/strict'
import { fingerprint, isResolved, parseAlerts, type Alert } from '../../../../src/incidents/alerts/alert'

const NOW = new Date('2026-01-01T00:00:00Z')
const VALID = { labels: { alertname: 'A' }, startsAt: '2026-01-01T00:00:00.123Z' }

describe('posted alerts', () => {
  it('are read as Alertmanager reads them, with what may be absent filled in', () => {
    assert.deepEqual(parseAlerts([{ labels: { alertname: 'A' } }], NOW), {
      alerts: [
        {
          labels: { alertname: 'A' },
          annotations: {},
          startsAt: NOW.toISOString(),
          endsAt: undefined,
          generatorURL: '',
        },
      ],
      problems: [],
    })
  })

  for (const [what, body, problem] of [
    ['a body that is no list', { alerts: [] }, /not a list/],
    ['no labels', [{}], /alert 0: labels/],
    ['only empty labels', [{ labels: { alertname: '' } }], /at least one label/],
    ['a label that is no text', [{ labels: { alertname: 1 } }], /alert 0/],
    ['a label name that Prometheus does not allow', [{ labels: { 'a-b': 'c' } }], /alert 0/],
    ['a time that is none', [{ ...VALID, startsAt: 'yesterday' }], /startsAt/],
    ['an endless annotation', [{ ...VALID, annotations: { a: 'x'.repeat(70_000) } }], /characters/],
  ] as const) {
    it(`are refused with ${what}`, () => {
      const { alerts, problems } = parseAlerts(body, NOW)
      assert.deepEqual(alerts, [])
      assert.match(problems.join(), problem)
    })
  }

  it('lose nothing to an invalid one among them', () => {
    const { alerts, problems } = parseAlerts([VALID, {}, VALID], NOW)
    assert.equal(alerts.length, 2)
    assert.equal(problems.length, 1)
  })

  it('are the same whatever the order of their labels, and others with other labels', () => {
    const of = (labels: Alert['labels']): string =>
      fingerprint({ ...(parseAlerts([VALID], NOW).alerts[0] as Alert), labels })
    assert.equal(of({ a: '1', b: '2' }), of({ b: '2', a: '1' }))
    assert.notEqual(of({ a: '1', b: '2' }), of({ a: '1,"b":"2' }))
  })

  it('are over when their end is not in the future', () => {
    const [alert] = parseAlerts([{ ...VALID, endsAt: NOW.toISOString() }], NOW).alerts
    assert.equal(isResolved(alert as Alert, NOW.getTime()), true)
    assert.equal(isResolved(alert as Alert, NOW.getTime() - 1), false)
  })
})
