import type { Server } from 'node:http'
import { hostname, networkInterfaces } from 'node:os'
import { telemetry } from '../otel/sdk/register'
import { reportDegradedLimits } from './policies/rate-limit/degraded-gauge'
import { processEnv, readSettings } from './config/env'
import { EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from './config/exit-codes'
import { readGatewayFile, type GatewayFileContent, type ReadGatewayFile } from './config/gateway-file'
import { formatProblems, hasErrors } from './config/problems'
import { stockProblems } from './config/stock-problems'
import type { Settings } from './config/types'
import type { GatewayConfig } from './config/gateway-config'
import { watchFile, type WatchedFile } from './config/watched-file'
import { needingRestart } from './runtime/needing-restart'
import { Configuration } from './runtime/reload'
import { createAccessLog } from './observe/access-log'
import { RequestMetrics } from './observe/request-metrics'
import { ListenerTls } from './entrypoint/listener-tls'
import { countRefusedConnections } from './entrypoint/refused-connections'
import { applyRedirectLimits, createRedirectServer, limitsBesideRedirects } from './entrypoint/redirect-server'
import { applyLimits, createEntrypointServer } from './entrypoint/server'
import { OwnServerTelemetry } from './observe/server-telemetry'
import { SilentServerTelemetry } from './observe/silent-server-telemetry'
import { StockServerTelemetry } from './observe/stock-server-telemetry'
import type { Reason } from './errors/reasons'
import { createGateway } from './gateway'
import { boundConnections, readDescriptorLimit } from './process/file-descriptors'
import { answerArguments } from './process/program-arguments'
import { eventLoopDelay } from './process/event-loop-delay'
import { onNpmExit } from './process/on-npm-exit'
import { keepTickShape } from './process/keep-tick-shape'
import { listenOnAll, type Ports } from './process/listen'
import { reportInfo } from './operations/info-metrics'
import { createMetricsAccess } from './operations/metrics-access'
import { createOpsAccess } from './operations/ops-access'
import { createOpsServer } from './operations/ops-server'
import { Observer, type Observed } from './observe/observer'
import { RecentRequests } from './observe/recent/recent-requests'
import { RequestSamples } from './observe/samples/request-samples'
import type * as Redis from './redis/connection'
import type { RedisConnection } from './redis/connection'
import type { PolicyFile } from './policies/own/load-policies'
import { policyFilesOf, rememberSamePolicies } from './policies/policies-of'
import { nodeWarning } from './process/node-patch-level'
import { durationBoundaries, objectivesIn } from './slo/objectives'
import { exitInTime } from './process/exit'
import { shutDown } from './process/shutdown'
import { createLogger, type ProcessLog } from './telemetry/logger'
import { ignoreErrorsOfStandardError } from './telemetry/standard-output'
import { forgetEndedTargets } from './upstream/ended-targets'
import { OwnClientTelemetry, SilentClientTelemetry } from './upstream/client-telemetry'
import { VERSION } from './process/version'
import { Pieces } from './workers/channel'
import { answerOps, type OpsQuestion } from './workers/ops-answers'
import { startPrimary } from './workers/primary'
import { shareOf, shareProblems } from './workers/share'
import { WorkerLink, type DrainOrder, type ReloadOrder } from './workers/worker-link'

/** Time that the start waits for Redis, so that the first requests are already counted in it. */
const REDIS_SETTLE_MS = 500

const USAGE = `node --require ./dist/otel/sdk/register.js dist/src/main.js

Starts the gateway with the file in GATEWAY_CONFIG, or gateway.yaml in the working directory. Settings are
variables of the environment: docs/configuration.md.

  -h, --help      print this
  -v, --version   print the version

Exit code: 0, ${EXIT_USAGE} for other arguments, ${EXIT_CONFIG} for a configuration that is wrong, ${EXIT_OS_ERROR} when it cannot listen.`

async function main(): Promise<void> {
  const startedAtMs = Date.now()
  keepTickShape()
  eventLoopDelay.start()
  ignoreErrorsOfStandardError()
  answerArguments(USAGE, file => `GATEWAY_CONFIG=${file} names the file`)
  const link = WorkerLink.connect()
  const configured = await readConfiguration((await link?.started)?.content)
  const { settings } = configured
  const processLog = createLogger(settings.logLevel, settings.workers > 1)
  const { log } = processLog
  forgetEndedTargets(attributes => telemetry.forgetSeries(attributes))
  telemetry.onDiagnostic(({ level, message }) => log[level]({ event: 'telemetry' }, message))
  // A worker's start is not worth a line: the primary has said the same.
  const startLog = link !== undefined && log.isLevelEnabled('error') ? log.child({}, { level: 'error' }) : log
  startLog.info({ event: 'startup', version: VERSION, node: process.version, pid: process.pid }, 'myesi-gateway starts')
  const outdated = nodeWarning(process.versions.node)
  if (outdated !== undefined) startLog.warn({ event: 'startup' }, outdated)
  // A primary uses no Redis: it counts nothing.
  if (settings.redisUrl !== undefined && (settings.workers === 1 || link !== undefined)) loadRedis() // before the check, which looks at the modules that are loaded
  checkTelemetry(settings, startLog)
  const started = { ...configured, ...processLog, startLog, startedAtMs, link }
  if (settings.workers > 1 && link === undefined) await supervise(started)
  else await serve(started)
}

interface Started extends Configured, ProcessLog {
  /** For lines that only one of several processes writes. */
  readonly startLog: ProcessLog['log']
  readonly startedAtMs: number
  /** Undefined unless this process is a worker. */
  readonly link: WorkerLink | undefined
}

/** Starts workers, and answers the ops port for them. */
async function supervise({
  settings,
  config,
  written,
  included,
  content,
  log,
  flush,
  startedAtMs,
}: Started): Promise<void> {
  const primary = await startPrimary({
    settings,
    config,
    written,
    included,
    content,
    read: () => readRoutes(settings.configFile),
    onServer: server => countRefusedConnections(server, log),
    log,
    flush,
    telemetry,
    access: createOpsAccess({ host: settings.opsHost, token: settings.opsToken, allowedHosts: opsHosts(settings) }),
    replica: { version: VERSION, node: process.version, host: hostname(), pid: process.pid, startedAtMs },
  })
  if ('exitCode' in primary) return flush().then(() => process.exit(primary.exitCode))
  const { opsPort, port } = primary
  reportInfo({ opsUrl: settings.opsPublicUrl ?? opsUrl(settings.opsHost, opsPort) })
  obeySignals(primary)
  logListening(log, { settings, config, port, opsPort })
}

/** Serves requests: the only process, or one of several workers. */
async function serve({
  settings,
  config: read,
  written,
  included,
  log,
  flush,
  startLog,
  startedAtMs,
  link,
  ...start
}: Started): Promise<void> {
  let { content } = start
  const redis = connectRedis(settings, startLog)
  reportDegradedLimits(redis)

  const descriptors = readDescriptorLimit()
  /** Lowers limits of connections to those that fit into the descriptors of the process. */
  const withinDescriptors = (wanted: GatewayConfig): GatewayConfig => {
    const { shortage, ...bounds } = boundConnections(wanted, descriptors)
    if (shortage === undefined) return wanted
    log.warn({ event: 'startup' }, shortage)
    const usable = Object.freeze({ ...wanted, entrypoint: Object.freeze({ ...wanted.entrypoint, ...bounds }) })
    rememberSamePolicies(usable, wanted)
    return usable
  }
  /** A worker has a share of the limits. */
  const usableOf = (wanted: GatewayConfig): GatewayConfig => {
    if (link === undefined) return withinDescriptors(wanted)
    const share = shareOf(wanted, settings.workers)
    rememberSamePolicies(share, wanted)
    return withinDescriptors(share)
  }
  const config = usableOf(read)

  let draining = false
  const requestMetrics = new RequestMetrics()
  const recent = new RecentRequests()
  const samples = new RequestSamples({ slowMs: telemetry.slowMs })
  const mayReadMetrics = createMetricsAccess(settings.metricsToken)
  const gateway = createGateway({
    config,
    log,
    redis,
    replicas: settings.replicas * settings.workers,
    observer: new Observer({
      metrics: requestMetrics,
      recent,
      samples,
      logAccess: createAccessLog(log, telemetry.exporters.logs.length > 0),
      ...requestTelemetry(config),
    }),
    scrape: (request, response) =>
      link === undefined ? telemetry.handleMetricsRequest(request, response) : link.scrape(request, response),
    mayScrape: mayReadMetrics,
    isDraining: () => draining,
    targetExchange: link?.targets,
  })
  // After the limiters have registered their scripts.
  await Promise.all([redis?.settle(REDIS_SETTLE_MS), gateway.prepare(config)])
  startLog.info(
    { event: 'startup', file: settings.configFile, routes: config.routes.length, upstreams: config.upstreams.length },
    'routes loaded',
  )

  const { tls } = config.entrypoint
  const limits = config.entrypoint
  const shared = {
    messages: gateway.messages,
    onRefused: (reason: Reason) => {
      requestMetrics.countRefused(reason)
      recent.noteRefused()
    },
    onBroken: gateway.failRequest,
  }
  const server = createEntrypointServer({
    ...shared,
    config: limitsBesideRedirects(limits),
    tls: tls && new ListenerTls(tls, config.files, log),
    handle: gateway.handle,
    // The stock instrumentation sees HTTP/1.1 only.
    http2: telemetry.httpInstrumentation === 'stock' ? undefined : gateway.http2,
  })
  countRefusedConnections(server, log)
  const redirectServer =
    tls?.redirectHttp && createRedirectServer({ ...shared, config: limits, handle: gateway.redirectHttp })
  if (redirectServer !== undefined) countRefusedConnections(redirectServer, log)
  const configuration = new Configuration({
    config,
    written,
    read: async () => {
      const found = await readRoutes(settings.configFile, link && content)
      if (found.config !== undefined) await gateway.prepare(found.config)
      return found
    },
    apply: next => {
      const usable = usableOf(next)
      gateway.reload(usable)
      watchPolicies(policyFilesOf(next))
      applyLimits(server, limitsBesideRedirects(usable.entrypoint))
      if (redirectServer !== undefined) applyRedirectLimits(redirectServer, usable.entrypoint)
      return needingRestart(read, next)
    },
    log: startLog,
  })
  const sources = {
    traces: telemetry.traces,
    offenders: gateway.offenders,
    upstreams: gateway.upstreams,
    inFlight: gateway.inFlight,
    pipelines: () => telemetry.pipelines(),
    recent,
    samples,
    redis: () => redis && { address: redis.address, isUsable: redis.isWhole, outage: redis.outage },
  }
  const createOwnOpsServer = (): Server =>
    createOpsServer({
      ...sources,
      metrics: (request, response) => telemetry.handleMetricsRequest(request, response),
      configuration: () => ({ file: settings.configFile, ...configuration.report() }),
      replica: { version: VERSION, node: process.version, host: hostname(), pid: process.pid, startedAtMs },
      incidentsUrl: settings.incidentsUrl,
      access: createOpsAccess({ host: settings.opsHost, token: settings.opsToken, allowedHosts: opsHosts(settings) }),
      notReady: () => (draining ? 'draining' : server.listening ? undefined : 'starting'),
    })

  const opsServer = link === undefined ? createOwnOpsServer() : undefined
  let ports: Ports | undefined
  if (opsServer === undefined) {
    await link?.connections.listen(server, 'gateway')
    if (redirectServer !== undefined) await link?.connections.listen(redirectServer, 'redirect')
  } else {
    const listening = await listenOnAll(
      opsServer,
      server,
      settings,
      opsPort => telemetry.ignorePort(opsPort),
      redirectServer && tls?.redirectHttp && { server: redirectServer, port: tls.redirectHttp.port },
    )
    if ('problems' in listening) {
      process.stderr.write(`${listening.problems.join('\n')}\n`)
      return process.exit(EXIT_OS_ERROR)
    }
    ports = listening
    reportInfo({ opsUrl: settings.opsPublicUrl ?? opsUrl(settings.opsHost, ports.opsPort) })
  }

  // The primary watches for its workers.
  const isWatching = settings.configWatch && link === undefined
  const watched = isWatching
    ? watchFile({
        path: settings.configFile,
        sha256: config.sha256,
        included,
        onChange: () => void reload('file'),
      })
    : undefined

  /** Reloads, and watches what the file includes and names now: also after a refusal, so that its correction is seen. */
  async function reload(cause: string): Promise<void> {
    const read = await configuration.reload(cause)
    watched?.know(read?.sha256, read?.included)
    if (read?.modules !== undefined) watchPolicies(read.modules)
  }

  let watchedPolicies: WatchedFile[] = []
  /** Watches these modules of policies, and no others any more. */
  function watchPolicies(modules: readonly PolicyFile[]): void {
    for (const file of watchedPolicies) file.stop()
    if (!isWatching) return
    watchedPolicies = modules.map(file => watchFile({ ...file, onChange: () => void reload('policy') }))
  }
  watchPolicies(policyFilesOf(config))

  const stop = (signal: string, delayMs = signal === 'SIGTERM' ? settings.shutdownDelayMs : 0): void => {
    if (draining) {
      // A second signal ends the process without draining.
      log.warn({ event: 'shutdown', signal }, 'stopped at once after a second signal')
      return void flush().then(() => exitInTime(1))
    }
    draining = true
    watched?.stop()
    for (const file of watchedPolicies) file.stop()
    configuration.close()
    startLog.info({ event: 'shutdown', signal, delay_ms: delayMs }, 'draining: finishing requests in flight')
    const flushTelemetry = (timeoutMs: number): Promise<boolean> => telemetry.shutdown(timeoutMs)
    const ofWorker = link && {
      lastConnection: link.lastConnection,
      onServed: async (): Promise<void> => link.leave((await telemetry.ofWorkers?.pieces()) ?? []),
    }
    const closing = {
      server,
      redirectServer,
      opsServer,
      gateway,
      redis,
      settings,
      flushTelemetry,
      delayMs,
      ...ofWorker,
    }
    void shutDown({ ...closing, log: startLog })
      .then(flush)
      .then(() => exitInTime(0))
  }
  if (ports !== undefined) {
    obeySignals({ stop, reload })
    return logListening(log, { settings, config, ...ports })
  }
  if (link === undefined) return
  // A worker obeys the primary only: a terminal and systemd send signals to all processes.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
  process.once('disconnect', () => {
    if (!draining) stop('disconnect')
  })
  link.handle({
    metrics: async () => new Pieces((await telemetry.ofWorkers?.pieces()) ?? []),
    ops: question => answerOps(sources, question as OpsQuestion),
    reload: async order => {
      content = (order as ReloadOrder).content
      const { problems = [] } = (await configuration.reload((order as ReloadOrder).cause)) ?? {}
      if (configuration.report().lastReload?.isRefused !== true) return true
      return problems[0]?.problem ?? 'a worker refused the configuration'
    },
    drain: order => stop((order as DrainOrder).signal, 0),
  })
  link.tell('listening')
}

/** Stops and reloads by signals, and stops with the parent process. */
function obeySignals({
  stop,
  reload,
}: {
  stop: (signal: string) => void
  reload: (cause: string) => Promise<void>
}): void {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal))
  // On Windows, SIGHUP means that the console window was closed.
  process.on('SIGHUP', signal => {
    if (process.platform === 'win32') return stop(signal)
    void reload(signal)
  })
  // Under npx, the shell ends at SIGTERM without passing it on. A parent with an IPC channel is handled below.
  if (process.send === undefined) onNpmExit(() => stop('npm exit'))
  // The parent process is gone and cannot stop this one any more.
  process.once('disconnect', () => stop('disconnect'))
}

