import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import pino from 'pino'
import { parseGatewayFile } from '../../src/config/gateway-file'
import { formatProblems } from '../../src/config/problems'
import type { GatewayConfig } from '../../src/config/gateway-config'
import { createAccessLog } from '../../src/observe/access-log'
import { RequestMetrics } from '../../src/observe/request-metrics'
import { ListenerTls } from '../../src/entrypoint/listener-tls'
import { createRedirectServer } from '../../src/entrypoint/redirect-server'
import { applyLimits, createEntrypointServer } from '../../src/entrypoint/server'
import { OwnServerTelemetry } from '../../src/observe/server-telemetry'
import type { Outcome, Reason } from '../../src/errors/reasons'
import type { Exchange } from '../../src/exchange/exchange'
import { createGateway } from '../../src/gateway'
import { createMetricsAccess } from '../../src/operations/metrics-access'
import { RequestSamples } from '../../src/observe/samples/request-samples'
import { Observer } from '../../src/observe/observer'
import { RecentRequests } from '../../src/observe/recent/recent-requests'
import type { RegistryEntry } from '../../src/policies/define-policy'
import { POLICIES } from '../../src/policies/registry'
import { RedisConnection, type RedisConnectionOptions } from '../../src/redis/connection'
import { OwnClientTelemetry } from '../../src/upstream/client-telemetry'
import type { UpstreamState } from '../../src/upstream/upstream'
import type { LogEntry } from './start-process'
import { until } from './until'

/** What `gateway.yaml` would say, as an object: JSON is YAML too. */
export interface GatewayFile {
  readonly entrypoint?: object
  readonly consumers?: object
  readonly tokens?: object
  readonly sharedLimits?: object
  readonly upstreams: Readonly<Record<string, object>>
  readonly routes: readonly object[]
}

export interface PipelineOptions extends RedisConnectionOptions {
  readonly redisUrl?: string
  readonly replicas?: number
  readonly metricsToken?: string
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Answers a scrape. */
  readonly scrape?: RequestListener
  /** Default: those of the registry. */
  readonly policies?: readonly RegistryEntry[]
}

/** How one request ended, as counted in `gateway_requests_total`. */
export interface CountedRequest {
  readonly route: string | undefined
  readonly outcome: Outcome
  readonly reason: Reason | undefined
}

export interface Pipeline {
  /** `http://127.0.0.1:PORT` or https, without a slash at the end. */
  readonly url: string
  readonly port: number
  readonly server: Server
  readonly redis: RedisConnection | undefined
  readonly logs: readonly LogEntry[]
  /** In the order in which they ended. */
  readonly counted: readonly CountedRequest[]
  /** Client connections open now. */
  connections(): Promise<number>
  /** Waits until `requests` of them have ended. */
  ended(requests: number): Promise<readonly CountedRequest[]>
  /** How the targets of each upstream are. */
  upstreams(): UpstreamState[]
  readonly samples: RequestSamples
  /** How many requests the status page knows of. */
  requestsSeen(): number
  /** As SIGTERM does: clients are asked to open no further request on their connections. */
  drain(): void
  /** As a change of the file does. */
  reload(file: GatewayFile): void
  stop(): Promise<void>
}

const running = new Set<Pipeline>()

// A test that failed before it could stop its pipeline must not keep mocha alive.
after(async () => {
  await Promise.all([...running].map(pipeline => pipeline.stop()))
})

