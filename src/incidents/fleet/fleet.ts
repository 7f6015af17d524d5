/** Types of the fleet: all replicas of the gateway, as Prometheus and their ops ports report them. */

/** The load of a replica. Absent values are unknown. */
export interface Load {
  readonly requestsPerSecond?: number | undefined
  /** Share of requests that failed in the last five minutes, from 0 to 1; absent without requests. */
  readonly faultShare?: number | undefined
  readonly limitedPerSecond?: number | undefined
  readonly inFlight?: number | undefined
  /** Cores in use. */
  readonly cpu?: number | undefined
  /** Share of time in which the event loop was busy. */
  readonly eventLoopBusy?: number | undefined
  readonly eventLoopDelayP99Ms?: number | undefined
}

export interface EjectedTarget {
  readonly upstream: string
  readonly target: string
  readonly reason?: string | undefined
}

export interface LimitedClient {
  readonly client: string
  readonly route: string
  readonly policy: string
  readonly count: number
}

/** What a replica reports on its ops port (`/summary`). */
export interface Summary {
  readonly status: 'ok' | 'attention' | 'not_ready'
  readonly notReady?: string | undefined
  readonly concerns: readonly string[]
  readonly version: string
  readonly host: string
  readonly startedAtMs: number
  readonly sha256: string
  readonly configSinceMs: number
  readonly refusedReload?: { readonly timeMs: number; readonly reason?: string | undefined } | undefined
  readonly limits: 'memory' | 'redis' | 'degraded'
  readonly load: Load
  readonly requests: { readonly requests: number; readonly faults: number }
  readonly targets: number
  readonly ejected: readonly EjectedTarget[]
  readonly limited: readonly LimitedClient[]
}

/** What Prometheus knows about a replica. */
export interface Scraped {
  readonly instance: string
  /** Address of its ops port, as the replica reported it. */
  readonly url?: string | undefined
  /** Time of the last successful scrape within the last hour. */
  readonly lastSeenMs?: number | undefined
  /** `up`: it is scraped now. `down`: scrapes fail. `gone`: Prometheus no longer scrapes it. */
  readonly scrape: 'up' | 'down' | 'gone'
  readonly scrapeError?: string | undefined
  readonly version?: string | undefined
  readonly sha256?: string | undefined
  readonly load: Load
  readonly ejected: readonly EjectedTarget[]
}

/**
 * - `ok`, `attention`, `not_ready`: what it says itself
 * - `unreachable`: its ops port does not answer
 * - `gone`: Prometheus stopped scraping it in the last quarter of an hour, as after a scale-down or rollout
 */
export type ReplicaState = 'ok' | 'attention' | 'not_ready' | 'unreachable' | 'gone'

export interface FleetReplica extends Scraped {
  readonly state: ReplicaState
  /** Why the ops port did not answer. */
  readonly problem?: string | undefined
  readonly summary?: Summary | undefined
  /** Whether its version and its configuration differ from those of most others. */
  readonly differs: { readonly version: boolean; readonly configuration: boolean }
}

/** A statement about the fleet that needs attention. */
export interface Concern {
  readonly kind: 'bad' | 'warn'
  readonly text: string
}

/** Replicas that have a version or configuration in common. */
export interface Group {
  readonly value: string
  readonly instances: readonly string[]
}

export interface Fleet {
  readonly timeMs: number
  /** The most severe first. */
  readonly concerns: readonly Concern[]
  /** Those that need attention first. */
  readonly replicas: readonly FleetReplica[]
  /** Replicas beyond the maximum, neither asked nor shown. */
  readonly leftOut: number
  /** The most frequent first. */
  readonly versions: readonly Group[]
  readonly configurations: readonly Group[]
  readonly ejected: readonly (EjectedTarget & { readonly instances: readonly string[] })[]
  readonly limited: readonly (LimitedClient & { readonly instances: readonly string[] })[]
  /** Why Prometheus did not answer; absent: it did. */
  readonly prometheusProblem?: string | undefined
}
