import { context, ROOT_CONTEXT } from '@opentelemetry/api'
import type { UpstreamConfig, UpstreamProtocol } from '../config/types'
import type { HostSent } from '../config/values/host-sent'
import { GatewayError } from '../errors/gateway-error'
import type { Logger } from '../telemetry/logger'
import { consumerOrClientKey } from '../exchange/client-key'
import type { Exchange } from '../exchange/exchange'
import type { RecentTraffic } from '../exchange/traffic/traffic-table'
import { Affinity } from './affinity'
import { createBalancer, type Balancer } from './balancer'
import type { CircuitState } from './circuit'
import type { ClientUse } from './connection-queue'
import { RetryPolicy } from './retry-policy'
import type { SourceState } from './discovery/source-state'
import type { Target, TargetFollower, TargetSettings } from './target'
import { overloaded } from './upstream-errors'
import { countEjection, observeTargets, stopObserving } from './target-metrics'

/** The current state of one upstream in this process. */
export interface UpstreamState {
  readonly name: string
  readonly panicking: boolean
  /** The cookie by which clients stay at a target. */
  readonly affinity?: { readonly cookie: string }
  /** Where targets are found; absent without discovery. */
  readonly sources?: readonly SourceState[]
  readonly targets: readonly {
    readonly target: string
    /** Absent for HTTP/1.1. `auto` until the first connection. */
    readonly protocol?: UpstreamProtocol
    readonly healthy: boolean
    readonly circuit?: CircuitState
    readonly healthCheck?: { readonly healthy: boolean; readonly lastFailure: string | null }
    readonly name?: { readonly addresses: readonly string[]; readonly lastFailure: string | null }
    readonly activeCalls: number
    /** Calls of the last quarter of an hour, retries included. */
    readonly calls?: RecentTraffic
    readonly connections: { readonly open: number; readonly free: number; readonly waitingCalls: number }
    /** The clients with most calls. Absent without calls. */
    readonly clients?: readonly ClientUse[]
  }[]
}

/** A backend service. Distributes requests over its available targets. */
export class Upstream {
  readonly name: string
  readonly timeouts: UpstreamConfig['timeouts']
  /** The `Host` that targets receive. */
  readonly host: HostSent
  readonly retries: RetryPolicy
  /** Whether targets are, or may be, asked over HTTP/2. */
  readonly isHttp2: boolean
  readonly targets: readonly Target[]
  /** So few targets are available that all of them get requests. */
  isPanicking = false
  readonly #config: UpstreamConfig
  readonly #log: Logger
  /** Some targets only get requests while others are not available: few available targets are then no panic. */
  readonly #hasReserves: boolean
  /** The targets that get requests now. Recomputed when a target changes, not for each request. */
  #candidates: readonly Target[]
  readonly #balancer: Balancer
  /** Undefined: clients do not stay at a target. */
  readonly #affinity: Affinity | undefined
  readonly #follower: TargetFollower = {
    // Run outside any trace, because a change is not caused by one request.
    onCircuit: (target, previous) => context.with(ROOT_CONTEXT, () => this.#circuitChanged(target, previous)),
    onHealth: (target, isFirst) => this.#healthChanged(target, isFirst),
    onLookup: target => this.#lookupChanged(target),
    mayEjectForStatus: target => this.#mayEjectForStatus(target),
  }

  /** @param targets created from `settingsOfTargets`; they may have been in use, with known health, before this */
  constructor(config: UpstreamConfig, targets: readonly Target[], log: Logger) {
    this.name = config.name
    this.timeouts = config.timeouts
    this.host = config.host ?? 'target'
    this.retries = new RetryPolicy(config.name, config.retries)
    this.isHttp2 = targets.some(({ protocol }) => protocol !== 'http1')
    this.targets = targets
    this.#config = config
    this.#balancer = createBalancer(config)
    this.#affinity = config.affinity && new Affinity(config.name, config.affinity, targets)
    this.#log = log
    this.#hasReserves = new Set(targets.map(({ priority }) => priority)).size > 1
    this.#candidates = targets
    this.#chooseCandidates()
    for (const target of targets) target.follow(this.#follower)
    observeTargets(this)
  }

  /**
   * Chooses the target of a request and calls its `begin()`.
   *
   * @throws GatewayError `circuit_open`, `no_healthy_upstream`, `overloaded`
   */
  pick(exchange: Exchange): Target {
    const candidates = this.#candidates
    if (candidates.length === 0) throw this.#refusal()
    const target = this.#choose(candidates, exchange)
    if (target === undefined) throw overloaded()
    target.begin()
    return target
  }

  /** Chooses a target for a retry, an untried one if possible, and calls its `begin()`. */
  pickOther(tried: readonly Target[], exchange: Exchange): Target | undefined {
    const untried = this.#candidates.filter(target => !tried.includes(target))
    return this.#pickOf(untried.length > 0 ? untried : this.#candidates, exchange)
  }

  /** Like `pickOther`, but returns undefined if all targets were tried. */
  pickUntried(tried: readonly Target[], exchange: Exchange): Target | undefined {
    return this.#pickOf(
      this.#candidates.filter(target => !tried.includes(target)),
      exchange,
    )
  }

