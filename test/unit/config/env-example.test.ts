import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseSettings } from '../../../otel/sdk/settings'
import { readSettings } from '../../../src/config/env'
import { readIncidentSettings } from '../../../src/config/incident-settings'
import { INCIDENT_VARIABLES, VARIABLES, VARIABLES_OF_OTHERS } from '../../../src/config/variable-names'

const TEXT = readFileSync(join(__dirname, '../../../..', '.env.example'), 'utf8')
const EXAMPLES = [...TEXT.matchAll(/^#?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(
  ([, name = '', value = '']) => [name, value] as const,
)
const NAMES = EXAMPLES.map(([name]) => name)
const OURS: readonly string[] = [...Object.values(VARIABLES).flat(), ...Object.values(INCIDENT_VARIABLES)]
/** What stands there as an example, because the variable has no default. */
const WITHOUT_DEFAULT =
  'OPS_PUBLIC_URL OPS_TOKEN OPS_ALLOWED_HOSTS OPS_TOKEN_HOSTS REDIS_URL REDIS_SENTINEL_USERNAME REDIS_SENTINEL_PASSWORD METRICS_TOKEN INCIDENT_PUBLIC_URL INCIDENTS_TOKEN INCIDENTS_CHANGES_TOKEN LOGS_URL LOGS_QUERY LOGS_TOKEN ALERTMANAGER_PUBLIC_URL ' +
  'GRAFANA_URL REPOSITORY_URL JAEGER_URL JAEGER_PUBLIC_URL OPS_LINK_URL TEMPO_URL'

describe('.env.example', () => {
  it('has every variable that is a setting', () => {
    assert.deepEqual(
      OURS.filter(name => !NAMES.includes(name)),
      [],
    )
  })

  it('has no variable twice', () => {
    assert.equal(new Set(NAMES).size, NAMES.length)
  })

  it('has no variable that nothing reads', () => {
    const asked = new Set<string>(['OTEL_SERVICE_NAME', 'OTEL_CONFIG_FILE'])
    const asking = new Proxy<Record<string, string>>(
      { OTEL_TRACES_SAMPLER: 'traceidratio' },
      {
        get: (variables, name: string) => {
          asked.add(name)
          return variables[name]
        },
      },
    )
    parseSettings(asking)
    assert.deepEqual(
      NAMES.filter(name => !OURS.includes(name) && !VARIABLES_OF_OTHERS.includes(name) && !asked.has(name)),
      [],
    )
  })

  it('has values that are all valid, together', () => {
    const env = Object.fromEntries(EXAMPLES)
    const { settings, problems } = readSettings(env)
    assert.ok(settings)
    assert.deepEqual(problems, [])
    assert.ok(readIncidentSettings(env).settings)
    assert.deepEqual(readIncidentSettings(env).problems, [])
    const telemetry = parseSettings(env)
    assert.deepEqual(telemetry.problems, [])
    assert.deepEqual(telemetry.warnings, [])
  })

  it('shows the default of every setting that has one', () => {
    const env = Object.fromEntries(EXAMPLES.filter(([name]) => !WITHOUT_DEFAULT.split(' ').includes(name)))
    assert.deepEqual(readSettings(env).settings, readSettings({}).settings)
    assert.deepEqual(readIncidentSettings(env).settings, readIncidentSettings({}).settings)
  })

  it('changes nothing as it is', () => {
    assert.deepEqual(
      TEXT.split('\n').filter(line => line !== '' && !line.startsWith('#')),
      [],
    )
  })

  it('says what each variable means, in the line above it', () => {
    const lines = TEXT.split('\n')
    const unexplained = lines.filter((line, index) => {
      const above = lines[index - 1] ?? ''
      return (
        /^#[A-Z][A-Z0-9_]*=/.test(line) && !/^# \S/.test(above) && !above.startsWith('#OTEL_EXPORTER_PROMETHEUS_PORT=')
      )
    })
    assert.deepEqual(unexplained, [])
  })
})
