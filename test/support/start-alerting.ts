import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { alertmanagerPlan, incidentsPlan, prometheusPlan, redisExporterPlan } from '../../tools/stack/components'
import type { ComponentPlan } from '../../tools/stack/component'
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
  /** A second Alertmanager, which knows nothing of the first one: people get every message twice. */
  readonly secondAlertmanager?: boolean
  /** By which every duration of the shipped files is divided. */
  readonly factor: number
  /**
   * Alertmanager waits for the evidence before its first message, as it does with the shipped durations: `group_wait` is then
   * longer than the incident service may take (5 s). Divided by the factor it would be shorter, and on a busy machine
   * the message would go out without evidence.
   */
  readonly waitForEvidence?: boolean
}

/** A program that a test ends and starts again with other arguments or another environment, on its old port. */
export interface Restartable {
  kill(): Promise<void>
  start(changed?: (plan: ComponentPlan) => ComponentPlan): Promise<void>
}

export interface RunningAlerting {
  readonly prometheusUrl: string
  readonly alertmanagerUrl: string
  readonly incidentsUrl: string
  readonly incidents: TestProcess | undefined
  readonly restartable: {
    readonly prometheus: Restartable
    readonly incidents: Restartable
    readonly secondAlertmanager: Restartable
  }
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
  const [prometheusPort = 0, alertmanagerPort = 0, secondPort = 0, incidentsPort = 0, exporterPort = 0, ...morePorts] =
    await Promise.all(Array.from({ length: 5 + moreRedis.length }, freePort))
  const alertmanagers = [alertmanagerPort, ...(watched.secondAlertmanager === true ? [secondPort] : [])]
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
      'alertmanager:9093': alertmanagers.map(port => `127.0.0.1:${port}`).join(', '),
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
  const started = async (plan: ComponentPlan): Promise<Restartable & { readonly process: TestProcess }> => {
    let child = await startPlanned(plan)
    return {
      process: child,
      kill: async () => void (await child.kill()),
      start: async (changed = same => same) => {
        child = await startPlanned(changed(plan))
      },
    }
  }
  await startPlanned(await alertmanagerPlan(alertmanagerPort, folder, temporaryFolder()))
  const second =
    watched.secondAlertmanager === true
      ? await started(await alertmanagerPlan(secondPort, folder, temporaryFolder()))
      : undefined
  const ports = { prometheus: prometheusPort, alertmanager: alertmanagerPort }
  const incidentsEnv = { INCIDENTS_FOLDER: temporaryFolder(), ...watched.incidents }
  const incidentsAlone = incidentsPlan(incidentsPort, ports, incidentsEnv)
  const urls = alertmanagers.map(port => `http://127.0.0.1:${port}`).join(',')
  const incidents =
    watched.incidents && (await started({ ...incidentsAlone, env: { ...incidentsAlone.env, ALERTMANAGER_URLS: urls } }))
  const prometheus = await started(await prometheusPlan(prometheusPort, folder, temporaryFolder()))
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
    incidents: incidents?.process,
    restartable: {
      prometheus,
      incidents: incidents ?? NOT_THERE,
      secondAlertmanager: second ?? NOT_THERE,
    },
    folder,
  }
}

/** What was not asked for. */
const NOT_THERE: Restartable = {
  kill: async () => assert.fail('was not started'),
  start: async () => assert.fail('was not started'),
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
