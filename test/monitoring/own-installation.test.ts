import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { configOf } from '../unit/config/gateway-yaml'
import { installationFiles, sloFiles } from '../../src/slo/monitoring-files'
import { parseMonitoringSettings, SHIPPED_SETTINGS, type MonitoringSettings } from '../../src/slo/monitoring-settings'
import { objectivesIn } from '../../src/slo/objectives'
import type { RuleGroup } from '../../src/slo/slo-rules'
import { findBinary } from '../../tools/stack/binaries'
import { needs } from '../support/needs'
import { temporaryFolder } from '../support/temporary-folder'
import { dashboardFiles, filesMatching, read, ROOT } from './monitoring-files'
import { passRuleTests } from './rule-tests'
import { runTool } from './run-tool'

const OBJECTIVES = objectivesIn(configOf(read('gateway.yaml')))
const DASHBOARDS = dashboardFiles().map(file => file.replace('monitoring/grafana/', ''))
const OTHER_JOBS = {
  gateway: 'api-gateway',
  redis: 'cache',
  prometheus: 'prom',
  alertmanager: 'am',
  incidents: 'evidence',
  collector: 'otelcol',
}

/** Shipped jobs that are not called as their setting. */
const SETTING_OF: Readonly<Record<string, keyof typeof OTHER_JOBS>> = {
  'myesi-api': 'gateway',
  'otel-collector': 'collector',
}

function settingsOf(text: string): MonitoringSettings {
  const { settings, problems } = parseMonitoringSettings(text, 'settings.yaml')
  assert.deepEqual(problems, [])
  assert.ok(settings)
  return settings
}

