import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { alertmanagerPlan, incidentsPlan, prometheusPlan, redisExporterPlan } from '../../src/stack/components'
import { copyMonitoring } from '../../src/stack/monitoring-copy'
import { freePort } from './free-port'
import { shortened } from './shortened'
import { startPlanned } from './start-planned'
import type { TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

export interface AlertingOptions {
  readonly gatewayOpsPort: number
  /** Of other gateways that are scraped as well. */
  readonly moreGatewayOpsPorts?: readonly number[]
  readonly redisPort: number
  readonly slackUrl: string
  readonly mailPort: number
  /** The incident service runs too, with these settings beside its addresses; undefined: it is down. */
  readonly incidents?: NodeJS.ProcessEnv | undefined
  /** By which every duration of the shipped files is divided. */
  readonly factor: number
}

export interface RunningAlerting {
  readonly prometheusUrl: string
  readonly alertmanagerUrl: string
  readonly incidentsUrl: string
  readonly incidents: TestProcess | undefined
  /** The copy of the shipped files that the two run with. */
  readonly folder: string
  /** Ends all of it; left running, it would disturb the tests that follow. */
  stop(): Promise<void>
}

/** redis_exporter, Prometheus and Alertmanager as real processes, with the shipped files; ready when all targets are up. */
export async function startAlerting(options: AlertingOptions): Promise<RunningAlerting> {
  const [prometheusPort, alertmanagerPort, incidentsPort, exporterPort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ])
  const folder = temporaryFolder()
  const secrets = temporaryFolder()
  const gatewayPorts = [options.gatewayOpsPort, ...(options.moreGatewayOpsPorts ?? [])]
  writeFileSync(join(secrets, 'slack_api_url'), options.slackUrl)
  writeFileSync(join(secrets, 'smtp_password'), 'not-a-secret')
  copyMonitoring({
    folder,
    replacements: {
      'gateway:9464': gatewayPorts.map(port => `127.0.0.1:${port}`).join(', '),
      'redis-exporter:9121': `127.0.0.1:${exporterPort}`,
      'localhost:9090': `127.0.0.1:${prometheusPort}`,
      'alertmanager:9093': `127.0.0.1:${alertmanagerPort}`,
      'incidents:9095': `127.0.0.1:${incidentsPort}`,
      'mail:1025': `127.0.0.1:${options.mailPort}`,
      '/run/secrets': secrets,
    },
    transform: text => shortened(text, options.factor),
  })
  const exporter = await startPlanned(await redisExporterPlan(exporterPort, options.redisPort))
  const alertmanager = await startPlanned(await alertmanagerPlan(alertmanagerPort, folder, temporaryFolder()))
  const ports = { prometheus: prometheusPort, alertmanager: alertmanagerPort }
  const incidentsEnv = { INCIDENTS_FOLDER: temporaryFolder(), ...options.incidents }
  const incidents = options.incidents && (await startPlanned(incidentsPlan(incidentsPort, ports, incidentsEnv)))
  const prometheus = await startPlanned(await prometheusPlan(prometheusPort, folder, temporaryFolder()))
  const prometheusUrl = `http://127.0.0.1:${prometheusPort}`
  const alertmanagerUrl = `http://127.0.0.1:${alertmanagerPort}`
  await until(() => allTargetsUp(prometheusUrl, incidents !== undefined), {
    what: 'all targets are up',
    timeoutMs: 30_000,
    intervalMs: 100,
  })
  return {
    prometheusUrl,
    alertmanagerUrl,
    incidentsUrl: `http://127.0.0.1:${incidentsPort}`,
    incidents,
    folder,
    stop: async () => {
      await Promise.all([prometheus, incidents, alertmanager, exporter].map(async started => started?.kill()))
    },
  }
}

/** Those with an address here: the Collector's are found by name, and there is none in this run. */
async function allTargetsUp(prometheusUrl: string, withIncidents: boolean): Promise<boolean> {
  const response = await fetch(`${prometheusUrl}/api/v1/targets?state=active`)
  const { data } = (await response.json()) as { data: { activeTargets: { health: string; labels: { job: string } }[] } }
  const up = new Set(data.activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels.job))
  const expected = ['alertmanager', 'myesi-api', 'prometheus', 'redis', ...(withIncidents ? ['incidents'] : [])]
  return expected.every(job => up.has(job))
}
