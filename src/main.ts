import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { telemetry } from '../otel/sdk/register'
import { reportDegradedLimits } from './admission/rate-limit/degraded-gauge'
import { processEnv, readSettings } from './config/env'
import { EXIT_CONFIG, EXIT_OS_ERROR } from './config/exit-codes'
import { readGatewayFile } from './config/gateway-file'
import { formatProblems, hasErrors } from './config/problems'
import type { ConfigProblem, GatewayConfig, Settings } from './config/types'
import { RequestMetrics } from './entrypoint/request-metrics'
import { createEntrypointServer } from './entrypoint/server'
import { OwnServerTelemetry } from './entrypoint/server-telemetry'
import { StockServerTelemetry } from './entrypoint/stock-server-telemetry'
import { createGateway, type Gateway } from './gateway'
import { reportInfo } from './operations/info-metrics'
import { createMetricsAccess } from './operations/metrics-access'
import { createOpsAccess } from './operations/ops-access'
import { createOpsServer } from './operations/ops-server'
import { RecentRequests } from './operations/recent/recent-requests'
import { RedisConnection } from './redis/connection'
import { createLogger, type ProcessLog } from './telemetry/logger'
import { OwnClientTelemetry, StockClientTelemetry } from './upstream/client-telemetry'
import { VERSION } from './version'

/** How long a Redis that is there may take to be reached, so that the first requests are already counted in it. */
const REDIS_SETTLE_MS = 500
/** How long the last spans, metrics and logs may take to leave. */
const TELEMETRY_FLUSH_MS = 3_000
/** How long clients that were cut off may take to read that they were. */
const CUT_OFF_MS = 200

async function main(): Promise<void> {
  const startedAtMs = Date.now()
  const { settings, config } = readConfiguration()
  const { log, flush } = createLogger(settings.logLevel)
  telemetry.onDiagnostic(({ level, message }) => log[level]({ event: 'telemetry' }, message))
  log.info({ event: 'startup', version: VERSION, node: process.version, pid: process.pid }, 'myesi-gateway starts')
  checkTelemetry(settings, log)

  const redis = connectRedis(settings, log)
  reportDegradedLimits(redis)

  let draining = false
  const requestMetrics = new RequestMetrics()
  const recent = new RecentRequests()
  const mayReadMetrics = createMetricsAccess(settings.metricsToken)
  const stock = telemetry.httpInstrumentation === 'stock'
  const gateway = createGateway({
    config,
    log,
    redis,
    replicas: settings.replicas,
    metrics: requestMetrics,
    recent,
    scrape: (request, response) => telemetry.handleMetricsRequest(request, response),
    mayScrape: mayReadMetrics,
    serverTelemetry: stock
      ? new StockServerTelemetry(template => telemetry.setHttpRoute(template))
      : new OwnServerTelemetry(),
    clientTelemetry: stock ? new StockClientTelemetry() : new OwnClientTelemetry(),
    isDraining: () => draining,
  })
  // Now that the limiters have said what they need of it.
  await redis?.settle(REDIS_SETTLE_MS)
  log.info(
    { event: 'startup', file: settings.configFile, routes: config.routes.length, upstreams: config.upstreams.length },
    'routes loaded',
  )

  const server = createEntrypointServer({
    config: config.entrypoint,
    handle: gateway.handle,
    messages: gateway.messages,
    onRefused: reason => {
      requestMetrics.countRefused(reason)
      recent.noteRefused()
    },
    onBroken: gateway.breakOff,
  })
  const opsServer = createOpsServer({
    metrics: (request, response) => telemetry.handleMetricsRequest(request, response),
    traces: telemetry.traces,
    offenders: gateway.offenders,
    upstreams: gateway.upstreams,
    inFlight: gateway.inFlight,
    recent,
    redis: () => redis && { address: redis.address, isUsable: redis.isUsable, outage: redis.outage },
    configuration: () => ({
      file: settings.configFile,
      config: gateway.config(),
      sinceMs: startedAtMs,
      lastReload: undefined,
    }),
    replica: { version: VERSION, node: process.version, host: hostname(), pid: process.pid, startedAtMs },
    access: createOpsAccess({ host: settings.opsHost, token: settings.opsToken }),
    notReady: () => (draining ? 'draining' : server.listening ? undefined : 'starting'),
  })

  const { opsPort, port } = await listenOnBoth(opsServer, server, settings)
  reportInfo({ opsUrl: settings.opsPublicUrl ?? opsUrl(settings.opsHost, opsPort), configSha256: config.sha256 })

  const stop = (signal: string): void => {
    if (draining) {
      // Asked twice: whoever asks does not want to wait.
      log.warn({ event: 'shutdown', signal }, 'stopped without waiting')
      flush()
      process.exit(1)
    }
    draining = true
    log.info({ event: 'shutdown', signal }, 'finishing the requests in flight')
    void drain({ server, opsServer, gateway, redis, settings, log, flush }).then(() => process.exit(0))
  }
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop(signal))
  // Started by another process that is gone: nobody is left to stop this one.
  process.once('disconnect', () => stop('disconnect'))

  log.info(
    { event: 'listening', host: settings.host, port, ops_host: settings.opsHost, ops_port: opsPort },
    'listening',
  )
  process.send?.({ event: 'listening', port, opsPort })
}