interface Listening {
  readonly settings: Settings
  readonly config: GatewayConfig
  readonly port: number
  readonly opsPort: number
}

function logListening(log: ProcessLog['log'], { settings, config, port, opsPort }: Listening): void {
  const { tls } = config.entrypoint
  log.info(
    {
      event: 'listening',
      scheme: tls ? 'https' : 'http',
      host: settings.host,
      port,
      ops_host: settings.opsHost,
      ops_port: opsPort,
      ...(tls?.redirectHttp && { redirect_port: tls.redirectHttp.port }),
      ...(settings.workers > 1 && { workers: settings.workers }),
    },
    'listening',
  )
  process.send?.({ event: 'listening', port, opsPort })
}

interface Configured {
  readonly settings: Settings
  readonly config: GatewayConfig
  readonly written: unknown
  readonly included: readonly string[]
  readonly content: GatewayFileContent
}

/**
 * Reads the configuration. Reports all problems of settings, file and telemetry variables together, before listening.
 *
 * @param known in a worker: what the primary has read and reported
 */
async function readConfiguration(known: GatewayFileContent | undefined): Promise<Configured> {
  const env = { ...processEnv(), ...telemetry.variables }
  const { settings, problems: settingProblems } = readSettings(env)
  const configFile = settings?.configFile ?? (env['GATEWAY_CONFIG'] || 'gateway.yaml')
  const { config, written, included = [], content, problems: fileProblems } = await readRoutes(configFile, known)
  const shares = settings && config ? shareProblems(config, settings) : []
  const problems = [...settingProblems, ...telemetry.problems, ...fileProblems, ...shares]
  const reported = known === undefined || hasErrors(problems) ? problems : []
  if (reported.length > 0) process.stderr.write(formatProblems(reported))
  if (settings && config && content && !hasErrors(problems)) return { settings, config, written, included, content }
  return process.exit(EXIT_CONFIG)
}