  #pickOf(choice: readonly Target[], exchange: Exchange): Target | undefined {
    if (choice.length === 0) return undefined
    const target = this.#choose(choice, exchange)
    target?.begin()
    return target
  }

  /** Returns undefined if the queue of every candidate is full for this client. */
  #choose(candidates: readonly Target[], exchange: Exchange): Target | undefined {
    if (this.#affinity !== undefined) return this.#chooseSticky(this.#affinity, candidates, exchange)
    return this.#chooseBalanced(candidates, exchange)
  }

  /**
   * Chooses the client's target, or another one if the client has none, if its target is ejected, or for this call only, if
   * its target failed just now or is crowded.
   */
  #chooseSticky(affinity: Affinity, candidates: readonly Target[], exchange: Exchange): Target | undefined {
    const own = affinity.targetOf(exchange)
    const isInService = own !== undefined && this.#candidates.includes(own)
    if (isInService && candidates.includes(own) && !own.isCrowded) return own
    const target = this.#chooseBalanced(candidates, exchange)
    if (!isInService && target !== undefined) affinity.remember(exchange, target)
    return target
  }

  #chooseBalanced(candidates: readonly Target[], exchange: Exchange): Target | undefined {
    const target = this.#balancer.choose(candidates, exchange)
    if (!target.isCrowded) return target
    const key = consumerOrClientKey(exchange)
    if (!target.isFullFor(key)) return target
    const others = candidates.filter(other => !other.isFullFor(key))
    return others.length === 0 ? undefined : this.#balancer.choose(others, exchange)
  }

  /** Describes the state of the targets for the ops port. */
  describe(): UpstreamState {
    return {
      name: this.name,
      panicking: this.isPanicking,
      ...(this.#config.affinity && { affinity: { cookie: this.#config.affinity.name } }),
      targets: this.targets.map(
        ({
          origin,
          spoken,
          attributes,
          isAvailable,
          circuit,
          healthCheck,
          names,
          activeCalls,
          connections,
          pool: { stats },
        }) => ({
          target: origin,
          ...(spoken !== 'http1' && { protocol: spoken }),
          healthy: isAvailable,
          ...(circuit && { circuit: circuit.state }),
          ...(healthCheck && {
            healthCheck: { healthy: healthCheck.isHealthy, lastFailure: healthCheck.lastFailure ?? null },
          }),
          ...(names && { name: { addresses: names.addresses, lastFailure: names.lastFailure ?? null } }),
          activeCalls,
          calls: attributes.calls.recent(),
          connections: { open: stats.connected, free: stats.free, waitingCalls: connections.waiting + stats.queued },
          ...(connections.held + connections.waiting > 0 && { clients: connections.largestClients() }),
        }),
      ),
    }
  }

  /** Stops reporting about its targets, because a newer upstream may report. Exchanges in flight still use this one. */
  leave(): void {
    stopObserving(this)
    for (const { followers } of this.targets) followers.delete(this.#follower)
  }

  /** Releases the upstream. Its targets are closed by their creator. */
  close(): void {
    this.leave()
  }

  #circuitChanged(target: Target, previous: CircuitState): void {
    this.#chooseCandidates()
    const { origin, circuit } = target
    if (circuit === undefined || circuit.state === previous || circuit.isHeard) return
    const line = { event: 'upstream', upstream: this.name, target: origin, circuit: circuit.state }
    if (circuit.state === 'half_open') this.#log.info(line, 'target tested: circuit half open')
    if (circuit.state === 'closed') this.#log.info(line, 'target reinstated')
    else if (circuit.isDown) this.#log.warn(line, 'target ejected: it takes no connections')
    else if (circuit.state === 'open') this.#log.warn(line, 'target ejected after repeated failures')
    if (previous === 'closed') countEjection(target, 'circuit')
  }

  #healthChanged(target: Target, isFirst: boolean): void {
    this.#chooseCandidates()
    const { origin, healthCheck } = target
    // Another process makes the checks, counts and logs.
    if (healthCheck?.isActive === false) return
    const line = { event: 'upstream', upstream: this.name, target: origin, healthy: healthCheck?.isHealthy }
    if (healthCheck?.isHealthy) {
      return this.#log.info(
        line,
        isFirst ? 'target passed its first health check' : 'target passed its health check again',
      )
    }
    if (!isFirst) countEjection(target, 'health_check')
    this.#log.warn({ ...line, failure: healthCheck?.lastFailure }, 'target failed its health check')
  }

  /** Logs a change of name resolution: once per outage, not once per look-up. */
  #lookupChanged({ origin, names }: Target): void {
    if (names === undefined) return
    const { addresses, lastFailure } = names
    const line = { event: 'upstream', upstream: this.name, target: origin, addresses }
    if (lastFailure === undefined) this.#log.info(line, 'name of target resolved again')
    else if (addresses.length === 0)
      this.#log.warn({ ...line, failure: lastFailure }, 'name of target does not resolve')
    else this.#log.warn({ ...line, failure: lastFailure }, 'name of target does not resolve: last addresses kept')
  }

  /**
   * Sets the candidates to the available targets, or to all targets when too few are available (panic): the few would
   * break under the load of all, and the cause may be something that ejection does not cure, such as the check itself.
   * In panic, targets that refuse connections are left out while there are others, because asking them relieves no
   * other target. A configured circuit breaker is respected even in panic.
   */
  #chooseCandidates(): void {
    const available = ofLowestPriority(this.targets.filter(target => target.isAvailable))
    const all = this.#known()
    const { panicThreshold, circuitBreaker } = this.#config
    this.#candidates = available
    const isShort = this.#hasReserves
      ? available.length === 0 && panicThreshold > 0
      : available.length * 100 < panicThreshold * all.length
    if (all.every(isAwaited) || isShort) {
      const asked = all.filter(({ circuit, isDown }) => (circuitBreaker ? !circuit?.isOpen : !isDown))
      this.#candidates = asked.length > 0 || circuitBreaker ? asked : all
    }
    this.isPanicking = this.#candidates.length > available.length
  }

  /** Returns the targets without those that await their first health check, unless there are no others. */
  #known(): readonly Target[] {
    const known = this.targets.filter(target => !isAwaited(target))
    return known.length > 0 ? known : this.targets
  }

  #mayEjectForStatus(target: Target): boolean {
    const others = this.targets.filter(other => other !== target && other.isAvailable)
    if (!others.some(({ circuit }) => circuit?.isFailing === false)) return false
    return others.length * 100 >= this.#config.panicThreshold * this.#known().length
  }

  #refusal(): GatewayError {
    // Discovery may have found no target yet.
    const isOpen = this.targets.length > 0 && this.targets.every(({ circuit }) => circuit?.isOpen)
    const waits = this.targets.map(({ circuit }) => circuit?.waitMs ?? 0)
    const waitMs = waits.length === 0 ? 0 : Math.min(...waits)
    const headers = ['Retry-After', String(Math.max(1, Math.ceil(waitMs / 1_000)))]
    return new GatewayError(isOpen ? 'circuit_open' : 'no_healthy_upstream', { headers })
  }
}