/** The whole pipeline on a real port, in the test's own process: faster than a child, and its inside can be looked at. */
export async function startPipeline(file: GatewayFile, options: PipelineOptions = {}): Promise<Pipeline> {
  const { policies = POLICIES } = options
  const config = configOf(file, policies)
  const { log, logs } = recordedLog()
  const redis = options.redisUrl === undefined ? undefined : new RedisConnection(options.redisUrl, log, options)
  await redis?.settle(500)
  const metrics = new RecordedRequestMetrics()
  const recent = new RecentRequests()
  const samples = new RequestSamples({ slowMs: 1_000 })
  let draining = false
  const gateway = createGateway({
    config,
    policies,
    log,
    redis,
    replicas: options.replicas ?? 1,
    observer: new Observer({
      metrics,
      recent,
      samples,
      logAccess: createAccessLog(log),
      serverTelemetry: new OwnServerTelemetry(),
      clientTelemetry: new OwnClientTelemetry(),
    }),
    scrape: options.scrape ?? ((_request, response) => response.end('# scraped\n')),
    mayScrape: createMetricsAccess(options.metricsToken),
    isDraining: () => draining,
    lookEveryMs: 50,
  })
  const server = createEntrypointServer({
    config: config.entrypoint,
    tls: config.entrypoint.tls && new ListenerTls(config.entrypoint.tls, config.files, log, 50),
    handle: gateway.handle,
    messages: gateway.messages,
    http2: gateway.http2,
    onRefused: reason => metrics.countRefused(reason),
    onBroken: gateway.failRequest,
  })
  const redirects = config.entrypoint.tls?.redirectHttp
  const redirectServer =
    redirects &&
    createRedirectServer({
      config: config.entrypoint,
      handle: gateway.redirectHttp,
      messages: gateway.messages,
      onRefused: reason => metrics.countRefused(reason),
      onBroken: gateway.failRequest,
    }).listen(redirects.port, '127.0.0.1')
  if (redirectServer !== undefined) await once(redirectServer, 'listening')
  const host = options.host ?? '127.0.0.1'
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const pipeline: Pipeline = {
    url: `http${config.entrypoint.tls ? 's' : ''}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    server,
    redis,
    logs,
    counted: metrics.counted,
    connections: () => openConnections(server),
    ended: async requests => {
      const what = `${requests} requests have ended`
      await until(() => metrics.counted.length >= requests, { what })
      return metrics.counted
    },
    upstreams: () => gateway.upstreams(),
    samples,
    requestsSeen: () => recent.recent().requests,
    drain: () => (draining = true),
    reload: changed => {
      const next = configOf(changed, policies)
      gateway.reload(next)
      applyLimits(server, next.entrypoint)
    },
    stop: async () => {
      if (!running.delete(pipeline)) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      redirectServer?.close().closeAllConnections()
      gateway.abortAll() // what has been upgraded is no connection of the server any more
      await closed
      await gateway.close()
      redis?.close()
    },
  }
  running.add(pipeline)
  return pipeline
}

export function configOf(file: GatewayFile, policies: readonly RegistryEntry[] = POLICIES): GatewayConfig {
  const { config, problems } = parseGatewayFile(JSON.stringify(file), 'gateway.yaml', {}, policies)
  if (!config) throw new Error(formatProblems(problems))
  return config
}

/** One upstream, `app`, behind one route, `/app`: what most tests need. */
export function proxyTo(
  target: string,
  { route, upstream, ...others }: Partial<GatewayFile> & { route?: object; upstream?: object } = {},
): GatewayFile {
  return {
    ...others,
    upstreams: { app: { targets: [target], ...upstream } },
    routes: [{ name: 'app', match: { path: '/app' }, upstream: 'app', ...route }],
  }
}

/** Counts as ever, and keeps what it counted. */
class RecordedRequestMetrics extends RequestMetrics {
  readonly counted: CountedRequest[] = []

  override count(exchange: Exchange): void {
    super.count(exchange)
    const { route, outcome, reason } = exchange
    this.counted.push({ route: route?.template, outcome, reason })
  }

  override countRefused(reason: Reason): void {
    super.countRefused(reason)
    this.counted.push({ route: undefined, outcome: 'refusal', reason })
  }
}

export function recordedLog(): { log: pino.Logger; logs: LogEntry[] } {
  const logs: LogEntry[] = []
  const formatters = { level: (label: string) => ({ level: label }) }
  const write = (line: string): void => void logs.push(JSON.parse(line) as LogEntry)
  return { log: pino({ base: null, level: 'debug', formatters }, { write }), logs }
}

export function openConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
