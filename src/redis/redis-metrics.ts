import type { BatchObservableCallback, Counter, Meter, ObservableCallback } from '@opentelemetry/api'
import type { Redis } from 'ioredis'
import { gatewayMeter } from '../telemetry/scope'
import * as semconv from '../telemetry/semconv'
import { ERROR_TYPES } from './error-type'
import { failureOf } from './failure'

type Observer = BatchObservableCallback

/** Metrics of the connection to Redis, except the duration of commands. `close` stops them. */
export class RedisMetrics {
  readonly #pool: string
  readonly #nodes: () => readonly Redis[]
  readonly #errors: Counter
  readonly #outages: Counter
  readonly #reconnects: Counter
  readonly #stopObserving: () => void

  /**
   * @param pool the address of Redis, without credentials
   * @param nodes returns the connections: one, or one for each cluster node used so far
   * @param cause returns why Redis is not used now; undefined while it is used
   */
  constructor(
    pool: string,
    { nodes, cause }: { readonly nodes: () => readonly Redis[]; readonly cause: () => string | undefined },
  ) {
    this.#pool = pool
    this.#nodes = nodes
    const meter = gatewayMeter()
    this.#errors = meter.createCounter(semconv.METRIC_REDIS_ERRORS, {
      unit: '{error}',
      description: 'Commands of requests that failed: timeout, error or no connection',
    })
    this.#outages = meter.createCounter(semconv.METRIC_REDIS_OUTAGES, {
      unit: '{outage}',
      description: 'Outages of Redis, by what detected them',
    })
    this.#reconnects = meter.createCounter(semconv.METRIC_REDIS_RECONNECTS, {
      unit: '{reconnect}',
      description: 'Reconnections to Redis',
    })
    // Start each series at 0: `rate()` does not see the first increment of a new series.
    for (const type of ERROR_TYPES) {
      for (const counter of [this.#errors, this.#outages]) counter.add(0, { [semconv.ATTR_ERROR_TYPE]: type })
    }
    this.#reconnects.add(0)
    const stopConnections = this.#observeConnections(meter)
    const stopCause = observeCause(meter, cause)
    this.#stopObserving = () => {
      stopConnections()
      stopCause()
    }
  }

  countError(error: unknown): void {
    this.#errors.add(1, { [semconv.ATTR_ERROR_TYPE]: failureOf(error).type })
  }

  countOutage(error: unknown): void {
    this.#outages.add(1, { [semconv.ATTR_ERROR_TYPE]: failureOf(error).type })
  }

  /** Counts each reconnection of `node`. */
  watch(node: Redis): void {
    let wasThere = false
    node.on('ready', () => {
      if (wasThere) this.#reconnects.add(1)
      wasThere = true
    })
  }

  close(): void {
    this.#stopObserving()
  }

  /**
   * Observes connections by state. A connection carries many commands and is `used` while one of them awaits its reply.
   */
  #observeConnections(meter: Meter): () => void {
    const count = meter.createObservableUpDownCounter(semconv.METRIC_DB_CLIENT_CONNECTION_COUNT, {
      unit: '{connection}',
      description: 'Open connections, by state',
    })
    const observe: Observer = result => {
      const ready = this.#nodes().filter(({ status }) => status === 'ready')
      const used = ready.filter(isUsed).length
      for (const [state, connections] of [
        ['used', used],
        ['idle', ready.length - used],
      ] as const) {
        result.observe(count, connections, {
          [semconv.ATTR_DB_CLIENT_CONNECTION_POOL_NAME]: this.#pool,
          [semconv.ATTR_DB_CLIENT_CONNECTION_STATE]: state,
        })
      }
    }
    meter.addBatchObservableCallback(observe, [count])
    return () => meter.removeBatchObservableCallback(observe, [count])
  }
}

/** Observes one series for each cause seen so far: 1 for the current cause, 0 for earlier ones. */
function observeCause(meter: Meter, cause: () => string | undefined): () => void {
  const gauge = meter.createObservableGauge(semconv.METRIC_REDIS_UNAVAILABLE, {
    description: '1 for the latest known cause while Redis is unavailable',
  })
  const seen = new Set<string>()
  const observe: ObservableCallback = result => {
    const current = cause()
    if (current !== undefined) seen.add(current)
    for (const type of seen) result.observe(type === current ? 1 : 0, { [semconv.ATTR_ERROR_TYPE]: type })
  }
  gauge.addCallback(observe)
  return () => gauge.removeCallback(observe)
}

function isUsed(node: Redis): boolean {
  const queue = Reflect.get(node, 'commandQueue') as { readonly length: number } | undefined
  return queue !== undefined && queue.length > 0
}