/** Everything that is wrong with settings, file and telemetry variables is said at once, before anything listens. */
function readConfiguration(): { settings: Settings; config: GatewayConfig } {
  const env = processEnv()
  const { settings, problems: settingProblems } = readSettings(env)
  const configFile = settings?.configFile ?? (env['GATEWAY_CONFIG'] || 'gateway.yaml')
  const { config, problems: fileProblems } = readGatewayFile(configFile, env)
  const problems = [...settingProblems, ...telemetry.problems, ...fileProblems, ...stockProblems(config)]
  if (problems.length > 0) process.stderr.write(formatProblems(problems))
  if (settings && config && !hasErrors(problems)) return { settings, config }
  return process.exit(EXIT_CONFIG)
}

/** The stock instrumentation continues every trace before anybody is asked. */
function stockProblems(config: GatewayConfig | undefined): ConfigProblem[] {
  if (telemetry.httpInstrumentation !== 'stock' || (config?.entrypoint.traceContext ?? 'all') === 'all') return []
  const problem = `"stock" continues every trace, and entrypoint.traceContext is "${config?.entrypoint.traceContext}"`
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own, or entrypoint.traceContext: all' }]
}

function checkTelemetry(settings: Settings, log: ProcessLog['log']): void {
  if (!telemetry.enabled) {
    log.warn({ event: 'startup' }, 'telemetry is off')
    return refuseWithout(settings, 'telemetry is off')
  }
  log.info({ event: 'startup', exporters: telemetry.exporters }, 'telemetry started')
  const modules = telemetry.notInstrumented()
  if (modules.length === 0) return
  log.error({ event: 'telemetry', modules }, 'not instrumented: the signals of these are missing')
  refuseWithout(settings, `not instrumented: ${modules.join(', ')}`)
}

function refuseWithout(settings: Settings, problem: string): void {
  if (!settings.telemetryRequired) return
  process.stderr.write(`TELEMETRY_REQUIRED is set and ${problem}\n`)
  process.exit(EXIT_CONFIG)
}

function connectRedis(settings: Settings, log: ProcessLog['log']): RedisConnection | undefined {
  if (settings.redisUrl === undefined) {
    log.info({ event: 'startup', store: 'memory' }, 'no REDIS_URL: rate limits are counted in memory')
    return undefined
  }
  const { redisUrl, redisSentinelUsername: username, redisSentinelPassword: password } = settings
  const redis = new RedisConnection(redisUrl, log, { username, password })
  log.info({ event: 'startup', store: 'redis', redis: redis.address }, 'Redis client initialized')
  return redis
}

