import { isIP, type Socket } from 'node:net'
import { Pool, type buildConnector } from 'undici'
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
import { ConnectionQueue } from './connection-queue'
import { createConnector, type UpstreamTls } from './connector'
import { hashOf } from './hash'
import { HealthCheck } from './health-check'
import { countCheck } from './target-metrics'

/** All that a target is made from: where two files say the same, it is the same target. */
export interface TargetSettings extends TargetConfig {
  readonly upstreamName: string
  readonly connectMs: number
  readonly tls: UpstreamTlsConfig | undefined
  readonly maxConnections: number
  readonly fairness: FairnessConfig
  readonly connectionLifetimeMs: number
  /** Undefined: it is asked whatever it answers. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Undefined: it is not checked. */
  readonly healthCheck: HealthCheckConfig | undefined
}

/** Who wants to know how a target is. */
export interface TargetFollower {
  /** Its circuit changed. */
  readonly onCircuit: (target: Target, previous: CircuitState) => void
  /** Checks say that it is well again, or not any more; or how it is, for the first time. */
  readonly onHealth: (target: Target, isFirst: boolean) => void
}

/** One origin of an upstream, with its keep-alive connections and what is known of its health. */
export class Target {
  readonly origin: string
  readonly pool: Pool
  /** Which call gets one of the pool's connections. */
  readonly connections: ConnectionQueue
  readonly attributes: TargetAttributes
  /** Of its gauges. */
  readonly labels: Attributes
  readonly circuit: Circuit | undefined
  readonly healthCheck: HealthCheck | undefined
  /** Calls under way, those that wait for a connection included. */
  activeCalls = 0
  /** Calls that hold a place in the queue for a connection, also when nobody waits for their answer any more. */
  waitingCalls = 0
  /** Upstreams that have it: while requests still go by the file before, two. */
  readonly followers = new Set<TargetFollower>()
  readonly #maxWaitingCalls: number
  readonly #upgraded = new Set<Socket>()
  readonly weight: number
  /** What it is owed when turns go by weight. */
  credit = 0
  /** Of its origin, for consistent hashing. */
  readonly seed: number

  /** @param joins others that are known: it gets no requests before a check has passed, if it is checked */
  constructor(settings: TargetSettings, joins: boolean, tls?: UpstreamTls) {
    const { upstreamName, origin, weight, connectMs, maxConnections, circuitBreaker, healthCheck } = settings
    const connect = createConnector(connectMs, tls)
    this.origin = origin
    this.weight = weight
    this.seed = hashOf(origin)
    this.pool = createPool(settings, connect)
    this.connections = new ConnectionQueue({ connections: maxConnections, ...settings.fairness })
    // For a burst; what does not clear within the wait that a call is allowed anyway needs no longer queue.
    this.#maxWaitingCalls = Math.max(100, 10 * maxConnections)
    this.attributes = toTargetAttributes(upstreamName, origin)
    this.labels = {
      [ATTR_UPSTREAM_NAME]: upstreamName,
      [ATTR_SERVER_ADDRESS]: this.attributes.address,
      [ATTR_SERVER_PORT]: this.attributes.port,
    }
    this.circuit =
      circuitBreaker &&
      new Circuit(circuitBreaker, previous => {
        for (const { onCircuit } of this.followers) onCircuit(this, previous)
      })
    this.healthCheck =
      healthCheck &&
      new HealthCheck({
        origin,
        config: healthCheck,
        connect,
        isAwaited: joins,
        onResult: hasPassed => countCheck(this, hasPassed),
        onChange: isFirst => {
          for (const { onHealth } of this.followers) onHealth(this, isFirst)
        },
      })
  }

  /** Whether it should get requests. */
  get isAvailable(): boolean {
    return this.healthCheck?.isHealthy !== false && this.circuit?.isOpen !== true
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

  /** A connection that is no longer the pool's, so that the pool does not close it. */
  adopt(upgraded: Socket): void {
    this.#upgraded.add(upgraded)
    upgraded.once('close', () => this.#upgraded.delete(upgraded))
  }

  /** No file names it any more: it is no longer checked. */
  leave(): void {
    void this.healthCheck?.stop()
  }

  /** Closes the connections; a call still in flight fails, rather than keep the process from ending. */
  async close(): Promise<void> {
    this.circuit?.close()
    this.connections.close(new GatewayError('draining'))
    for (const socket of this.#upgraded) socket.destroy(new GatewayError('draining'))
    await Promise.all([this.healthCheck?.stop(), this.pool.destroy(new GatewayError('draining'))])
  }
}

function createPool(settings: TargetSettings, connect: buildConnector.connector): Pool {
  const { origin, maxConnections, connectionLifetimeMs } = settings
  const host = new URL(origin).hostname.replace(/^\[|\]$/g, '')
  return new Pool(origin, {
    connections: maxConnections,
    // A name may have moved while its connections were busy enough never to be closed.
    ...(isIP(host) === 0 && { clientTtl: connectionLifetimeMs }),
    pipelining: 1, // one request per connection at a time: a slow answer must not hold up the next one
    connect,
    // Each call has a timer of its own, which knows whose turn it is (`call-timer.ts`).
    headersTimeout: 0,
    bodyTimeout: 0,
    // Below the 5 s after which Node, the commonest upstream, closes an idle connection: else its close races our request.
    keepAliveTimeout: 4_000,
  })
}
