import { isIP, type Socket } from 'node:net'
import { Pool, type buildConnector, type Client, type Dispatcher } from 'undici'
import type { Attributes } from '@opentelemetry/api'
import type {
  CircuitBreakerConfig,
  FairnessConfig,
  HealthCheckConfig,
  Http2UpstreamConfig,
  TargetConfig,
  UpstreamProtocol,
  UpstreamTlsConfig,
} from '../config/types'
import type { HostSent } from '../config/values/host-sent'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_UPSTREAM_NAME } from '../telemetry/semconv'
import { Circuit, type CircuitState } from './circuit'
import { toTargetAttributes, type TargetAttributes } from './client-telemetry'
import { ConnectionProbe } from './connection-probe'
import { ConnectionQueue } from './connection-queue'
import { createConnector, type UpstreamTls } from './connector'
import { hashOf } from '../exchange/hash'
import { HealthCheck } from './health-check'
import { createHttp2Connector } from './http2/http2-connector'
import { Http2Pool } from './http2/http2-pool'
import { NegotiatedPool } from './http2/negotiated-pool'
import { NameLookup } from './name-lookup'
import { countCheck, countLookup } from './target-metrics'
import { TargetExchange, type NewsTaker, type TargetNews } from './target-news'
import { UpstreamClient, type ConnectedCall } from './upstream-client'

/** The settings of a target. Two configurations with equal settings share the target. */
export interface TargetSettings extends TargetConfig {
  readonly upstreamName: string
  /** `auto` has become `http1` for a target without TLS. */
  readonly protocol: UpstreamProtocol
  readonly http2: Http2UpstreamConfig
  readonly connectMs: number
  readonly tls: UpstreamTlsConfig | undefined
  readonly maxConnections: number
  readonly maxHeaderBytes: number
  readonly fairness: FairnessConfig
  readonly connectionLifetimeMs: number
  /** Strict ejection; takes precedence over `ejection`. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Without this and `circuitBreaker` the target is never ejected for its responses. */
  readonly ejection: CircuitBreakerConfig | undefined
  /** Undefined without health checks. */
  readonly healthCheck: HealthCheckConfig | undefined
}

/** Observes the health of a target. */
export interface TargetFollower {
  /** Called after a change of the circuit. */
  readonly onCircuit: (target: Target, previous: CircuitState) => void
  /** Called when health checks change their verdict, and after the first verdict. */
  readonly onHealth: (target: Target, isFirst: boolean) => void
  /** Called when look-ups of the target's name begin to fail or succeed again. */
  readonly onLookup: (target: Target) => void
  /** Whether enough other targets are available, and at least one of them does not fail. */
  readonly mayEjectForStatus: (target: Target) => boolean
}

