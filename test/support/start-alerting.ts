import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { alertmanagerPlan, incidentsPlan, prometheusPlan, redisExporterPlan } from '../../tools/stack/components'
import { GATEWAYS_BY_NAME, copyMonitoring, scrapedAt } from '../../tools/stack/monitoring-copy'
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
  /** Further Redis servers, each with a redis_exporter of its own. */
  readonly moreRedis?: readonly RunningRedis[]
  /** Addresses of the own metrics of Collectors; found by name in the shipped file. */
  readonly collectors?: readonly string[]
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
  const moreRedis = watched.moreRedis ?? []
  // All at once: one that is asked for later may be the same, as none of them is in use yet.
  const [prometheusPort = 0, alertmanagerPort = 0, incidentsPort = 0, exporterPort = 0, ...morePorts] =
    await Promise.all(Array.from({ length: 4 + moreRedis.length }, freePort))
  const exporters = [exporterPort, ...morePorts]
  const folder = temporaryFolder()
  const secrets = temporaryFolder()
  writeFileSync(join(secrets, 'slack_api_url'), slack.url)
  writeFileSync(join(secrets, 'smtp_password'), 'not-a-secret')
  copyMonitoring({
    folder,
    replacements: {
      [GATEWAYS_BY_NAME]: scrapedAt(...watched.gateways.map(({ opsPort }) => `127.0.0.1:${opsPort}`)),
      'redis-exporter:9121': exporters.map(port => `127.0.0.1:${port}`).join(', '),
      'localhost:9090': `127.0.0.1:${prometheusPort}`,
      'alertmanager:9093': `127.0.0.1:${alertmanagerPort}`,
      'incidents:9095': `127.0.0.1:${incidentsPort}`,
      'mail:1025': `127.0.0.1:${mail.port}`,
      '/run/secrets': secrets,
    },
    transform: text => {
      const short = shortened(withCollectors(text, watched.collectors ?? []), watched.factor)
      return watched.waitForEvidence === true ? short.replaceAll(GROUP_WAIT, `$1${EVIDENCE_WAIT_MS}ms`) : short
    },
  })
  await startPlanned(await redisExporterPlan(exporterPort, watched.redis.port))
  for (const [index, { port }] of moreRedis.entries())
    await startPlanned(await redisExporterPlan(morePorts[index] ?? 0, port))
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

/** The job of the Collector with addresses in place of a name. */
function withCollectors(text: string, targets: readonly string[]): string {
  if (targets.length === 0) return text
  const byName = /(- job_name: otel-collector\n)(?:(?! {2}- job_name)[^])*?dns_sd_configs:\n(?: {6,}.*\n)+/
  return text.replace(
    byName,
    (_, job: string) => `${job}    static_configs:\n      - targets: [${targets.join(', ')}]\n`,
  )
}

/** Those with an address here: the Collector's are found by name, and there is none in this run. */
async function allTargetsUp(prometheusUrl: string, withIncidents: boolean): Promise<boolean> {
  const response = await fetch(`${prometheusUrl}/api/v1/targets?state=active`)
  const { data } = (await response.json()) as { data: { activeTargets: { health: string; labels: { job: string } }[] } }
  const up = new Set(data.activeTargets.filter(({ health }) => health === 'up').map(({ labels }) => labels.job))
  const expected = ['alertmanager', 'myesi-api', 'prometheus', 'redis', ...(withIncidents ? ['incidents'] : [])]
  return expected.every(job => up.has(job))
}
