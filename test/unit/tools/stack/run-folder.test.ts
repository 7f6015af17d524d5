import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { makeRunFolder, writeMonitoring, type MonitoringPorts } from '../../../../tools/stack/run-folder'
import { temporaryFolder } from '../../../support/temporary-folder'

const PORTS: MonitoringPorts = {
  gatewayOps: 40001,
  redisExporter: 40002,
  prometheus: 40003,
  incidents: 9,
  alertmanager: 40004,
  smtp: 40005,
  slackCatcher: 40006,
  collector: undefined,
}

interface Scrape {
  readonly job_name: string
  readonly dns_sd_configs?: unknown
  readonly static_configs?: readonly { readonly targets: readonly string[] }[]
}

function scrapesIn(folder: string): Scrape[] {
  return (parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8')) as { scrape_configs: Scrape[] }).scrape_configs
}

function targetsOf(folder: string, job: string): readonly string[] | undefined {
  return scrapesIn(folder)
    .find(scrape => scrape.job_name === job)
    ?.static_configs?.flatMap(({ targets }) => targets)
}

describe('the run folder', () => {
  it('starts empty', () => {
    const path = join(temporaryFolder(), 'run')
    writeFileSync(join(makeRunFolder(path).logs, 'old.log'), 'old')
    const folder = makeRunFolder(path)
    assert.equal(existsSync(join(folder.logs, 'old.log')), false)
    assert.ok(existsSync(folder.data('redis')))
  })

  it('holds the monitoring files with the addresses of the run', () => {
    const { monitoring } = makeRunFolder(join(temporaryFolder(), 'run'))
    writeMonitoring(monitoring, PORTS, {})
    assert.deepEqual(targetsOf(monitoring, 'myesi-api'), ['127.0.0.1:40001'])
    assert.deepEqual(targetsOf(monitoring, 'redis'), ['127.0.0.1:40002'])
    assert.deepEqual(targetsOf(monitoring, 'alertmanager'), ['127.0.0.1:40004'])
    const alertmanager = readFileSync(join(monitoring, 'alertmanager.yml'), 'utf8')
    assert.match(alertmanager, /smtp_smarthost: 127\.0\.0\.1:40005/)
    const slackFile = /slack_api_url_file: (.*)/.exec(alertmanager)?.[1] ?? ''
    assert.equal(readFileSync(slackFile, 'utf8'), 'http://127.0.0.1:40006/')
  })

  it('asks no name server for a Collector', () => {
    const { monitoring } = makeRunFolder(join(temporaryFolder(), 'run'))
    writeMonitoring(monitoring, PORTS, {})
    assert.deepEqual(
      scrapesIn(monitoring).filter(scrape => scrape.dns_sd_configs !== undefined),
      [],
    )
    assert.deepEqual(targetsOf(monitoring, 'otel-collector'), [])
  })

  it('names the Collector that runs', () => {
    const { monitoring } = makeRunFolder(join(temporaryFolder(), 'run'))
    writeMonitoring(monitoring, { ...PORTS, collector: { telemetry: 40007, prometheus: 40008 } }, {})
    assert.deepEqual(targetsOf(monitoring, 'otel-collector'), ['127.0.0.1:40007'])
    assert.deepEqual(targetsOf(monitoring, 'span-metrics'), ['127.0.0.1:40008'])
  })

  it('takes real secrets where they are named', () => {
    const { monitoring } = makeRunFolder(join(temporaryFolder(), 'run'))
    writeMonitoring(monitoring, PORTS, { SLACK_API_URL_FILE: '/secrets/slack', SMTP_PASSWORD_FILE: '/secrets/mail' })
    const alertmanager = readFileSync(join(monitoring, 'alertmanager.yml'), 'utf8')
    assert.match(alertmanager, /slack_api_url_file: \/secrets\/slack$/m)
    assert.match(alertmanager, /smtp_auth_password_file: \/secrets\/mail$/m)
  })
})
