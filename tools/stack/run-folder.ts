import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import type { Environment } from '../../src/config/env'
import { GATEWAYS_BY_NAME, copyMonitoring, scrapedAt } from './monitoring-copy'

/** Compiled, this file is dist/tools/stack/run-folder.js. */
const ROOT = resolve(__dirname, '../../..')
const SHIPPED = join(ROOT, 'monitoring')

/** The files of a run on disk. */
export interface RunFolder {
  /** One log per process. */
  readonly logs: string
  /** The shipped monitoring files with this run's addresses. */
  readonly monitoring: string
  /** A folder for a program's data; created on request. */
  data(program: string): string
}

/** Creates an empty run folder: the files of an earlier run are removed, logs included. */
export function makeRunFolder(path: string): RunFolder {
  rmSync(path, { recursive: true, force: true })
  const folder = (name: string): string => {
    mkdirSync(join(path, name), { recursive: true })
    return join(path, name)
  }
  return { logs: folder('logs'), monitoring: folder('monitoring'), data: folder }
}

export interface MonitoringPorts {
  readonly gatewayOps: number
  readonly redisExporter: number
  readonly prometheus: number
  readonly alertmanager: number
  readonly incidents: number
  readonly smtp: number
  readonly slackCatcher: number
  /** Undefined: no Collector runs. */
  readonly collector: { readonly telemetry: number; readonly prometheus: number } | undefined
}

/**
 * Writes the shipped files with the addresses of this run to `folder`. `SLACK_API_URL_FILE` and `SMTP_PASSWORD_FILE`
 * name files with real secrets, as for docker-compose.yml; without them, messages go to the catchers.
 */
export function writeMonitoring(folder: string, ports: MonitoringPorts, env: Environment): void {
  const slackFile = join(folder, 'slack_api_url')
  const replacements: Record<string, string> = {
    [GATEWAYS_BY_NAME]: scrapedAt(`127.0.0.1:${ports.gatewayOps}`),
    'redis-exporter:9121': `127.0.0.1:${ports.redisExporter}`,
    'localhost:9090': `127.0.0.1:${ports.prometheus}`,
    'alertmanager:9093': `127.0.0.1:${ports.alertmanager}`,
    'incidents:9095': `127.0.0.1:${ports.incidents}`,
  }
  // A smarthost or secrets set by the user are kept.
  const ofCatchers = {
    'mail:1025': `127.0.0.1:${ports.smtp}`,
    '/run/secrets/slack_api_url': resolve(env['SLACK_API_URL_FILE'] || slackFile),
    '/run/secrets/smtp_password': resolve(env['SMTP_PASSWORD_FILE'] || join(SHIPPED, 'catcher/smtp_password')),
  }
  const alertmanagerFile = readFileSync(join(SHIPPED, 'alertmanager.yml'), 'utf8')
  for (const [name, here] of Object.entries(ofCatchers)) {
    if (alertmanagerFile.includes(name)) replacements[name] = here
  }
  copyMonitoring({ folder, replacements })
  writeFileSync(slackFile, `http://127.0.0.1:${ports.slackCatcher}/`)
  nameCollector(join(folder, 'prometheus.yml'), ports.collector)
}

interface ScrapeConfig {
  readonly job_name: string
  readonly dns_sd_configs?: readonly { readonly port: number }[]
}

/** Replaces the Collector's DNS name, which this machine does not resolve, by its address, or removes it. */
function nameCollector(prometheusFile: string, collector: MonitoringPorts['collector']): void {
  const config = parse(readFileSync(prometheusFile, 'utf8')) as { scrape_configs: ScrapeConfig[] }
  const here: Readonly<Record<number, number | undefined>> = { 8888: collector?.telemetry, 8889: collector?.prometheus }
  const scrapeConfigs = config.scrape_configs.map(({ dns_sd_configs: byName, ...scrape }) => {
    if (byName === undefined) return scrape
    const ports = byName.map(({ port }) => here[port]).filter(port => port !== undefined)
    return { ...scrape, static_configs: [{ targets: ports.map(port => `127.0.0.1:${port}`) }] }
  })
  const note = '# Made from monitoring/prometheus.yml for one run; changes here are lost.\n'
  writeFileSync(prometheusFile, note + stringify({ ...config, scrape_configs: scrapeConfigs }))
}
