import { hostname, networkInterfaces } from 'node:os'
import { isDeepStrictEqual } from 'node:util'
import { telemetry } from '../otel/sdk/register'
import { reportDegradedLimits } from './policies/rate-limit/degraded-gauge'
import { processEnv, readSettings } from './config/env'
import { EXIT_CONFIG, EXIT_OS_ERROR, EXIT_USAGE } from './config/exit-codes'
import { readGatewayFile, type ReadGatewayFile } from './config/gateway-file'
import { formatProblems, hasErrors } from './config/problems'
import type { ConfigProblem, Settings } from './config/types'
import type { GatewayConfig } from './config/gateway-config'
import { watchFile, type WatchedFile } from './config/watched-file'
import { durationText } from './config/values/duration'
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
import { listenOnAll } from './process/listen'
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
import { durationBoundaries, latencyThresholds, objectivesIn } from './slo/objectives'
import { exitInTime } from './process/exit'
import { shutDown } from './process/shutdown'
import { createLogger, type ProcessLog } from './telemetry/logger'
import { DURATION_BUCKETS_S } from './telemetry/semconv'
import { ignoreErrorsOfStandardError } from './telemetry/standard-output'
import { forgetEndedTargets } from './upstream/ended-targets'
import { OwnClientTelemetry, SilentClientTelemetry } from './upstream/client-telemetry'
import { VERSION } from './process/version'

/** Certificate files are re-read while the process runs; other changes of TLS need a new listener. */
const TLS_NEEDS_RESTART = 'entrypoint.tls has changed: that takes effect with a restart'
const HANDSHAKE_NEEDS_RESTART =
  'entrypoint.headersTimeout has changed: for TLS handshakes that takes effect with a restart'
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
  const { settings, config: read, written, included } = await readConfiguration()
  const { log, flush } = createLogger(settings.logLevel)
  forgetEndedTargets(attributes => telemetry.forgetSeries(attributes))
  telemetry.onDiagnostic(({ level, message }) => log[level]({ event: 'telemetry' }, message))
  log.info({ event: 'startup', version: VERSION, node: process.version, pid: process.pid }, 'myesi-gateway starts')
  const outdated = nodeWarning(process.versions.node)
  if (outdated !== undefined) log.warn({ event: 'startup' }, outdated)
  if (settings.redisUrl !== undefined) loadRedis() // before the check, which looks at the modules that are loaded
  checkTelemetry(settings, log)

  const redis = connectRedis(settings, log)
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
  const config = withinDescriptors(read)

  let draining = false
  const requestMetrics = new RequestMetrics()
  const recent = new RecentRequests()
  const samples = new RequestSamples({ slowMs: telemetry.slowMs })
  const mayReadMetrics = createMetricsAccess(settings.metricsToken)
  const gateway = createGateway({
    config,
    log,
    redis,
    replicas: settings.replicas,
    observer: new Observer({
      metrics: requestMetrics,
      recent,
      samples,
      logAccess: createAccessLog(log, telemetry.exporters.logs.length > 0),
      ...requestTelemetry(config),
    }),
    scrape: (request, response) => telemetry.handleMetricsRequest(request, response),
    mayScrape: mayReadMetrics,
    isDraining: () => draining,
  })
  // After the limiters have registered their scripts.
  await Promise.all([redis?.settle(REDIS_SETTLE_MS), gateway.prepare(config)])
  log.info(
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
      const found = await readRoutes(settings.configFile)
      if (found.config !== undefined) await gateway.prepare(found.config)
      return found
    },
    apply: next => {
      const usable = withinDescriptors(next)
      gateway.reload(usable)
      watchPolicies(policyFilesOf(next))
      applyLimits(server, limitsBesideRedirects(usable.entrypoint))
      if (redirectServer !== undefined) applyRedirectLimits(redirectServer, usable.entrypoint)
      return needingRestart(config, next)
    },
    log,
  })
  const opsServer = createOpsServer({
    metrics: (request, response) => telemetry.handleMetricsRequest(request, response),
    traces: telemetry.traces,
    offenders: gateway.offenders,
    upstreams: gateway.upstreams,
    inFlight: gateway.inFlight,
    pipelines: () => telemetry.pipelines(),
    recent,
    samples,
    redis: () => redis && { address: redis.address, isUsable: redis.isWhole, outage: redis.outage },
    configuration: () => ({ file: settings.configFile, ...configuration.report() }),
    replica: { version: VERSION, node: process.version, host: hostname(), pid: process.pid, startedAtMs },
    incidentsUrl: settings.incidentsUrl,
    access: createOpsAccess({ host: settings.opsHost, token: settings.opsToken, allowedHosts: opsHosts(settings) }),
    notReady: () => (draining ? 'draining' : server.listening ? undefined : 'starting'),
  })

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
  const { opsPort, port } = listening
  reportInfo({ opsUrl: settings.opsPublicUrl ?? opsUrl(settings.opsHost, opsPort) })

  const watched = settings.configWatch
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
    if (!settings.configWatch) return
    watchedPolicies = modules.map(file => watchFile({ ...file, onChange: () => void reload('policy') }))
  }
  watchPolicies(policyFilesOf(config))

  const stop = (signal: string): void => {
    if (draining) {
      // A second signal ends the process without draining.
      log.warn({ event: 'shutdown', signal }, 'stopped at once after a second signal')
      return void flush().then(() => exitInTime(1))
    }
    draining = true
    watched?.stop()
    for (const file of watchedPolicies) file.stop()
    configuration.close()
    // No delay after Ctrl-C: a gateway in a terminal has no load balancer that must notice first.
    const delayMs = signal === 'SIGTERM' ? settings.shutdownDelayMs : 0
    log.info({ event: 'shutdown', signal, delay_ms: delayMs }, 'draining: finishing requests in flight')
    const flushTelemetry = (timeoutMs: number): Promise<boolean> => telemetry.shutdown(timeoutMs)
    void shutDown({ server, redirectServer, opsServer, gateway, redis, settings, log, flushTelemetry, delayMs })
      .then(flush)
      .then(() => exitInTime(0))
  }
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

  log.info(
    {
      event: 'listening',
      scheme: config.entrypoint.tls ? 'https' : 'http',
      host: settings.host,
      port,
      ops_host: settings.opsHost,
      ops_port: opsPort,
      ...(tls?.redirectHttp && { redirect_port: tls.redirectHttp.port }),
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
}

/** Reads the configuration. Reports all problems of settings, file and telemetry variables together, before listening. */
async function readConfiguration(): Promise<Configured> {
  const env = { ...processEnv(), ...telemetry.variables }
  const { settings, problems: settingProblems } = readSettings(env)
  const configFile = settings?.configFile ?? (env['GATEWAY_CONFIG'] || 'gateway.yaml')
  const { config, written, included = [], problems: fileProblems } = await readRoutes(configFile)
  const problems = [...settingProblems, ...telemetry.problems, ...fileProblems]
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  if (settings && config && !hasErrors(problems)) return { settings, config, written, included }
  return process.exit(EXIT_CONFIG)
}

async function readRoutes(configFile: string): Promise<ReadGatewayFile> {
  const read = await readGatewayFile(configFile, processEnv())
  return { ...read, problems: [...read.problems, ...stockProblems(read.config)] }
}

/** Problems of a configuration that the stock HTTP instrumentation cannot honour: it continues every caller's trace. */
function stockProblems(config: GatewayConfig | undefined): ConfigProblem[] {
  if (telemetry.httpInstrumentation !== 'stock' || config === undefined) return []
  return [
    ...stockTraceProblems(config),
    ...stockHttp2Problems(config),
    ...stockSloProblems(config),
    ...stockSamplingProblems(config),
  ]
}

/** Problems with latency objectives: the stock instrumentation creates its histogram before the file is read. */
function stockSloProblems(config: GatewayConfig): ConfigProblem[] {
  const missing = latencyThresholds(objectivesIn(config)).filter(threshold => !DURATION_BUCKETS_S.includes(threshold))
  if (missing.length === 0) return []
  const texts = missing.map(threshold => durationText(threshold * 1_000)).join(', ')
  const problem = `"stock" does not count durations by the latency thresholds of slo (${texts}), so these cannot be judged`
  const allowed = `own, or thresholds among ${DURATION_BUCKETS_S.map(bound => durationText(bound * 1_000)).join(', ')}`
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed, severity: 'warning' }]
}