/** The gateway's port is tried when the ops port could not be had too: whoever mends one learns of the other at once. */
async function listenOnBoth(
  opsServer: Server,
  server: Server,
  { opsPort, opsHost, port, host }: Settings,
): Promise<{ readonly opsPort: number; readonly port: number }> {
  const ops = await listen(opsServer, opsPort, opsHost, 'OPS_PORT')
  if (typeof ops === 'number') telemetry.ignorePort(ops)
  const gateway = await listen(server, port, host, 'PORT')
  if (typeof ops === 'number' && typeof gateway === 'number') return { opsPort: ops, port: gateway }
  const problems = [ops, gateway].filter(result => typeof result === 'string')
  process.stderr.write(`${problems.join('\n')}\n`)
  return process.exit(EXIT_OS_ERROR)
}

/** @returns the port, or why there is none. */
function listen(server: Server, port: number, host: string, variable: string): Promise<number | string> {
  return new Promise(resolve => {
    const onError = (error: NodeJS.ErrnoException): void => resolve(listenProblem(error, port, host, variable))
    server.once('error', onError)
    server.listen(port, host, () => {
      server.off('error', onError)
      resolve((server.address() as AddressInfo).port)
    })
  })
}

function listenProblem(error: NodeJS.ErrnoException, port: number, host: string, variable: string): string {
  const where = `myesi-gateway cannot listen on ${host}:${port} (${variable})`
  switch (error.code) {
    case 'EADDRINUSE':
      return `${where}: the port is in use. Stop the process that has it, or set ${variable} to another port (0 takes any free one).`
    case 'EACCES':
      return `${where}: not permitted. Ports below 1024 need a privilege; set ${variable} to 1024 or more.`
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${where}: this machine has no such address. Set ${variable.replace('PORT', 'HOST')} to one it has (0.0.0.0 for all).`
    case undefined:
    default:
      return `${where}: ${error.message}`
  }
}

function opsUrl(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

interface Draining {
  readonly server: Server
  readonly opsServer: Server
  readonly gateway: Gateway
  readonly redis: RedisConnection | undefined
  readonly settings: Settings
  readonly log: ProcessLog['log']
  readonly flush: () => void
}

/** Traffic first, telemetry last, so that what happened while draining is told as well; each step has a bound. */
async function drain({ server, opsServer, gateway, redis, settings, log, flush }: Draining): Promise<void> {
  const finished = await closeWithin(server, settings.shutdownTimeoutMs, gateway.cutOff)
  if (!finished) log.warn({ event: 'shutdown' }, 'requests still in flight were cut off')
  await gateway.close()
  redis?.close()
  const told = await telemetry.shutdown(TELEMETRY_FLUSH_MS)
  if (!told) log.warn({ event: 'shutdown' }, 'the last telemetry could not be delivered')
  opsServer.close()
  opsServer.closeAllConnections()
  log.info({ event: 'stopped' }, 'stopped')
  flush()
}

/** @returns false when what was still in flight after `timeoutMs` had to be cut off. */
function closeWithin(server: Server, timeoutMs: number, cutOff: () => void): Promise<boolean> {
  return new Promise(resolve => {
    // A keep-alive connection that falls idle now would otherwise keep the server open until its own timeout.
    const reaper = setInterval(() => server.closeIdleConnections(), 50)
    const settle = (finished: boolean): void => {
      clearInterval(reaper)
      clearTimeout(deadline)
      // The last responses close a turn after their connections, and are only then logged and counted.
      setTimeout(() => resolve(finished), 1)
    }
    let finished = true
    const deadline = setTimeout(() => {
      finished = false
      cutOff()
      setTimeout(() => {
        server.closeAllConnections()
        settle(false)
      }, CUT_OFF_MS)
    }, timeoutMs)
    server.close(() => settle(finished))
  })
}

void main()
