import { Pool } from 'undici'
import type { UpstreamConfig } from '../config/types'
import { toTargetAttributes, type TargetAttributes } from './client-telemetry'
import { createConnector } from './connector'
import { RetryPolicy } from './retry-policy'

/** One origin of an upstream, with its keep-alive connections. */
export interface Target {
  readonly origin: string
  readonly pool: Pool
  readonly attributes: TargetAttributes
}

/** A backend service: its targets, asked in turn. */
export class Upstream {
  readonly name: string
  /** How long a target may keep silent when it is its turn. */
  readonly responseTimeoutMs: number
  /** Undefined where nothing is tried again. */
  readonly retries: RetryPolicy | undefined
  readonly #targets: readonly Target[]
  #next = 0

  constructor(config: UpstreamConfig) {
    this.name = config.name
    this.responseTimeoutMs = config.timeouts.responseMs
    this.retries = config.retries && new RetryPolicy(config.name, config.retries)
    this.#targets = config.targets.map(origin => ({
      origin,
      pool: createPool(origin, config),
      attributes: toTargetAttributes(config.name, origin),
    }))
  }

  /** The target whose turn it is. */
  pick(): Target {
    const target = this.#targets[this.#next] as Target
    this.#next = (this.#next + 1) % this.#targets.length
    return target
  }

  /** A target for a call that failed elsewhere: one that was not tried yet, where there is one. */
  pickOther(tried: readonly Target[]): Target | undefined {
    for (let i = 0; i < this.#targets.length; i++) {
      const target = this.pick()
      if (!tried.includes(target)) return target
    }
    return this.pick()
  }

  /** Closes the connections; a call still in flight fails, rather than keep the process from ending. */
  async close(): Promise<void> {
    await Promise.all(this.#targets.map(({ pool }) => pool.destroy()))
  }
}

function createPool(origin: string, { timeouts, maxConnections }: UpstreamConfig): Pool {
  return new Pool(origin, {
    connections: maxConnections,
    pipelining: 1, // one request per connection at a time: a slow answer must not hold up the next one
    connect: createConnector(timeouts.connectMs),
    // Each call has a timer of its own, which knows whose turn it is (`call-timer.ts`).
    headersTimeout: 0,
    bodyTimeout: 0,
    // Below the 5 s after which Node, the commonest upstream, closes an idle connection: else its close races our request.
    keepAliveTimeout: 4_000,
  })
}