/** Returns the targets that get requests before those of higher numbers. */
function ofLowestPriority(targets: readonly Target[]): readonly Target[] {
  const lowest = Math.min(...targets.map(({ priority }) => priority))
  return targets.every(({ priority }) => priority === lowest)
    ? targets
    : targets.filter(({ priority }) => priority === lowest)
}

function isAwaited({ healthCheck }: Target): boolean {
  return healthCheck?.isAwaited === true
}

/** Returns the settings of each target. Two configurations with equal settings share the target. */
export function settingsOfTargets(config: UpstreamConfig): TargetSettings[] {
  const {
    name,
    targets,
    timeouts,
    tls,
    protocol,
    http2,
    maxConnections,
    maxHeaderBytes,
    fairness,
    connectionLifetimeMs,
    circuitBreaker,
    healthCheck,
    discovery,
  } = config
  // A single target is never ejected. Discovered targets keep their state while others come and go.
  const mayBeEjected = targets.length > 1 || discovery !== undefined
  const ejection = circuitBreaker === undefined && mayBeEjected ? config.ejection : undefined
  const { connectMs } = timeouts
  const shared = {
    upstreamName: name,
    http2,
    connectMs,
    tls,
    maxConnections,
    maxHeaderBytes,
    fairness,
    connectionLifetimeMs,
    circuitBreaker,
    ejection,
    healthCheck,
  }
  return targets.map(target => ({
    ...target,
    ...shared,
    // Without TLS there is no handshake in which a protocol could be chosen.
    protocol: protocol === 'auto' && !target.origin.startsWith('https:') ? 'http1' : protocol,
  }))
}