/** One origin of an upstream, with its keep-alive connections and its health. */
export class Target {
  readonly origin: string
  /** Host, with the port unless it is the default of the scheme. */
  readonly authority: string
  /**
   * TLS server name, independent of the `Host` of a call. undici would derive it from `Host` and open another
   * connection whenever it changes. Undefined for a target without https.
   */
  readonly tlsName: string | undefined
  readonly pool: TargetPool
  readonly protocol: UpstreamProtocol
  /** Decides which call gets one of the pool's connections. */
  readonly connections: ConnectionQueue
  readonly attributes: TargetAttributes
  /** Labels of the target's gauges. */
  readonly labels: Attributes
  readonly circuit: Circuit | undefined
  readonly healthCheck: HealthCheck | undefined
  /** Undefined for a target given as an IP address. */
  readonly names: NameLookup | undefined
  /** Calls in flight, including those that wait for a connection. */
  activeCalls = 0
  /** Calls in the queue for a connection, including those whose client has left. */
  waitingCalls = 0
  /** Upstreams that use the target: two while exchanges of the previous configuration are in flight. */
  readonly followers = new Set<TargetFollower>()
  readonly #maxWaitingCalls: number
  readonly #probe: ConnectionProbe
  readonly #upgraded = new Set<Socket>()
  /** Clients for one call each, made after a pooled connection broke; bounded by the number of connections. */
  readonly #freshClients = new Set<UpstreamClient>()
  readonly #clientOptions: ClientOptions
  readonly #settings: TargetSettings
  /** Its name in news from and to other processes. */
  readonly #newsName: string | undefined
  readonly #exchange: TargetExchange | undefined
  readonly #newsTaker: NewsTaker = {
    hear: news => this.#hear(news),
    startChecks: () => this.healthCheck?.start(),
  }
  /** The name, with the port, by which an address was found. */
  readonly #foundName: string | undefined
  /** Connects by the protocol of the target. */
  readonly #connect: buildConnector.connector
  readonly weight: number
  /** Targets of a higher number get requests only while none of a lower number is available. */
  readonly priority: number
  /** Current weight in smooth weighted round robin. */
  currentWeight = 0
  /** Hash of the origin, for consistent hashing. */
  readonly seed: number

  /**
   * @param joins whether the target joins known ones: with health checks, it gets no requests before the first passes
   * @param exchange connects the target with the same one in other processes
   */
  constructor(settings: TargetSettings, joins: boolean, tls?: UpstreamTls, exchange?: TargetExchange) {
    const { upstreamName, origin, weight, connectMs, protocol, healthCheck, authority } = settings
    this.names = this.#createLookup(settings)
    const foundName = authority && hostOf(`https://${authority}`)
    const connectHttp1 = createConnector(connectMs, tls, this.names, foundName)
    const connect =
      protocol === 'http1'
        ? connectHttp1
        : createHttp2Connector({
            origin,
            tlsName: foundName,
            timeoutMs: connectMs,
            tls,
            names: this.names,
            protocols: ALPN[protocol],
          })
    this.protocol = protocol
    this.origin = origin
    this.authority = authority ?? new URL(origin).host
    this.#foundName = authority
    this.priority = settings.priority ?? 0
    this.tlsName = origin.startsWith('https:') ? hostOf(`https://${this.authority}`) : undefined
    this.weight = weight
    this.seed = hashOf(origin)
    this.#clientOptions = clientOptions(settings, connectHttp1)
    this.#settings = settings
    this.#exchange = exchange
    this.#newsName = exchange && TargetExchange.nameOf(upstreamName, origin, settings)
    this.#connect = connect
    this.pool = this.#createPool(
      () => createPool(settings, this.#clientOptions),
      chosen => this.connections.resize({ connections: callsAtOnce(settings, chosen), ...settings.fairness }),
    )
    const connections = callsAtOnce(settings, protocol === 'auto' ? 'http1' : protocol)
    this.connections = new ConnectionQueue({ connections, ...settings.fairness })
    // Large enough for a burst. Calls that would wait longer than they may need no place in the queue.
    this.#maxWaitingCalls = Math.max(100, 10 * connections)
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
        config: authority === undefined ? healthCheck : { host: authority, ...healthCheck },
        connect: connectHttp1,
        connectHttp2: protocol === 'http1' ? undefined : connect,
        tlsName: this.tlsName === undefined ? {} : { servername: this.tlsName },
        maxHeaderBytes: settings.maxHeaderBytes,
        isAwaited: joins,
        isActive: exchange === undefined || exchange.isChecking,
        tell: this.#teller('health'),
        onResult: hasPassed => {
          countCheck(this, hasPassed)
          if (hasPassed) this.circuit?.passedCheck()
        },
        onChange: isFirst => {
          for (const { onHealth } of this.followers) onHealth(this, isFirst)
        },
      })
    if (this.#newsName !== undefined) exchange?.join(this.#newsName, this.#newsTaker)
  }

  /** Adds an upstream that uses the target. */
  follow(follower: TargetFollower): void {
    this.followers.add(follower)
    // What another process has told about a target that it knew before this one had it.
    if (this.isDown) this.#probe.start()
  }

  /** The protocol in use; `auto` before the first connection. */
  get spoken(): UpstreamProtocol {
    return this.pool instanceof NegotiatedPool ? (this.pool.protocol ?? 'auto') : this.protocol
  }

  /** Whether the target is neither ejected nor unhealthy. */
  get isAvailable(): boolean {
    return this.healthCheck?.isHealthy !== false && this.circuit?.isOpen !== true
  }

  /** The target refuses connections. */
  get isDown(): boolean {
    return this.circuit?.isDown === true
  }

  /**
   * Whether the queue is full for this client. Clients below their fair share of the queue get a tenth more places, so
   * that no other client can keep them out.
   */
  isFullFor(key: string): boolean {
    if (this.waitingCalls < this.#maxWaitingCalls) return false
    const most = this.#maxWaitingCalls * 1.1
    return this.waitingCalls >= most || this.connections.waitingOf(key) >= this.connections.shareOf(most)
  }

  /** Whether `isFullFor` needs to be checked at all. */
  get isCrowded(): boolean {
    return this.waitingCalls >= this.#maxWaitingCalls
  }

  /** Returns the `Host` that a call needs; undefined if it is the origin's, which the connection adds. */
  hostSent(host: HostSent, asked: string | undefined): string | undefined {
    const sent = host === 'client' ? asked : host
    return sent === undefined || sent === '' || sent === 'target' ? this.#foundName : sent
  }

  /** Counts the start of a call. `end()` must follow exactly once. */
  begin(): void {
    this.activeCalls++
    this.circuit?.begin()
  }

  /** Reports the result of a call to the circuit: a status, or the reason why there is none. */
  concluded(reason: Reason | undefined, statusCode: number | undefined): void {
    this.circuit?.concluded(reason, statusCode)
  }

  end(): void {
    this.activeCalls--
    this.circuit?.end()
  }

  /**
   * Dispatches a call on a new connection that is closed after it. Over HTTP/2 on any: a connection that broke has left the
   * pool.
   */
  dispatchFresh(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & ConnectedCall): void {
    if (this.protocol !== 'http1') {
      this.pool.dispatch(options, call)
      return
    }
    const client = new UpstreamClient(this.origin, this.#clientOptions)
    this.#freshClients.add(client)
    client.dispatch({ ...options, reset: true }, call)
    // close() resolves once the call is over.
    void client.close().finally(() => this.#freshClients.delete(client))
  }

  /** Creates further connections to the target, which calls of clients do not use. Their creator closes them. */
  createPool(connections: number): TargetPool {
    return this.#createPool(
      () => new Pool(this.origin, { ...this.#clientOptions, connections }),
      () => undefined,
    )
  }

  /** Tracks an upgraded connection, which has left the pool, so that `close()` can close it. */
  adopt(upgraded: Socket): void {
    this.#upgraded.add(upgraded)
    upgraded.once('close', () => this.#upgraded.delete(upgraded))
  }

  /** Stops health checks and look-ups after the target left the active configuration. */
  leave(): void {
    this.#leaveExchange()
    this.#probe.stop()
    this.names?.stop()
    void this.healthCheck?.stop()
  }

  /** Closes the connections. Calls in flight fail, so that they do not keep the process alive. */
  async close(): Promise<void> {
    this.#leaveExchange()
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

  #leaveExchange(): void {
    if (this.#newsName !== undefined) this.#exchange?.leave(this.#newsName, this.#newsTaker)
  }

  #teller<Kind extends 'circuit' | 'health'>(kind: Kind): ((news: NonNullable<TargetNews[Kind]>) => void) | undefined {
    const [exchange, target] = [this.#exchange, this.#newsName]
    if (exchange === undefined || target === undefined) return undefined
    return news => exchange.tell({ target, [kind]: news })
  }

  #hear({ circuit, health }: TargetNews): void {
    if (circuit !== undefined) this.circuit?.hear(circuit)
    if (health === undefined) return
    if (health.failure === null && this.isDown) this.circuit?.hear({ state: 'closed' })
    this.healthCheck?.hear(health)
  }

  /** @param onProtocol called when the protocol of an `auto` target became known */
  #createPool(createHttp1: () => Pool, onProtocol: (protocol: 'http1' | 'h2') => void): TargetPool {
    const { protocol, origin, connectionLifetimeMs, http2, maxHeaderBytes, connectMs } = this.#settings
    if (protocol === 'http1') return createHttp1()
    const options = {
      origin,
      connect: this.#connect,
      limits: { streams: http2.maxStreams, maxHeaderBytes, answerMs: connectMs },
      maxConnections: http2.maxConnections,
      lifetimeMs: isIP(hostOf(origin)) === 0 ? connectionLifetimeMs : undefined,
    }
    if (protocol !== 'auto') return new Http2Pool(options)
    return new NegotiatedPool({ ...options, http1: createHttp1(), askAgainMs: connectionLifetimeMs, onProtocol })
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
      tell: this.#teller('circuit'),
      onChange: previous => {
        if (this.isDown && this.followers.size > 0) this.#probe.start()
        else this.#probe.stop()
        for (const { onCircuit } of this.followers) onCircuit(this, previous)
      },
    })
  }
}

/** Connections to a target: undici's, or those over HTTP/2. */
export interface TargetPool {
  readonly stats: { readonly connected: number; readonly free: number; readonly queued: number }
  dispatch(options: Dispatcher.DispatchOptions, call: Dispatcher.DispatchHandler & ConnectedCall): boolean
  destroy(error: Error): Promise<void>
}

/** Protocols offered by ALPN. */
const ALPN = { h2: ['h2'], h2c: [], auto: ['h2', 'http/1.1'] } as const

/** Returns how many calls the connections to a target can carry at once. */
function callsAtOnce({ maxConnections, http2 }: TargetSettings, protocol: 'http1' | 'h2' | 'h2c'): number {
  return protocol === 'http1' ? maxConnections : http2.maxConnections * http2.maxStreams
}

/** Interval between look-ups of a name, unless `connectionLifetime` is shorter. */
const LOOKUP_INTERVAL_MS = 10_000

function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[|\]$/g, '')
}

type ClientOptions = Client.Options & { connect: buildConnector.connector }

function clientOptions({ maxHeaderBytes }: TargetSettings, connect: buildConnector.connector): ClientOptions {
  return {
    maxHeaderSize: maxHeaderBytes,
    pipelining: 1, // one request per connection at a time, so that a slow response does not delay the next
    connect,
    // `call-timer.ts` replaces these timeouts; it distinguishes a silent client from a silent upstream.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Below the 5 s after which a Node upstream closes an idle connection, so that its close does not race our request.
    keepAliveTimeout: 4_000,
  }
}

function createPool({ origin, maxConnections, connectionLifetimeMs }: TargetSettings, options: ClientOptions): Pool {
  return new Pool(origin, {
    ...options,
    factory: (url, ofClient) => new UpstreamClient(url, ofClient as ClientOptions),
    connections: maxConnections,
    // Bounds the age of busy connections, because the name may resolve to other addresses by now.
    ...(isIP(hostOf(origin)) === 0 && { clientTtl: connectionLifetimeMs }),
  })
}