/** Problems with sampling rates: the stock instrumentation decides before the route is known. */
function stockSamplingProblems({ routes }: GatewayConfig): ConfigProblem[] {
  if (routes.every(({ telemetry }) => telemetry === undefined)) return []
  const problem = '"stock" samples before the route is known, so that telemetry.sample has no effect'
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own', severity: 'warning' }]
}

/** Problems with HTTP/2: the stock instrumentation sees HTTP/1.1 only, so the gateway serves only HTTP/1.1 with it. */
function stockHttp2Problems({ entrypoint }: GatewayConfig): ConfigProblem[] {
  if (!entrypoint.http2.cleartext) return []
  const problem = '"stock" does not see HTTP/2, so that entrypoint.http2.cleartext has no effect'
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own', severity: 'warning' }]
}

function stockTraceProblems(config: GatewayConfig): ConfigProblem[] {
  if (config.entrypoint.traceContext === 'all') return []
  const problem = `"stock" continues every trace, and entrypoint.traceContext is "${config.entrypoint.traceContext}"`
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own, or entrypoint.traceContext: all' }]
}

/** Returns one sentence for each change that takes effect only after a restart. */
function needingRestart(from: GatewayConfig, to: GatewayConfig): string[] {
  const [made, next] = [from.entrypoint, to.entrypoint]
  const sentences: string[] = []
  if (!isDeepStrictEqual(next.tls, made.tls)) sentences.push(TLS_NEEDS_RESTART)
  else if (made.tls && next.headersTimeoutMs !== made.headersTimeoutMs) sentences.push(HANDSHAKE_NEEDS_RESTART)
  const boundaries = durationBoundaries(objectivesIn(from))
  const missing = latencyThresholds(objectivesIn(to)).filter(threshold => !boundaries.includes(threshold))
  if (missing.length > 0) sentences.push(boundariesNeedRestart(missing))
  return sentences
}

function boundariesNeedRestart(thresholdsS: readonly number[]): string {
  const texts = thresholdsS.map(threshold => durationText(threshold * 1_000))
  return `slo has new latency thresholds (${texts.join(', ')}): the duration is counted by them after a restart`
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
