import assert from 'node:assert/strict'
import { readSettings } from '../../../src/config/env'
import { readIncidentSettings } from '../../../src/config/incident-settings'

describe('a variable that is nearly one of the incident service', () => {
  for (const [written, meant] of [
    ['INCIDENT_PORT', 'INCIDENTS_PORT'],
    ['INCIDENTS_PUBLIC_URL', 'INCIDENT_PUBLIC_URL'],
    ['PROMETHEUS_URI', 'PROMETHEUS_URL'],
    ['ALERTMANAGER_URL', 'ALERTMANAGER_URLS'],
    ['GRAFANA_ULR', 'GRAFANA_URL'],
    ['REDIS_URI', 'REDIS_URL'],
  ] as const) {
    it(`is worth a warning: ${written}`, () => {
      for (const { settings, problems } of [
        readIncidentSettings({ [written]: 'x' }),
        readSettings({ [written]: 'x' }),
      ]) {
        assert.ok(settings)
        assert.deepEqual(
          problems.map(({ where, nearest, severity }) => [where, nearest, severity]),
          [[written, meant, 'warning']],
        )
      }
    })
  }

  it('is told beside what is wrong', () => {
    const { settings, problems } = readIncidentSettings({
      INCIDENTS_HOST: '::x',
      INCIDENT_PORT: '1',
      PORT: 'not its own',
    })
    assert.equal(settings, undefined)
    assert.deepEqual(problems.map(({ where }) => where).sort(), ['INCIDENTS_HOST', 'INCIDENT_PORT'].sort())
  })

  it('names a list of hosts that is none', () => {
    const refusedBy = (OPS_TOKEN_HOSTS: string): unknown =>
      readIncidentSettings({ OPS_TOKEN_HOSTS }).problems.map(({ where, problem }) => [where, problem])
    assert.deepEqual(refusedBy('a.example, http://b.example'), [
      ['OPS_TOKEN_HOSTS', '"a.example, http://b.example" has "http://b.example", which is not a host'],
    ])
    assert.deepEqual(refusedBy('a.example:9464,10.0.0.7,[::1]:9464'), [])
  })

  it('is a token for the log store beside a file with its credentials', () => {
    const problemsOf = (LOGS_HTTP_CONFIG: string): unknown =>
      readIncidentSettings({ LOGS_TOKEN: 'x'.repeat(16), LOGS_HTTP_CONFIG }).problems
    assert.deepEqual(problemsOf(''), [])
    assert.deepEqual(problemsOf('logs.yml'), [
      { where: 'LOGS_TOKEN', problem: 'is set beside LOGS_HTTP_CONFIG: one of them; the file can hold the token' },
    ])
  })

  it('is none when it belongs to the gateway', () => {
    assert.deepEqual(readIncidentSettings({ OPS_PORT: '9464', METRICS_TOKEN: 'x'.repeat(16) }).problems, [])
  })
})
