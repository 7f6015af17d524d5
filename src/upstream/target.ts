import { isIP, type Socket } from 'node:net'
import { Pool, type buildConnector, type Client, type Dispatcher } from 'undici'
import type { Attributes } from '@opentelemetry/api'
import type {
  CircuitBreakerConfig,
  FairnessConfig,
  HealthCheckConfig,
  TargetConfig,
  UpstreamTlsConfig,
} from '../config/types'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_UPSTREAM_NAME } from '../telemetry/semconv'
import { Circuit, type CircuitState } from './circuit'
import { toTargetAttributes, type TargetAttributes } from './client-telemetry'
import { ConnectionProbe } from './connection-probe'
import { ConnectionQueue } from './connection-queue'
import { createConnector, type UpstreamTls } from './connector'
import { hashOf } from './hash'
import { HealthCheck } from './health-check'
import { NameLookup } from './name-lookup'
import { countCheck, countLookup } from './target-metrics'
import { UpstreamClient, type ConnectedCall } from './upstream-client'

/** All that a target is made from: where two files say the same, it is the same target. */
export interface TargetSettings extends TargetConfig {
  readonly upstreamName: string
  readonly connectMs: number
  readonly tls: UpstreamTlsConfig | undefined
  readonly maxConnections: number
  readonly maxHeaderBytes: number
  readonly fairness: FairnessConfig
  readonly connectionLifetimeMs: number
  /** Strict; comes before `ejection`. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Undefined as well: the target is asked whatever it answers. */
  readonly ejection: CircuitBreakerConfig | undefined
  /** Undefined: it is not checked. */
  readonly healthCheck: HealthCheckConfig | undefined
}

/** Who wants to know how a target is. */
export interface TargetFollower {
  /** Its circuit changed. */
  readonly onCircuit: (target: Target, previous: CircuitState) => void
  /** Checks say that it is well again, or not any more; or how it is, for the first time. */
  readonly onHealth: (target: Target, isFirst: boolean) => void
  /** Its name cannot be looked up any more, or again. */
  readonly onLookup: (target: Target) => void
  /** Whether enough others are in service, and at least one of them does not fail. */
  readonly mayEjectForStatus: (target: Target) => boolean
}

/** One origin of an upstream, with its keep-alive connections and what is known of its health. */
export class Target {
  readonly origin: string
  /** Host, and port where it is not that of the scheme. */
  readonly authority: string
  /**
   * Name for TLS, whatever a call has as `Host`: undici would go by that, and open another connection whenever it changes.
   * Undefined for a target that is not https.
   */
  readonly tlsName: string | undefined
  readonly pool: Pool
  /** Which call gets one of the pool's connections. */
  readonly connections: ConnectionQueue
  readonly attributes: TargetAttributes
  /** Of its gauges. */
  readonly labels: Attributes
  readonly circuit: Circuit | undefined
  readonly healthCheck: HealthCheck | undefined
  /** Undefined for a target that is an address. */
  readonly names: NameLookup | undefined
  /** Calls under way, those that wait for a connection included. */
  activeCalls = 0
  /** Calls that hold a place in the queue for a connection, also when nobody waits for their answer any more. */
  waitingCalls = 0
  /** Upstreams that have it: while requests still go by the file before, two. */
  readonly followers = new Set<TargetFollower>()
  readonly #maxWaitingCalls: number
  readonly #probe: ConnectionProbe
  readonly #upgraded = new Set<Socket>()
  /** Each has one call, which had a connection of the pool that is gone: no more than there may be connections. */
  readonly #freshClients = new Set<UpstreamClient>()
  readonly #clientOptions: ClientOptions
  readonly weight: number
  /** What it is owed when turns go by weight. */
  credit = 0
  /** Of its origin, for consistent hashing. */
  readonly seed: number

