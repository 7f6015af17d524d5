import type { RequestListener, Server } from 'node:http'
import { processEnv } from '../config/env'
import type { GatewayConfig } from '../config/gateway-config'
import { parseGatewayFile, readGatewayFile, withMiddleware, type ReadGatewayFile } from '../config/gateway-file'
import { formatProblems } from '../config/problems'
import { ListenerTls } from '../entrypoint/listener-tls'
import { applyLimits, createEntrypointServer } from '../entrypoint/server'
import { createGateway as createPipeline } from '../gateway'
import { createAccessLog } from '../observe/access-log'
import { Observer } from '../observe/observer'
import { RecentRequests } from '../observe/recent/recent-requests'
import { RequestMetrics } from '../observe/request-metrics'
import { RequestSamples } from '../observe/samples/request-samples'
import { OwnServerTelemetry } from '../observe/server-telemetry'
import type { RegistryEntry } from '../policies/define-policy'
import type { DefinedPolicy } from '../policies/own/define-policy'
import { toPolicy } from '../policies/own/to-policy'
import { withOwnPolicies } from '../policies/registry'
import { closeWithin } from '../process/shutdown'
import { RedisConnection } from '../redis/connection'
import { durationBoundaries, objectivesIn } from '../slo/objectives'
import { createLogger } from '../telemetry/logger'
import { OwnClientTelemetry } from '../upstream/client-telemetry'

/** What `createGateway` is given. */
export interface EmbedOptions {
  /** The path of a `gateway.yaml`, or what one holds, as an object. */
  readonly config: string | object
  /** Policies that routes may have, beside those that the file names itself; only with an object. */
  readonly policies?: readonly DefinedPolicy[]
  /** Where limits are counted; default: in memory. */
  readonly redisUrl?: string
  /** Default `warn`: the program that embeds the gateway has a log of its own. */
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** A gateway inside another program. Its spans and metrics go to the OpenTelemetry SDK that the program has registered, if any. */
export interface EmbeddedGateway {
  /** Answers a request of a server of one's own. */
  readonly handle: RequestListener
  /** The gateway's own server with the limits of `entrypoint`, not listening yet. */
  readonly server: Server
  /** Requests under way. */
  inFlight(): number
  /** Serves by another configuration from the next request on. @throws Error with every problem; nothing has changed then */
  reload(config: string | object): Promise<void>
  /** Takes nothing new, waits for requests under way for `timeoutMs` (default 10,000), and cuts off the rest. */
  close(timeoutMs?: number): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const CLOSE_TIMEOUT_MS = 10_000
const REDIS_SETTLE_MS = 500
const SLOW_MS = 1_000

/** @throws Error with every problem of the configuration */
export async function createGateway({
  config: source,
  policies = [],
  redisUrl,
  logLevel = 'warn',
}: EmbedOptions): Promise<EmbeddedGateway> {
  const own = withOwnPolicies(policies.map(toPolicy))
  const read = async (from: string | object): Promise<GatewayConfig> => configIn(await readSource(from, own))
  const config = await read(source)
  const { log, close: closeLog } = createLogger(logLevel)
  const redis = redisUrl === undefined ? undefined : new RedisConnection(redisUrl, log, {})
  const metrics = new RequestMetrics()
  const recent = new RecentRequests()
  let isDraining = false
  const gateway = createPipeline({
    config,
    log,
    redis,
    replicas: 1,
    observer: new Observer({
      metrics,
      recent,
      samples: new RequestSamples({ slowMs: SLOW_MS }),
      logAccess: createAccessLog(log),
      serverTelemetry: new OwnServerTelemetry(durationBoundaries(objectivesIn(config))),
      clientTelemetry: new OwnClientTelemetry(),
    }),
    // Metrics are the embedding program's to expose.
    scrape: (_request, response) => response.writeHead(404).end(),
    mayScrape: () => false,
    isDraining: () => isDraining,
  })
  await Promise.all([redis?.settle(REDIS_SETTLE_MS), gateway.prepare(config)])
  const server = createEntrypointServer({
    config: config.entrypoint,
    tls: config.entrypoint.tls && new ListenerTls(config.entrypoint.tls, config.files, log),
    handle: gateway.handle,
    messages: gateway.messages,
    onRefused: reason => metrics.countRefused(reason),
    onBroken: gateway.failRequest,
  })
  let closing: Promise<void> | undefined
  const close = async (timeoutMs: number): Promise<void> => {
    isDraining = true
    await closeWithin(server, timeoutMs, gateway.abortAll)
    gateway.abortAll() // those of another server
    await gateway.close()
    redis?.close()
    await closeLog()
  }
  return {
    handle: gateway.handle,
    server,
    inFlight: () => gateway.inFlight(),
    reload: async from => {
      const next = await read(from)
      await gateway.prepare(next)
      gateway.reload(next)
      applyLimits(server, next.entrypoint)
    },
    close: (timeoutMs = CLOSE_TIMEOUT_MS) => (closing ??= close(timeoutMs)),
    [Symbol.asyncDispose]: () => (closing ??= close(CLOSE_TIMEOUT_MS)),
  }
}

async function readSource(from: string | object, policies: readonly RegistryEntry[]): Promise<ReadGatewayFile> {
  if (typeof from === 'string') return readGatewayFile(from, processEnv())
  const read = parseGatewayFile(JSON.stringify(from), 'config', processEnv(), policies)
  // Paths of middleware are relative to the working directory.
  return withMiddleware(read, 'config', policies, [])
}

function configIn({ config, problems }: ReadGatewayFile): GatewayConfig {
  if (config === undefined) throw new Error(formatProblems(problems))
  return config
}