async function readRoutes(configFile: string, known?: GatewayFileContent): Promise<ReadGatewayFile> {
  const read = await readGatewayFile(configFile, processEnv(), known)
  if (telemetry.httpInstrumentation !== 'stock' || read.config === undefined) return read
  return { ...read, problems: [...read.problems, ...stockProblems(read.config)] }
}

/** Chooses the telemetry of requests and upstream calls. */
function requestTelemetry(config: GatewayConfig): Pick<Observed, 'serverTelemetry' | 'clientTelemetry'> {
  if (!telemetry.enabled) {
    return { serverTelemetry: new SilentServerTelemetry(), clientTelemetry: new SilentClientTelemetry() }
  }
  if (telemetry.httpInstrumentation === 'stock') {
    const setHttpRoute = (template: string): void => telemetry.setHttpRoute(template)
    return { serverTelemetry: new StockServerTelemetry(setHttpRoute), clientTelemetry: new SilentClientTelemetry() }
  }
  const boundaries = durationBoundaries(objectivesIn(config))
  return {
    serverTelemetry: new OwnServerTelemetry(boundaries, telemetry.bodySizes),
    clientTelemetry: new OwnClientTelemetry(),
  }
}

function checkTelemetry(settings: Settings, log: ProcessLog['log']): void {
  if (!telemetry.enabled) {
    log.warn({ event: 'startup' }, 'telemetry is off')
    return refuseWithout(settings, 'telemetry is off')
  }
  const { configFile: file } = telemetry
  log.info({ event: 'startup', exporters: telemetry.exporters, ...(file && { file }) }, 'telemetry started')
  const modules = telemetry.notInstrumented()
  if (modules.length === 0) return
  log.error({ event: 'telemetry', modules }, 'not instrumented: their signals are missing')
  refuseWithout(settings, `not instrumented: ${modules.join(', ')}`)
}