  /** @param joins others that are known: it gets no requests before a check has passed, if it is checked */
  constructor(settings: TargetSettings, joins: boolean, tls?: UpstreamTls) {
    const { upstreamName, origin, weight, connectMs, maxConnections, healthCheck } = settings
    this.names = this.#createLookup(settings)
    const connect = createConnector(connectMs, tls, this.names)
    this.origin = origin
    this.authority = new URL(origin).host
    this.tlsName = origin.startsWith('https:') ? hostOf(origin) : undefined
    this.weight = weight
    this.seed = hashOf(origin)
    this.#clientOptions = clientOptions(settings, connect)
    this.pool = createPool(settings, this.#clientOptions)
    this.connections = new ConnectionQueue({ connections: maxConnections, ...settings.fairness })
    // For a burst; what does not clear within the wait that a call is allowed anyway needs no longer queue.
    this.#maxWaitingCalls = Math.max(100, 10 * maxConnections)
    this.attributes = toTargetAttributes(upstreamName, origin)
    this.labels = {
      [ATTR_UPSTREAM_NAME]: upstreamName,
      [ATTR_SERVER_ADDRESS]: this.attributes.address,
      [ATTR_SERVER_PORT]: this.attributes.port,
    }
    this.#probe = new ConnectionProbe(origin, connect, () => this.circuit?.tookConnection())
    this.circuit = this.#createCircuit(settings)
    this.healthCheck =
      healthCheck &&
      new HealthCheck({
        origin,
        config: healthCheck,
        connect,
        tlsName: this.tlsName === undefined ? {} : { servername: this.tlsName },
        maxHeaderBytes: settings.maxHeaderBytes,
        isAwaited: joins,
        onResult: hasPassed => {
          countCheck(this, hasPassed)
          if (hasPassed) this.circuit?.passedCheck()
        },
        onChange: isFirst => {
          for (const { onHealth } of this.followers) onHealth(this, isFirst)
        },
      })
  }

  /** Whether it should get requests. */
  get isAvailable(): boolean {
    return this.healthCheck?.isHealthy !== false && this.circuit?.isOpen !== true
  }

  /** It takes no connections. */
  get isDown(): boolean {
    return this.circuit?.isDown === true
  }

  /**
   * So many calls wait for its connections that another one of this client would wait in vain. A tenth more may wait of
   * clients that wait with less than their share of it: no other client can keep them out of the queue.
   */
  isFullFor(key: string): boolean {
    if (this.waitingCalls < this.#maxWaitingCalls) return false
    const most = this.#maxWaitingCalls * 1.1
    return this.waitingCalls >= most || this.connections.waitingOf(key) >= this.connections.shareOf(most)
  }

  /** Whether `isFullFor` needs to be asked at all. */
  get isCrowded(): boolean {
    return this.waitingCalls >= this.#maxWaitingCalls
  }

  /** A call begins. `end()` follows, exactly once. */
  begin(): void {
    this.activeCalls++
    this.circuit?.begin()
  }

  /** A call showed how the target is: a status came, or none did for a reason. */
  concluded(reason: Reason | undefined, statusCode: number | undefined): void {
    this.circuit?.concluded(reason, statusCode)
  }

  end(): void {
    this.activeCalls--
    this.circuit?.end()
  }

  /** Makes a call over a connection that is opened for it and closed after it. */
  dispatchFresh(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & ConnectedCall): void {
    const client = new UpstreamClient(this.origin, this.#clientOptions)
    this.#freshClients.add(client)
    client.dispatch({ ...options, reset: true }, call)
    // Once the call is over.
    void client.close().finally(() => this.#freshClients.delete(client))
  }

  /** A connection that is no longer the pool's, so that the pool does not close it. */
  adopt(upgraded: Socket): void {
    this.#upgraded.add(upgraded)
    upgraded.once('close', () => this.#upgraded.delete(upgraded))
  }

  /** No file names it any more: it is no longer checked. */
  leave(): void {
    this.#probe.stop()
    this.names?.stop()
    void this.healthCheck?.stop()
  }

  /** Closes the connections; a call still in flight fails, rather than keep the process from ending. */
  async close(): Promise<void> {
    this.circuit?.stop()
    this.#probe.stop()
    this.names?.stop()
    this.connections.close(new GatewayError('draining'))
    for (const socket of this.#upgraded) socket.destroy(new GatewayError('draining'))
    const dispatchers = [this.pool, ...this.#freshClients]
    await Promise.all([
      this.healthCheck?.stop(),
      ...dispatchers.map(dispatcher => dispatcher.destroy(new GatewayError('draining'))),
    ])
  }

  #createLookup({ origin, connectionLifetimeMs }: TargetSettings): NameLookup | undefined {
    const name = hostOf(origin)
    if (isIP(name) !== 0) return undefined
    return new NameLookup({
      name,
      intervalMs: Math.min(LOOKUP_INTERVAL_MS, connectionLifetimeMs),
      onResult: isResolved => countLookup(this, isResolved),
      onChange: () => {
        for (const { onLookup } of this.followers) onLookup(this)
      },
    })
  }

  #createCircuit({ circuitBreaker, ejection }: TargetSettings): Circuit | undefined {
    const config = circuitBreaker ?? ejection
    if (config === undefined) return undefined
    const mayEjectForStatus = (): boolean => {
      for (const follower of this.followers) if (!follower.mayEjectForStatus(this)) return false
      return true
    }
    return new Circuit({
      config,
      mayEjectForStatus: circuitBreaker === undefined ? mayEjectForStatus : undefined,
      onChange: previous => {
        if (this.isDown && this.followers.size > 0) this.#probe.start()
        else this.#probe.stop()
        for (const { onCircuit } of this.followers) onCircuit(this, previous)
      },
    })
  }
}

/** How old an address may be before its name is looked up again, where `connectionLifetime` is not shorter. */
const LOOKUP_INTERVAL_MS = 10_000

function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[|\]$/g, '')
}

type ClientOptions = Client.Options & { connect: buildConnector.connector }

function clientOptions({ maxHeaderBytes }: TargetSettings, connect: buildConnector.connector): ClientOptions {
  return {
    maxHeaderSize: maxHeaderBytes,
    pipelining: 1, // one request per connection at a time: a slow answer must not hold up the next one
    connect,
    // Each call has a timer of its own, which knows whose turn it is (`call-timer.ts`).
    headersTimeout: 0,
    bodyTimeout: 0,
    // Below the 5 s after which Node, the commonest upstream, closes an idle connection: else its close races our request.
    keepAliveTimeout: 4_000,
  }
}

function createPool({ origin, maxConnections, connectionLifetimeMs }: TargetSettings, options: ClientOptions): Pool {
  return new Pool(origin, {
    ...options,
    factory: (url, ofClient) => new UpstreamClient(url, ofClient as ClientOptions),
    connections: maxConnections,
    // A name may have moved while its connections were busy enough never to be closed.
    ...(isIP(hostOf(origin)) === 0 && { clientTtl: connectionLifetimeMs }),
  })
}
