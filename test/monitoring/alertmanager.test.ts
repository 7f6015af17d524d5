import assert from 'node:assert/strict'
import { needs } from '../support/needs'
import { alertsIn, filesMatching, read, readYaml, ruleFiles } from './monitoring-files'
import { runTool } from './run-tool'

const CONFIG = 'monitoring/alertmanager.yml'

interface Inhibition {
  readonly source_matchers: readonly string[]
  readonly target_matchers: readonly string[]
  readonly equal?: readonly string[]
}

interface AlertmanagerConfig {
  readonly receivers: readonly { name: string; slack_configs?: object[]; email_configs?: object[] }[]
  readonly inhibit_rules: readonly Inhibition[]
}

/** Who has to be told, by severity. */
const RECEIVERS: Readonly<Record<string, string>> = { critical: 'page', warning: 'team', info: 'nobody' }

describe('Alertmanager configuration', () => {
  describe('read by amtool', () => {
    before(needs('amtool'))

    it('is accepted with its templates', async () => {
      assert.match(await runTool('amtool', 'check-config', CONFIG), /1 templates/)
    })

    for (const { alert, labels = {} } of ruleFiles().flatMap(alertsIn)) {
      const severity = labels['severity'] ?? ''
      const receiver = alert === 'Watchdog' ? 'heartbeat' : RECEIVERS[severity]
      it(`sends ${alert} to ${receiver}`, async () => {
        assert.equal(await receiversOf({ alertname: alert, ...labels }), receiver)
      })
    }

    it('tells the team about an alert that nobody thought of', async () => {
      assert.equal(await receiversOf({ alertname: 'FromSomewhereElse' }), 'team')
    })
  })

  it('reaches people by Slack and by mail, for pages and for warnings', () => {
    for (const name of ['page', 'team']) {
      const receiver = config().receivers.find(candidate => candidate.name === name)
      assert.equal(receiver?.slack_configs?.length, 1, `${name} by Slack`)
      assert.equal(receiver?.email_configs?.length, 1, `${name} by mail`)
    }
  })

  it('holds no secret: they come from files', () => {
    assert.doesNotMatch(read(CONFIG), /hooks\.slack\.com|slack_api_url:|api_url:|password:/)
    assert.match(read(CONFIG), /slack_api_url_file: \S+\n/)
    assert.match(read(CONFIG), /smtp_auth_password_file: \S+\n/)
  })

  it('uses no template that is not defined, and defines none that is not used', () => {
    const files = filesMatching('monitoring/templates/*.tmpl').map(read)
    const named = (pattern: RegExp, texts: readonly string[]): string[] =>
      [...new Set(texts.flatMap(text => [...text.matchAll(pattern)].map(([, name]) => name ?? '')))].sort()
    assert.deepEqual(named(/\{\{-? define "([^"]+)"/g, files), named(/template "([^"]+)"/g, [read(CONFIG), ...files]))
  })

  describe('silences consequences', () => {
    const route = { job: 'myesi-api', http_route: '/api/orders', gateway_upstream_name: 'orders' }
    const redis = { job: 'redis', instance: 'redis-exporter:9121' }
    const gateway = { job: 'myesi-api', instance: 'gateway:9464' }
    const spike = fired('GatewayHttp500Spike', route)
    const redisDown = fired('RedisDown', redis)
    const absent = fired('GatewayAbsent', { job: 'myesi-api' })

    for (const [source, verb, target, because] of [
      [spike, 'silences', fired('GatewayRequestsFailing', route), 'the page about a route says it all'],
      [
        spike,
        'leaves',
        fired('GatewayRequestsFailing', { ...route, http_route: '/api/x' }),
        'another route is another problem',
      ],
      [spike, 'leaves', fired('GatewayRateLimitSurge', route), 'faults do not explain refusals'],
      [redisDown, 'silences', fired('GatewayRateLimitDegraded', gateway), 'without Redis the gateway counts by itself'],
      [redisDown, 'silences', fired('RedisMemoryHigh', redis), 'a Redis that is gone has no memory to look after'],
      [redisDown, 'leaves', fired('RedisMemoryHigh', { ...redis, instance: 'other:9121' }), 'another Redis still has'],
      [redisDown, 'leaves', spike, 'users feel it, where limits are closed when Redis fails'],
      [
        fired('RedisRejectedConnections', redis),
        'silences',
        fired('RedisConnectionsHigh', redis),
        'full is more than nearly full',
      ],
      [absent, 'silences', fired('TargetDown', gateway), 'no gateway means no target'],
      [absent, 'leaves', fired('TargetDown', redis), 'the exporter is another target'],
    ] as const) {
      it(`${source['alertname']} ${verb} ${target['alertname']}: ${because}`, () => {
        const silenced = config().inhibit_rules.some(rule => inhibits(rule, source, target))
        assert.equal(silenced, verb === 'silences')
      })
    }
  })
})

type Labels = Readonly<Record<string, string>>

/** The labels of an alert as it arrives: its rule's and its series'. */
function fired(alertname: string, labels: Labels): Labels {
  const rule = ruleFiles()
    .flatMap(alertsIn)
    .find(({ alert }) => alert === alertname)
  assert.ok(rule !== undefined, `no rule of that name: ${alertname}`)
  return { ...labels, ...rule.labels, alertname }
}

function config(): AlertmanagerConfig {
  return readYaml(CONFIG) as AlertmanagerConfig
}

async function receiversOf(labels: Labels): Promise<string> {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  const output = await runTool('amtool', 'config', 'routes', 'test', `--config.file=${CONFIG}`, ...pairs)
  // 0.25 warns before it answers.
  return output.trim().split('\n').at(-1) ?? ''
}

/** As Alertmanager decides it: both sides match, and a label that both lack counts as equal. */
function inhibits(rule: Inhibition, source: Labels, target: Labels): boolean {
  return (
    rule.source_matchers.every(matcher => matches(matcher, source)) &&
    rule.target_matchers.every(matcher => matches(matcher, target)) &&
    (rule.equal ?? []).every(label => source[label] === target[label])
  )
}

function matches(matcher: string, labels: Labels): boolean {
  const [, name, operator, value] = /^(\w+)(=~|=)"(.*)"$/.exec(matcher) ?? []
  assert.ok(name !== undefined && value !== undefined, `a matcher this test cannot read: ${matcher}`)
  const actual = labels[name] ?? ''
  return operator === '=' ? actual === value : new RegExp(`^(?:${value})$`).test(actual)
}
