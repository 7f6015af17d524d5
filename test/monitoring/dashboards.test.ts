import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dashboardTexts } from '../../tools/dashboards/files'
import { needs } from '../support/needs'
import { temporaryFolder } from '../support/temporary-folder'
import {
  dashboardFiles,
  panelsOf,
  read,
  readDashboard,
  readYaml,
  withoutVariables,
  type Query,
} from './monitoring-files'
import { runTool } from './run-tool'

const FILES = dashboardFiles()

/** In the order in which the reader sees them: each narrows the next. */
const VARIABLES = ['datasource', 'environment', 'instance', 'route', 'upstream']

describe('dashboards', () => {
  it('are what `npm run dashboards` writes', () => {
    const written = [...dashboardTexts()].map(
      ([name, text]) => [`monitoring/grafana/dashboards/${name}`, text] as const,
    )
    assert.deepEqual(written.map(([name]) => name).sort(), FILES)
    for (const [name, text] of written) assert.equal(read(name), text, 'run: npm run dashboards')
  })

  it('cover budgets, upstreams, variants, limits, Redis, runtime and pipeline, and lead to each other', () => {
    const asked = FILES.flatMap(file => panelsOf(readDashboard(file)).flatMap(({ targets = [] }) => targets))
      .map(({ expr }) => expr)
      .join('\n')
    for (const subject of [
      'slo_error_budget_remaining',
      'gateway_upstream_target_healthy',
      'gateway_variant',
      'gateway_rate_limiting_requests_total',
      'redis_memory_used_bytes',
      'nodejs_eventloop_delay_p99_seconds',
      'otelcol_exporter_queue_size',
    ]) {
      assert.ok(asked.includes(subject), subject)
    }
    for (const { tags, links } of FILES.map(readDashboard)) {
      assert.deepEqual(
        links.map(({ type, includeVars, keepTime }) => ({ type, includeVars, keepTime })),
        [{ type: 'dashboards', includeVars: true, keepTime: true }],
      )
      assert.deepEqual(links[0]?.tags, tags)
    }
  })

  it('are there, each with an address of its own that links can rely on', () => {
    const uids = FILES.map(file => readDashboard(file).uid)
    assert.ok(uids.includes('myesi-gateway'), 'alerts link to this one')
    assert.equal(new Set(uids).size, uids.length)
  })

  for (const file of FILES) {
    const dashboard = readDashboard(file)
    const panels = panelsOf(dashboard)

    describe(`${dashboard.title} (${file.replace(/^.*\//, '')})`, () => {
      before(needs('promtool'))

      it('asks only what Prometheus understands', async () => {
        const rules = panels.flatMap(({ id, targets = [] }) =>
          targets.map(({ refId, expr }) => ({ record: `panel_${id}:${refId}`, expr: withoutVariables(expr) })),
        )
        assert.ok(rules.length > 0)
        const path = join(temporaryFolder(), 'dashboard.rules.json')
        // JSON is YAML: promtool reads it as a rule file, and checks types too, which a grammar does not.
        writeFileSync(path, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
        await runTool('promtool', 'check', 'rules', path)
      })

      it('takes the data source, instances and routes from its variables, and has no other', () => {
        const list = dashboard.templating.list
        const names = list.map(({ name }) => name)
        assert.deepEqual(
          names,
          VARIABLES.filter(name => names.includes(name)),
        )
        assert.deepEqual(
          list.map(({ type }) => type),
          names.map(name => (name === 'datasource' ? 'datasource' : 'query')),
        )
        const asked = [
          ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
          ...list.map(({ definition = '' }) => definition),
        ].join('\n')
        const used = [...asked.matchAll(/=~"\$(\w+)"/g)].map(([, name = '']) => name)
        assert.deepEqual([...new Set(['datasource', ...used])].sort(), [...names].sort())
        for (const { title, datasource, targets = [] } of panels) {
          for (const { uid } of [datasource, ...targets.map(target => target.datasource)].filter(isSource)) {
            assert.equal(uid, '${datasource}', title)
          }
          assert.ok(datasource !== undefined, title)
        }
      })

      it('says on every panel what it shows and in which unit', () => {
        for (const { id, title = '', description = '', fieldConfig } of panels) {
          assert.ok(title.length > 0, `panel ${id} has no title`)
          assert.ok(description.length > 20, `${title} has no description`)
          assert.ok(fieldConfig?.defaults.unit !== undefined, `${title} has no unit`)
        }
      })

      it('rates over windows that follow the scrape interval and the width of the panel', () => {
        for (const { title, targets = [] } of panels) {
          for (const { expr } of targets) {
            assert.doesNotMatch(expr, /\b(rate|irate|increase)\([^[]*\[(?!\$__(rate_interval|range)\])/, title)
          }
        }
      })

      it('shows single requests, as exemplars, wherever it shows durations of requests', () => {
        const queries: Query[] = panels
          .filter(({ type }) => type === 'timeseries')
          .flatMap(({ targets = [] }) => targets)
        const latencies = queries.filter(({ expr }) =>
          /http_server_request_duration_seconds_bucket\{[^}]*route=/.test(expr),
        )
        // Only the overview is bound to have them: the others are about other subjects.
        assert.ok(latencies.length >= (dashboard.uid === 'myesi-gateway' ? 3 : 0))
        assert.deepEqual(
          latencies.filter(({ exemplar }) => exemplar !== true),
          [],
        )
      })

      it('gives every panel an id of its own and a place that no other one covers', () => {
        const ids = dashboard.panels.map(({ id }) => id)
        assert.equal(new Set(ids).size, ids.length)
        const taken = new Set<string>()
        for (const { title, gridPos } of dashboard.panels) {
          for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
            for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
              assert.ok(x < 24 && !taken.has(`${x},${y}`), `${title} at ${x},${y}`)
              taken.add(`${x},${y}`)
            }
          }
        }
      })

      it('is shown as it is in the repository: nobody edits it in the browser', () => {
        assert.equal(dashboard.editable, false)
      })
    })
  }

  it('are provisioned from where docker-compose.yml puts them, with a data source for Prometheus', () => {
    const { providers } = readYaml('monitoring/grafana/provisioning/dashboards/dashboards.yml') as {
      providers: { options: { path: string } }[]
    }
    const { services } = readYaml('docker-compose.yml') as { services: { grafana: { volumes: string[] } } }
    assert.ok(
      services.grafana.volumes.includes(`./monitoring/grafana/dashboards:${providers[0]?.options.path}:ro`),
      'the folder of the provider is not mounted',
    )
    const { datasources } = readYaml('monitoring/grafana/provisioning/datasources/prometheus.yml') as {
      datasources: {
        type: string
        url: string
        jsonData: { exemplarTraceIdDestinations: { name: string; url: string }[] }
      }[]
    }
    assert.deepEqual(
      datasources.map(({ type, url }) => ({ type, url })),
      [{ type: 'prometheus', url: 'http://prometheus:9090' }],
    )
    // A point of a panel with exemplars opens the trace at the gateway.
    assert.deepEqual(
      datasources[0]?.jsonData.exemplarTraceIdDestinations.map(({ name, url }) => ({ name, url })),
      [{ name: 'trace_id', url: 'http://localhost:9464/traces/$${__value.raw}' }],
    )
  })
})

function isSource<T>(source: T | undefined): source is T {
  return source !== undefined
}
