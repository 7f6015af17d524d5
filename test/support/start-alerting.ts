import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { findBinary } from '../../src/stack/binaries'
import { copyMonitoring } from '../../src/stack/monitoring-copy'
import { freePort } from './free-port'
import { shortened } from './shortened'
import { plainEnvironment, startProcess, type TestProcess } from './start-process'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

export interface AlertingOptions {
  readonly gatewayOpsPort: number
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
  writeFileSync(join(secrets, 'slack_api_url'), options.slackUrl)
  writeFileSync(join(secrets, 'smtp_password'), 'not-a-secret')
  copyMonitoring({
    folder,
    replacements: {
      'gateway:9464': `127.0.0.1:${options.gatewayOpsPort}`,
      'redis-exporter:9121': `127.0.0.1:${exporterPort}`,
      'localhost:9090': `127.0.0.1:${prometheusPort}`,
      'alertmanager:9093': `127.0.0.1:${alertmanagerPort}`,
      'incidents:9095': `127.0.0.1:${incidentsPort}`,
      'mail:1025': `127.0.0.1:${options.mailPort}`,
      '/run/secrets': secrets,
    },
    transform: text => shortened(text, options.factor),
  })
  await startExporter(exporterPort, options.redisPort)
  await startAlertmanager(alertmanagerPort, folder)
  const prometheusUrl = `http://127.0.0.1:${prometheusPort}`
  const alertmanagerUrl = `http://127.0.0.1:${alertmanagerPort}`
  const incidents =
    options.incidents &&
    (await startIncidents(incidentsPort, {
      PROMETHEUS_URL: prometheusUrl,
      ALERTMANAGER_URLS: alertmanagerUrl,
      INCIDENTS_FOLDER: temporaryFolder(),
      ...options.incidents,
    }))
  await startPrometheus(prometheusPort, folder)
  await until(() => allTargetsUp(prometheusUrl, incidents !== undefined), {
    what: 'all targets are up',
    timeoutMs: 30_000,
    intervalMs: 100,
  })
  return { prometheusUrl, alertmanagerUrl, incidentsUrl: `http://127.0.0.1:${incidentsPort}`, incidents, folder }
}

async function startExporter(port: number, redisPort: number): Promise<void> {
  const { path } = await findBinary('redis_exporter')
  const address = ['-redis.addr', `redis://127.0.0.1:${redisPort}`]
  startProcess({ name: 'redis_exporter', path, args: [...address, '-web.listen-address', `127.0.0.1:${port}`] })
  await answers(`http://127.0.0.1:${port}/health`)
}

async function startAlertmanager(port: number, folder: string): Promise<void> {
  const { path } = await findBinary('alertmanager')
  const data = join(folder, 'alertmanager-data')
  mkdirSync(data)
  startProcess({
    name: 'alertmanager',
    path,
    args: [
      `--config.file=${join(folder, 'alertmanager.yml')}`,
      `--storage.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
      `--web.external-url=http://127.0.0.1:${port}`,
      '--cluster.listen-address=',
    ],
  })
  await answers(`http://127.0.0.1:${port}/-/ready`)
}

async function startIncidents(port: number, env: NodeJS.ProcessEnv): Promise<TestProcess> {
  const service = startProcess({
    name: 'incidents',
    path: process.execPath,
    args: ['--enable-source-maps', resolve(__dirname, '../../src/incidents/main.js')],
    env: plainEnvironment({ INCIDENTS_PORT: `${port}`, ...env }),
  })
  await answers(`http://127.0.0.1:${port}/-/ready`)
  return service
}

async function startPrometheus(port: number, folder: string): Promise<void> {
  const { path } = await findBinary('prometheus')
  startProcess({
    name: 'prometheus',
    path,
    args: [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'prometheus-data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
    ],
  })
  await answers(`http://127.0.0.1:${port}/-/ready`)
}

async function answers(url: string): Promise<void> {
  await until(async () => (await fetch(url)).ok, { what: `${url} answers`, timeoutMs: 20_000, intervalMs: 50 })
}

/** Those with an address here: the Collector's are found by name, and there is none in this run. */
async function allTargetsUp(prometheusUrl: string, withIncidents: boolean): Promise<boolean> {
  const response = await fetch(`${prometheusUrl}/api/v1/targets?state=active`)
  const { data } = (await response.json()) as { data: { activeTargets: { health: string; labels: { job: string } }[] } }
  const up = new Set(data.activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels.job))
  const expected = ['alertmanager', 'myesi-api', 'prometheus', 'redis', ...(withIncidents ? ['incidents'] : [])]
  return expected.every(job => up.has(job))
}
