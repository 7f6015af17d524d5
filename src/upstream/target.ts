import type { Socket } from 'node:net'
import type { buildConnector, Pool } from 'undici'
import type { Attributes } from '@opentelemetry/api'
import type { CircuitBreakerConfig, HealthCheckConfig, TargetConfig } from '../config/types'
import { GatewayError } from '../errors/gateway-error'
import type { Reason } from '../errors/reasons'
import { ATTR_SERVER_ADDRESS, ATTR_SERVER_PORT, ATTR_UPSTREAM_NAME } from '../telemetry/semconv'
import { Circuit, type CircuitState } from './circuit'
import { toTargetAttributes, type TargetAttributes } from './client-telemetry'
import { hashOf } from './hash'
import { HealthCheck } from './health-check'

export interface TargetOptions {
  readonly upstreamName: string
  readonly config: TargetConfig
  readonly pool: Pool
  /** How many calls may wait for a connection at once. */
  readonly maxWaitingCalls: number
  readonly connect: buildConnector.connector
  /** Undefined: it is asked whatever it answers. */
  readonly circuitBreaker: CircuitBreakerConfig | undefined
  /** Undefined: it is not checked. */
  readonly healthCheck: HealthCheckConfig | undefined
  /** Its circuit changed. */
  readonly onCircuit: (target: Target, previous: CircuitState) => void
  readonly onCheck: (target: Target, hasPassed: boolean) => void
  /** Checks say that it is well again, or not any more. */
  readonly onHealth: (target: Target) => void
}

/** One origin of an upstream, with its keep-alive connections and what is known of its health. */
export class Target {
  readonly origin: string
  readonly pool: Pool
  readonly attributes: TargetAttributes
  /** Of its gauges. */
  readonly labels: Attributes
  readonly circuit: Circuit | undefined
  readonly healthCheck: HealthCheck | undefined
  /** Calls under way, those that wait for a connection included. */
  activeCalls = 0
  /** Calls that hold a place in the queue for a connection, also when nobody waits for their answer any more. */
  waitingCalls = 0
  readonly #maxWaitingCalls: number
  readonly #upgraded = new Set<Socket>()
  readonly weight: number
  /** What it is owed when turns go by weight. */
  credit = 0
  /** Of its origin, for consistent hashing. */
  readonly seed: number

  constructor(options: TargetOptions) {
    const { upstreamName, pool, connect, circuitBreaker, healthCheck } = options
    const { origin, weight } = options.config
    this.origin = origin
    this.weight = weight
    this.seed = hashOf(origin)
    this.pool = pool
    this.#maxWaitingCalls = options.maxWaitingCalls
    this.attributes = toTargetAttributes(upstreamName, origin)
    this.labels = {
      [ATTR_UPSTREAM_NAME]: upstreamName,
      [ATTR_SERVER_ADDRESS]: this.attributes.address,
      [ATTR_SERVER_PORT]: this.attributes.port,
    }
    this.circuit = circuitBreaker && new Circuit(circuitBreaker, previous => options.onCircuit(this, previous))
    this.healthCheck =
      healthCheck &&
      new HealthCheck({
        origin,
        config: healthCheck,
        connect,
        onResult: hasPassed => options.onCheck(this, hasPassed),
        onChange: () => options.onHealth(this),
      })
  }

  /** Whether it should get requests. */
  get isAvailable(): boolean {
    return this.healthCheck?.isHealthy !== false && this.circuit?.isOpen !== true
  }

  /** So many calls wait for its connections that another one would wait in vain. */
  get isFull(): boolean {
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

  async close(): Promise<void> {
    this.circuit?.close()
    for (const socket of this.#upgraded) socket.destroy(new GatewayError('draining'))
    await Promise.all([this.healthCheck?.stop(), this.pool.destroy()])
  }
}
