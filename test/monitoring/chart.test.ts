import assert from 'node:assert/strict'
import { basename } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'
import { INCIDENT_VARIABLES, VARIABLES } from '../../src/config/variable-names'
import { CHART, chartFiles } from '../../tools/kubernetes/chart-files'
import { configOf } from '../unit/config/gateway-yaml'
import { filesMatching, read } from './monitoring-files'

interface Schema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: unknown
}

type Values = Readonly<Record<string, unknown>>

const values = parse(read(`${CHART}/values.yaml`)) as Values
const production = parse(read('deploy/examples/values-production.yaml')) as Values
const schema = JSON.parse(read(`${CHART}/values.schema.json`)) as Schema

/** The paths of all values that the schema names one by one. */
function pathsOf(value: unknown, { properties }: Schema, path = ''): string[] {
  if (properties === undefined) return [path]
  return Object.entries((value ?? {}) as Values).flatMap(([name, inner]) =>
    pathsOf(inner, properties[name] ?? {}, path === '' ? name : `${path}.${name}`),
  )
}

function pathsOfSchema({ properties }: Schema, path = ''): string[] {
  if (properties === undefined) return [path]
  return Object.entries(properties).flatMap(([name, inner]) =>
    pathsOfSchema(inner, path === '' ? name : `${path}.${name}`),
  )
}

// What needs Helm or an API server is in test/long/kubernetes.test.ts.
describe('the files of the Helm chart', () => {
  it('are what monitoring/ makes: npm run chart', () => {
    const made = chartFiles()
    for (const [name, text] of made) assert.equal(read(`${CHART}/${name}`), text, name)
    const dashboards = filesMatching('monitoring/grafana/dashboards/*.json').map(path => basename(path))
    const inChart = filesMatching(`${CHART}/files/dashboards/*.json`).map(path => basename(path))
    assert.ok(dashboards.length >= 6)
    assert.deepEqual(inChart.toSorted(), dashboards.toSorted(), 'all dashboards, and none that is gone')
  })

  it('run as the user of the image', () => {
    const [, user = '', group = ''] = /^USER (\d+):(\d+)$/m.exec(read('Dockerfile')) ?? []
    assert.notEqual(user, '')
    for (const file of ['deployment.yaml', 'incidents.yaml']) {
      assert.ok(read(`${CHART}/templates/${file}`).includes(`"gateway.podSecurity" (list ${user} ${group})`), file)
    }
  })

  it('know every value, and no other: values.schema.json', () => {
    const paths = pathsOfSchema(schema).filter(path => path !== 'global')
    assert.deepEqual(pathsOf(values, schema).sort(), paths.sort())
    assert.equal(schema.additionalProperties, false)
  })

  it('start a gateway that says that it has no routes yet', () => {
    const config = configOf(read(`${CHART}/files/gateway.yaml`))
    assert.equal(config.routes.length, 1)
  })

  it('show a production configuration that the gateway takes', () => {
    const config = configOf(JSON.stringify(production['config']))
    assert.equal(config.routes[0]?.name, 'orders')
    const { 'catalogue.yaml': included } = production['includes'] as Values
    assert.equal(configOf(JSON.stringify(included)).routes[0]?.name, 'catalogue')
  })

  it('set variables that exist', () => {
    const known: readonly string[] = [...Object.values(VARIABLES).flat(), ...Object.values(INCIDENT_VARIABLES)]
    for (const file of ['deployment.yaml', 'incidents.yaml']) {
      const [, table = ''] = /\$env := dict([^]*?)\}\}/.exec(read(`${CHART}/templates/${file}`)) ?? []
      const names = [...table.matchAll(/^\s+"([A-Z_]+)"/gm)].map(([, name = '']) => name)
      assert.ok(names.length > 4, file)
      for (const name of names) assert.ok(known.includes(name) || name.startsWith('OTEL_'), name)
    }
  })

  it('run the versions of docker-compose.yml', () => {
    const { services } = parse(read('docker-compose.yml'), { merge: true }) as {
      services: Readonly<Record<string, { image: string }>>
    }
    const { bundled } = values['redis'] as { bundled: { image: string; exporterImage: string } }
    assert.equal(bundled.image, services['redis']?.image)
    assert.equal(bundled.exporterImage, services['redis-exporter']?.image)
    for (const file of filesMatching('deploy/examples/collector-*.yaml')) {
      const { image } = parse(read(file)) as { image: { repository: string; tag: string } }
      assert.equal(`${image.repository}:${image.tag}`, services['otel-collector']?.image, file)
    }
  })

  it('are followed by examples of which each is YAML', () => {
    for (const file of filesMatching('deploy/examples/*.yaml')) {
      for (const document of parseAllDocuments(read(file))) assert.deepEqual(document.errors, [], file)
    }
  })
})
