import assert from 'node:assert/strict'
import { findOlderTool } from '../../tools/stack/binaries'
import { needs, needsOlder } from '../support/needs'
import { alertsIn, filesMatching, read, readYaml, ruleFiles } from './monitoring-files'
import { runTool, runToolAt } from './run-tool'

const CONFIG = 'monitoring/alertmanager.yml'

interface AlertmanagerConfig {
  readonly receivers: readonly { name: string; slack_configs?: object[]; email_configs?: object[] }[]
}

/** Who has to be told, by severity. */
const RECEIVERS: Readonly<Record<string, string>> = { critical: 'page', warning: 'team', info: 'nobody' }

describe('Alertmanager configuration', () => {
  describe('read by amtool', function () {
    // A program of its own for each of them, on a machine that may be busy.
    this.timeout(60_000)

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

  describe('read by the older amtool of the Debian release', function () {
    // The package may have to be fetched.
    this.timeout(600_000)

    before(needsOlder('amtool'))

    it('is accepted with its templates', async () => {
      assert.match(await runToolAt((await findOlderTool('amtool')).path, 'check-config', CONFIG), /1 templates/)
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
})

function config(): AlertmanagerConfig {
  return readYaml(CONFIG) as AlertmanagerConfig
}

async function receiversOf(labels: Readonly<Record<string, string>>): Promise<string> {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  const output = await runTool('amtool', 'config', 'routes', 'test', `--config.file=${CONFIG}`, ...pairs)
  // 0.25 warns on standard error, before or after its answer.
  const answers = output.split('\n').filter(line => line !== '' && !line.startsWith('Warning:'))
  return answers.join('\n')
}
