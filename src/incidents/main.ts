import './preload'
import { telemetry } from '../../otel/sdk/register'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { processEnv } from '../config/env'
import { EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from '../config/exit-codes'
import { readIncidentSettings, type IncidentSettings } from '../config/incident-settings'
import type { ConfigProblem } from '../config/types'
import { formatProblems, hasErrors } from '../config/problems'
import { ignoreErrorsOfStandardError } from '../telemetry/standard-output'
import { createLogger, type Logger } from '../telemetry/logger'
import { answerArguments } from '../process/program-arguments'
import { onNpmExit } from '../process/on-npm-exit'
import type { Alert, Labels } from './alerts/alert'
import { AlertmanagerOutbox } from './alerts/alertmanager-outbox'
import { Relay, type Gathered, type Look } from './alerts/relay'
import { sendWith, type Send } from './backends/backend'
import { readHttpConfig } from './backends/http-config'
import { toAnnotations } from './evidence/annotations'
import type { Evidence } from './evidence/evidence'
import { countAffected, lastFailureOf, shareEvidence, type GatherOptions } from './evidence/gather'
import { logSource } from './evidence/log-sources'
import { isPartial } from './evidence/merge'
import { PrometheusClient } from './evidence/prometheus'
import { resolutionInWords } from './evidence/resolution'
import { SharedAnswers } from './evidence/shared-answers'
import { jaeger, tempo } from './evidence/trace-sources'
import { linkAnnotations, type Places } from './page/links'
import { FleetReader } from './fleet/fleet-reader'
import { createPages } from './page/pages'
import { FileIncidentStore } from './record/file-incident-store'
import { ChangeLog, parseChange, type ChangeStore } from './record/change-log'
import { IncidentLog } from './record/incident-log'
import type { IncidentStore } from './record/incident-store'
import { RedisIncidentStore } from './record/redis-incident-store'
import { createIncidentServer } from './server'
import { IncidentMetrics } from './telemetry'

const TELEMETRY_FLUSH_MS = 3_000
const FORGET_EVERY_MS = 60_000
/** How long answers of Prometheus serve the fleet page, which reloads itself. */
const FLEET_KEEP_MS = 2_000

const USAGE = `node dist/src/incidents/main.js

Starts the incident service. Settings are variables of the environment: docs/configuration.md.

  -h, --help      print this
  -v, --version   print the version

Exit code: 0, ${EXIT_USAGE} for other arguments, ${EXIT_CONFIG} for a configuration that is wrong, ${EXIT_OS_ERROR} when it cannot listen.`

async function main(): Promise<void> {
  ignoreErrorsOfStandardError()
  answerArguments(USAGE, () => 'its settings are variables of the environment')
  const settings = readSettings()
  const send = openBackends(settings)
  const { log, flush } = createLogger(settings.logLevel)
  telemetry.onDiagnostic(({ level, message }) => log[level]({ event: 'telemetry' }, message))
  const store = createStore(settings, log)
  const changes = new ChangeLog(store, onceInAWhile(log, 'posted changes cannot be stored'))
  const incidents = new IncidentLog(store, {
    onStoreFailure: onceInAWhile(log, 'incidents cannot be remembered'),
  })
  const restored = await incidents.restore()

  const outboxes = settings.alertmanagerUrls.map(
    url => new AlertmanagerOutbox({ url, send: send.alertmanager, onResult: onPosted }),
  )
  const complainPost = onceInAWhile(log, 'an Alertmanager does not take alerts')
  function onPosted(url: string, error: unknown): void {
    metrics.posted(url, error !== undefined)
    if (error !== undefined) complainPost(error)
  }

  const gatherOptions: GatherOptions = {
    prometheus: new PrometheusClient(settings.prometheusUrl, send.prometheus),
    backends: [
      ...(settings.jaegerUrl === undefined ? [] : [jaeger(settings.jaegerUrl, send.jaeger)]),
      ...(settings.tempoUrl === undefined ? [] : [tempo(settings.tempoUrl, send.tempo)]),
    ],
    logs:
      settings.logsUrl === undefined
        ? undefined
        : logSource({
            kind: settings.logsKind,
            url: settings.logsUrl,
            query: settings.logsQuery,
            token: settings.logsToken,
            ...(send.logs && { send: send.logs }),
          }),
    opsToken: settings.opsToken,
    opsTokenHosts: settings.opsTokenHosts,
    gatewayJob: settings.gatewayJob,
    shown: { clients: settings.showClients, consumers: settings.showConsumers, headers: settings.showHeaders },
    otherChanges: async (alert, { startMs, endMs }) => [
      ...(await changes.between(startMs, endMs, alert.labels['gateway_upstream_name'])),
      ...incidents.others(alert, startMs, endMs),
    ],
  }
  let publicUrl = settings.publicUrl ?? ''

  const relay = new Relay({
    gather: async (alert, look, askedAtMs) => {
      // The Watchdog fires all the time by design.
      if (alert.labels['alertname'] === 'Watchdog') return { annotations: {}, isPartial: false }
      const incident = incidents.fire(alert, Date.now())
      return enrich(alert, look, urlOf(incident.id), askedAtMs)
    },
    tell: (fingerprint, alert) => {
      for (const outbox of outboxes) outbox.put(fingerprint, alert)
    },
    onResolved: alert => incidents.resolve(alert),
    conclude,
    onOverload: () => metrics.gathered('overload'),
    onFailure: (_alert, error) => {
      metrics.gathered('partial')
      complainFailure(error)
    },
  })
  const complainFailure = onceInAWhile(log, 'a mistake of the incident service itself')
  const metrics = new IncidentMetrics(() => ({
    ...relay.state,
    unsaid: outboxes.reduce((sum, outbox) => sum + outbox.size, 0),
  }))
  metrics.announce(settings.alertmanagerUrls)

  function urlOf(id: string): string {
    return `${publicUrl}/incidents/${id}`
  }

  async function conclude(alert: Alert, incidentId: string): Promise<Labels | undefined> {
    const [lastBadMs, affected] = await Promise.all([
      lastFailureOf(alert, gatherOptions.prometheus),
      countAffected(alert, gatherOptions.prometheus),
    ])
    if (lastBadMs === undefined) return undefined
    const evidence = await incidents.conclude(incidentId, alert, { lastBadMs })
    if (evidence === undefined) return undefined
    const { annotations } = told(alert, evidence, urlOf(incidentId), placesOf(settings, publicUrl))
    const outcome = resolutionInWords(alert, evidence, affected)
    return { ...annotations, ...(outcome !== '' && { outcome }) }
  }

  async function enrich(alert: Alert, look: Look, url: string, askedAtMs: number): Promise<Gathered> {
    const startedAt = performance.now()
    const gathered = await shareEvidence(alert, gatherOptions, askedAtMs, relay.state.waiting)
    const evidence = incidents.addEvidence(alert, gathered)
    const found = evidence.signatures.length + evidence.traces.length > 0
    const result = evidence.missing.length > 0 ? 'partial' : found ? 'found' : 'none'
    // Each alert is counted once.
    if (look === 'first') metrics.gathered(result, (performance.now() - startedAt) / 1_000)
    log.info(
      { event: 'evidence', alert: briefly(alert), look, result, missing: evidence.missing, url },
      'evidence gathered',
    )
    return told(alert, evidence, url, placesOf(settings, publicUrl))
  }

  const server = createIncidentServer({
    token: settings.token,
    changesToken: settings.changesToken,
    change: async body => {
      const parsed = parseChange(body, Date.now())
      if ('problem' in parsed) return parsed.problem
      await changes.add(parsed.change)
      log.info({ event: 'change', ...parsed.change }, 'change posted')
      return undefined
    },
    ownHost: settings.publicUrl === undefined ? undefined : new URL(settings.publicUrl).hostname,
    receive: (alerts, invalid) => {
      metrics.received(alerts.length, invalid)
      relay.receive(alerts)
    },
    pages: createPages({
      incidents,
      secret: settings.token,
      prometheus: gatherOptions.prometheus,
      gatewayJob: settings.gatewayJob,
      fleet: new FleetReader({
        ...gatherOptions,
        // A client of its own: readers of the page must never take the places of queries for an alert.
        prometheus: new PrometheusClient(settings.prometheusUrl, send.prometheus, new SharedAnswers(FLEET_KEEP_MS)),
      }),
      places: () => placesOf(settings, publicUrl),
    }),
    metrics: (request, response) => telemetry.handleMetricsRequest(request, response),
    onFailure: complainFailure,
  })
  const port = await listen(server, settings)
  publicUrl ||= `http://${settings.host.includes(':') ? `[${settings.host}]` : settings.host}:${port}`
  // Done before the first request is read, so that alerts posted then join the restored incidents.
  for (const { alert, evidence, incidentId } of restored) {
    try {
      relay.restore(alert, evidence && told(alert, evidence, urlOf(incidentId), placesOf(settings, publicUrl)))
    } catch (error) {
      complainFailure(error) // an invalid record must not keep the service from starting
    }
  }
  setInterval(() => relay.forgetOld(), FORGET_EVERY_MS).unref()
  log.info({ event: 'listening', host: settings.host, port, url: `${publicUrl}/incidents` }, 'listening')

  const stop = async (signal: string): Promise<void> => {
    log.info({ event: 'shutdown', signal }, 'delivering remaining alerts')
    server.close()
    await Promise.all(outboxes.map(outbox => outbox.close()))
    await incidents.close()
    server.closeAllConnections()
    await telemetry.shutdown(TELEMETRY_FLUSH_MS)
    await flush()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => void stop(signal))
  if (process.connected) process.once('disconnect', () => void stop('disconnect'))
  else onNpmExit(() => void stop('npm has gone'))
  process.send?.({ event: 'listening', port })
}

function told(alert: Alert, evidence: Evidence, url: string, places: Places): Gathered {
  const annotations = { ...linkAnnotations(alert, places), ...toAnnotations(alert, evidence, url) }
  return { annotations, isPartial: isPartial(evidence) }
}

/** Identifies the alert in a log line: labels come from outside and may be many and long. */
function briefly({ labels }: Alert): Record<string, string | undefined> {
  const { alertname, http_route, gateway_upstream_name } = labels
  return {
    alertname: alertname?.slice(0, 200),
    http_route: http_route?.slice(0, 200),
    gateway_upstream_name: gateway_upstream_name?.slice(0, 200),
  }
}

function readSettings(): IncidentSettings {
  const { settings, problems } = readIncidentSettings(processEnv())
  const all = [...problems, ...telemetry.problems]
  process.stderr.write(formatProblems(all, 'myesi-incidents'))
  if (settings && !hasErrors(all)) return settings
  return process.exit(EXIT_CONFIG)
}

/** Reads the files with credentials. Ends the process when one of them cannot be used. */
function openBackends(settings: IncidentSettings): {
  readonly prometheus: Send
  readonly alertmanager: Send
  readonly jaeger: Send | undefined
  readonly tempo: Send | undefined
  readonly logs: Send | undefined
} {
  const problems: ConfigProblem[] = []
  const open = (path: string | undefined): Send => {
    if (path === undefined) return sendWith(undefined)
    const read = readHttpConfig(path)
    problems.push(...read.problems)
    return sendWith(read.config)
  }
  const send = {
    prometheus: open(settings.prometheusHttpConfig),
    alertmanager: open(settings.alertmanagerHttpConfig),
    jaeger: settings.jaegerHttpConfig === undefined ? undefined : open(settings.jaegerHttpConfig),
    tempo: settings.tempoHttpConfig === undefined ? undefined : open(settings.tempoHttpConfig),
    logs: settings.logsHttpConfig === undefined ? undefined : open(settings.logsHttpConfig),
  }
  if (problems.length === 0) return send
  process.stderr.write(formatProblems(problems, 'myesi-incidents'))
  return process.exit(EXIT_CONFIG)
}

function createStore(settings: IncidentSettings, log: Logger): IncidentStore & ChangeStore {
  if (settings.redisUrl === undefined) return new FileIncidentStore(settings.folder)
  return new RedisIncidentStore(settings.redisUrl, onceInAWhile(log, 'Redis is not available'), {
    sentinelLogin: { username: settings.redisSentinelUsername, password: settings.redisSentinelPassword },
    tlsFiles: { ca: settings.redisTlsCaFile, cert: settings.redisTlsCertFile, key: settings.redisTlsKeyFile },
  })
}

/** The addresses that pages link to. */
function placesOf(settings: IncidentSettings, ownUrl: string): Places {
  const { grafanaUrl, repositoryUrl, jaegerUrl, jaegerPublicUrl, tempoUrl, opsLinkUrl } = settings
  const { alertmanagerPublicUrl, alertmanagerUrls } = settings
  return {
    grafanaUrl,
    repositoryUrl,
    jaegerUrl,
    tempoUrl,
    jaegerPublicUrl,
    opsPublicUrl: opsLinkUrl,
    ownUrl,
    alertmanagerUrl: alertmanagerPublicUrl ?? alertmanagerUrls[0],
  }
}

const COMPLAIN_EVERY_MS = 60_000

/** Logs a repeating problem at most once a minute. */
function onceInAWhile(log: Logger, message: string): (error: unknown) => void {
  let last = -Infinity
  return error => {
    const now = performance.now()
    if (now - last < COMPLAIN_EVERY_MS) return
    last = now
    log.warn({ event: 'trouble', error: error instanceof Error ? error.message : 'unknown' }, message)
  }
}

function listen(server: Server, { host, port }: IncidentSettings): Promise<number> {
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'EADDRINUSE' ? 'the port is in use; set INCIDENTS_PORT to another one' : error.message
      process.stderr.write(`the incident service cannot listen on ${host}:${port}: ${hint}\n`)
      process.exit(EXIT_OS_ERROR)
    })
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port))
  })
}

void main()