function refuseWithout(settings: Settings, problem: string): void {
  if (!settings.telemetryRequired) return
  process.stderr.write(`TELEMETRY_REQUIRED is set and ${problem}\n`)
  process.exit(EXIT_CONFIG)
}

/** The client of Redis is a tenth of the modules and of the start: it is loaded only with REDIS_URL. */
function loadRedis(): typeof Redis {
  // oxlint-disable-next-line typescript/no-require-imports -- an `import()` here would start ES module loading, which costs more
  return require('./redis/connection') as typeof Redis
}

function connectRedis(settings: Settings, log: ProcessLog['log']): RedisConnection | undefined {
  if (settings.redisUrl === undefined) {
    log.info({ event: 'startup', store: 'memory' }, 'no REDIS_URL: rate limits are counted in memory')
    return undefined
  }
  const redis = new (loadRedis().RedisConnection)(settings.redisUrl, log, {
    sentinelLogin: { username: settings.redisSentinelUsername, password: settings.redisSentinelPassword },
    tlsFiles: { ca: settings.redisTlsCaFile, cert: settings.redisTlsCertFile, key: settings.redisTlsKeyFile },
    timeoutMs: settings.redisTimeoutMs,
  })
  log.info({ event: 'startup', store: 'redis', redis: redis.address }, 'Redis client initialized')
  return redis
}

/** Host names that the ops port accepts, besides addresses and one-label names. */
function opsHosts({ opsPublicUrl, opsAllowedHosts }: Settings): string[] {
  return [...opsAllowedHosts, ...(opsPublicUrl === undefined ? [] : [new URL(opsPublicUrl).hostname])]
}

/** Where others reach the ops port: of all addresses, the first one that is not loopback. */
function opsUrl(listenHost: string, port: number): string {
  const isEveryAddress = listenHost === '0.0.0.0' || listenHost === '::'
  const others = Object.values(networkInterfaces()).flatMap(addresses => addresses ?? [])
  const other = others.find(({ internal, family }) => !internal && family === 'IPv4')?.address
  const host = isEveryAddress ? (other ?? listenHost) : listenHost
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

void main()