function written(files: ReadonlyMap<string, string>): string {
  const folder = temporaryFolder()
  for (const [name, text] of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

function groupsOf(text: string | undefined): RuleGroup[] {
  return (parse(text ?? '') as { groups: RuleGroup[] }).groups
}

describe('monitoring/rules', () => {
  it('is what gateway.yaml makes: npm run monitoring', () => {
    const files = sloFiles(OBJECTIVES, SHIPPED_SETTINGS)
    for (const [name, text] of files) assert.equal(read(`monitoring/rules/${name}`), text, name)
    assert.deepEqual(
      [...filesMatching('monitoring/rules/*.yml'), ...filesMatching('monitoring/rules/tests/*.yml')],
      [...files.keys()].map(name => `monitoring/rules/${name}`),
    )
  })

  it('changes with one slo in the rules and tests of that promise alone', () => {
    const changed = objectivesIn(configOf(read('gateway.yaml').replace('availability: 99.9', 'availability: 99.5')))
    const [before, after] = [OBJECTIVES, changed].map(objectives =>
      groupsOf(sloFiles(objectives, SHIPPED_SETTINGS).get('slo.yml')),
    )
    assert.ok(before && after)
    const rules = (groups: readonly RuleGroup[]): string[] =>
      groups.flatMap(group => group.rules.map(rule => JSON.stringify(rule)))
    const different = rules(after).filter(rule => !rules(before).includes(rule))
    assert.deepEqual(
      different
        .map(rule => JSON.parse(rule) as { record?: string; labels: { slo?: string } })
        .map(({ record, labels }) => [record, labels.slo]),
      [
        ['slo:rules:info', undefined],
        ['slo:objective:ratio', 'availability'],
        ['slo:objective:ratio', 'availability'],
      ],
    )
  })
})

describe('rules for a Prometheus of one’s own', function () {
  // One promtool after the other for a dozen files, on a machine that may be busy.
  this.timeout(120_000)

  before(needs('promtool', 'amtool'))

  it('pass the unit tests of the shipped ones with other job names: the same alerts with the same texts', async () => {
    const folder = written(installationFiles(OBJECTIVES, { ...SHIPPED_SETTINGS, jobs: OTHER_JOBS }))
    const rules = readFileSync(join(folder, 'gateway.yml'), 'utf8')
    const promtool = (await findBinary('promtool')).path
    const renamed = (text: string): string =>
      text
        .replaceAll(
          /\bjob(=\\?"|: '?)(myesi-api|redis|prometheus|alertmanager|incidents|otel-collector)\b/g,
          (_, before: string, job: string) => {
            return `job${before}${OTHER_JOBS[SETTING_OF[job] ?? (job as keyof typeof OTHER_JOBS)]}`
          },
        )
        .replaceAll('of job myesi-api', 'of job api-gateway')
    for (const file of filesMatching('test/monitoring/rules/*.test.yml')) {
      await passRuleTests(promtool, file, renamed(read(file)), () => rules)
    }
    for (const name of ['gateway.yml', 'slo.yml', ...DASHBOARDS]) {
      assert.doesNotMatch(
        readFileSync(join(folder, name), 'utf8'),
        /job=\\?"(?:myesi-api|redis|prometheus|alertmanager|incidents)/,
        name,
      )
    }
  })

  it('judge each cluster by itself, and keep its label in alerts, evidence and budgets', async () => {
    const settings = settingsOf('labels: [cluster, environment]')
    const folder = written(installationFiles(OBJECTIVES, settings))
    await runTool(
      'promtool',
      'check',
      'rules',
      '--lint=all',
      '--lint-fatal',
      join(folder, 'gateway.yml'),
      join(folder, 'slo.yml'),
    )
    const series = (cluster: string, outcome: string, values: string): object => ({
      series: `gateway_requests_total{job="myesi-api",cluster="${cluster}",environment="prod",http_route="/demo",gateway_upstream_name="demo",${outcome}}`,
      values,
    })
    const fault = 'gateway_outcome="fault",gateway_reason="reset"'
    const tests = {
      rule_files: [join(folder, 'gateway.yml')],
      evaluation_interval: '15s',
      tests: [
        {
          interval: '15s',
          input_series: [
            // All of both together fail by 4 %, those of one by 8 %.
            series('north', 'gateway_outcome="ok"', '0+100x40'),
            series('south', 'gateway_outcome="ok"', '0+92x40'),
            series('south', fault, '0+8x40'),
          ],
          alert_rule_test: [
            {
              eval_time: '8m',
              alertname: 'GatewayHttp500Spike',
              exp_alerts: [
                {
                  exp_labels: {
                    severity: 'critical',
                    component: 'gateway',
                    family: 'faults',
                    job: 'myesi-api',
                    cluster: 'south',
                    environment: 'prod',
                    http_route: '/demo',
                    gateway_upstream_name: 'demo',
                  },
                  exp_annotations: {
                    summary: 'Many requests of a route end in a 5xx or a broken answer',
                    description:
                      '8% of the requests to /demo (upstream demo) that were let through failed within 2 minutes.',
                    reason: 'reset',
                    runbook_url: 'monitoring/runbooks/GatewayHttp500Spike.md',
                    dashboard_url: '/d/myesi-gateway?var-route=%2Fdemo',
                    exemplar_query:
                      'http_server_request_duration_seconds_bucket{cluster="south",environment="prod",job="myesi-api",http_route="/demo",error_type!=""}',
                  },
                },
              ],
            },
          ],
        },
      ],
    }
    writeFileSync(join(folder, 'labels.test.yml'), JSON.stringify(tests))
    await runTool('promtool', 'test', 'rules', join(folder, 'labels.test.yml'))
  })

  it('carry other severities, thresholds and holds, and the route tree knows them', async () => {
    const settings = settingsOf(`
severities: { critical: P1, warning: P3 }
receivers: { page: pagerduty, team: slack-api }
alerts:
  GatewayHttp500Spike: { for: 2m, thresholds: { 0.05: 0.1, 10: 20 } }
  RedisMaxmemoryUnset: false
`)
    const files = installationFiles(OBJECTIVES, settings)
    const rules = groupsOf(files.get('gateway.yml')).flatMap(group => group.rules)
    const spike = rules.find(({ alert }) => alert === 'GatewayHttp500Spike')
    assert.equal(spike?.for, '2m')
    assert.equal(spike.labels?.['severity'], 'P1')
    assert.match(spike.expr, /> 0\.1\b[^]*>= 20\s*$/)
    assert.equal(
      rules.some(({ alert }) => alert === 'RedisMaxmemoryUnset'),
      false,
    )
    const folder = written(files)
    cpSync(join(ROOT, 'monitoring/templates'), join(folder, 'templates'), { recursive: true })
    const tree = `--config.file=${join(folder, 'alertmanager.yml')}`
    const goesTo = async (receiver: string, ...labels: string[]): Promise<unknown> =>
      await runTool('amtool', 'config', 'routes', 'test', tree, `--verify.receivers=${receiver}`, ...labels)
    await goesTo('pagerduty', 'severity=P1', 'alertname=X')
    await goesTo('slack-api', 'severity=P3', 'alertname=X')
    await goesTo('nobody', 'severity=info', 'alertname=X')
    await goesTo('heartbeat', 'severity=none', 'alertname=Watchdog')
  })

  it('come as PrometheusRule, and as files for the rulers of Mimir and Thanos', () => {
    const as = (format: string): unknown =>
      parse(
        installationFiles(
          OBJECTIVES,
          settingsOf(`format: ${format}\nresource: { name: gw, namespace: infra, labels: { release: kps } }`),
        ).get('gateway.yml') ?? '',
      )
    const { apiVersion, kind, metadata, spec } = as('operator') as Record<string, unknown>
    assert.deepEqual([apiVersion, kind], ['monitoring.coreos.com/v1', 'PrometheusRule'])
    assert.deepEqual(metadata, { name: 'gw-gateway', namespace: 'infra', labels: { release: 'kps' } })
    const plain = groupsOf(installationFiles(OBJECTIVES, SHIPPED_SETTINGS).get('gateway.yml'))
    assert.deepEqual((spec as { groups: RuleGroup[] }).groups, plain)
    assert.deepEqual(as('mimir'), { namespace: 'gw-gateway', groups: plain })
    assert.deepEqual(as('thanos'), { groups: plain.map(group => ({ ...group, partial_response_strategy: 'warn' })) })
  })

  it('are refused with settings that fit nothing, by name', () => {
    const make = (text: string) => () => installationFiles(OBJECTIVES, settingsOf(text))
    assert.throws(make('alerts: { GatewayHttp500Spikes: false }'), /there is no alert GatewayHttp500Spikes/)
    assert.throws(
      make('alerts: { RedisDown: { thresholds: { 7: 8 } } }'),
      /RedisDown\.thresholds.*compares nothing with 7/,
    )
    const { problems } = parseMonitoringSettings('jobs: { gatway: x }\nformat: json\n', 'settings.yaml')
    assert.deepEqual(
      problems.map(({ where, nearest, allowed }) => [where, nearest ?? allowed]),
      [
        ['settings.yaml:1:9 jobs.gatway', 'gateway'],
        ['settings.yaml:2:9 format', 'prometheus, operator, mimir, thanos'],
      ],
    )
  })
})
