import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { alertmanagerPlan, incidentsPlan, prometheusPlan, redisExporterPlan } from '../../tools/stack/components'
import { copyMonitoring } from '../../tools/stack/monitoring-copy'
import { freePort } from './free-port'
import type { MailServer } from './mail-server'
import { shortened } from './shortened'
import type { SlackStandIn } from './slack-stand-in'
import type { RunningGateway } from './start-gateway'
import { startPlanned } from './start-planned'
import type { TestProcess } from './start-process'
import type { RunningRedis } from './start-redis'
import { temporaryFolder } from './temporary-folder'
import { until } from './until'

/** What is watched, and how. */
export interface Watched {
  readonly gateways: readonly RunningGateway[]
  readonly redis: RunningRedis
  /** The incident service runs too, with these settings beside its addresses; undefined: it is down. */
  readonly incidents?: NodeJS.ProcessEnv | undefined
  /** By which every duration of the shipped files is divided. */
  readonly factor: number
  /**
   * Alertmanager waits for the evidence before its first message, as it does with the shipped durations: `group_wait` is then
   * longer than the incident service may take (5 s). Divided by the factor it would be shorter, and on a busy machine
   * the message would go out without evidence.
   */
  readonly waitForEvidence?: boolean
}

export interface RunningAlerting {
  readonly prometheusUrl: string
  readonly alertmanagerUrl: string
  readonly incidentsUrl: string
  readonly incidents: TestProcess | undefined
  /** The copy of the shipped files that the two run with. */
  readonly folder: string
}

/** Who is told. */
export interface Receivers {
  readonly slack: SlackStandIn
  readonly mail: MailServer
}

/** Those of pages and of other messages, not the one of the watchdog, which waits for nothing. */
const GROUP_WAIT = /(group_wait: )(?!0ms)\d+ms/g
const EVIDENCE_WAIT_MS = 6_000

/** redis_exporter, Prometheus and Alertmanager as real processes, with the shipped files; ready when all targets are up. */
export async function startAlerting(watched: Watched, { slack, mail }: Receivers): Promise<RunningAlerting> {
  const [prometheusPort, alertmanagerPort, incidentsPort, exporterPort] = await Promise.all([
    freePort(),
    freePort(),
    freePort(),
    freePort(),
  ])
  const folder = temporaryFolder()
  const secrets = temporaryFolder()
  writeFileSync(join(secrets, 'slack_api_url'), slack.url)
  writeFileSync(join(secrets, 'smtp_password'), 'not-a-secret')
  copyMonitoring({
    folder,
    replacements: {
      'gateway:9464': watched.gateways.map(({ opsPort }) => `127.0.0.1:${opsPort}`).join(', '),
      'redis-exporter:9121': `127.0.0.1:${exporterPort}`,
      'localhost:9090': `127.0.0.1:${prometheusPort}`,
      'alertmanager:9093': `127.0.0.1:${alertmanagerPort}`,
      'incidents:9095': `127.0.0.1:${incidentsPort}`,
      'mail:1025': `127.0.0.1:${mail.port}`,
      '/run/secrets': secrets,
    },
    transform: text => {
      const short = shortened(text, watched.factor)
      return watched.waitForEvidence === true ? short.replaceAll(GROUP_WAIT, `$1${EVIDENCE_WAIT_MS}ms`) : short
    },
  })
  await startPlanned(await redisExporterPlan(exporterPort, watched.redis.port))
  await startPlanned(await alertmanagerPlan(alertmanagerPort, folder, temporaryFolder()))
  const ports = { prometheus: prometheusPort, alertmanager: alertmanagerPort }
  const incidentsEnv = { INCIDENTS_FOLDER: temporaryFolder(), ...watched.incidents }
  const incidents = watched.incidents && (await startPlanned(incidentsPlan(incidentsPort, ports, incidentsEnv)))
  await startPlanned(await prometheusPlan(prometheusPort, folder, temporaryFolder()))
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
