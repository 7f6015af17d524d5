import type { RecentTraffic } from '../observe/recent/recent-requests'

/** Types of the data that the ops port reads from the gateway, shared by endpoints and pages. */

/** The clients that exceed one rate limit most often. */
export interface OffenderList {
  readonly route: string
  readonly policy: string
  /** All times that the policy was exceeded since the process began. */
  readonly limited: number
  readonly httpRoute: string
  readonly offenders: readonly { readonly client: string; readonly count: number; readonly error: number }[]
}

export type OffenderReader = () => readonly OffenderList[]

/** The current state of one upstream in this replica. */
export interface UpstreamState {
  readonly name: string
  /** So few targets are available that all of them get requests. */
  readonly panicking: boolean
  /** The cookie by which clients stay at a target. */
  readonly affinity?: { readonly cookie: string }
  /** Where targets are found; absent for an upstream whose targets are all written. */
  readonly sources?: readonly {
    readonly source: string
    /** How many it lists. */
    readonly targets: number
    /** While it is not null, the targets before are kept. */
    readonly lastFailure: string | null
  }[]
  readonly targets: readonly TargetState[]
}

export interface TargetState {
  /** Absent for HTTP/1.1. `auto` until the first connection. */
  readonly protocol?: string
  readonly target: string
  /** Whether it gets its share of requests. */
  readonly healthy: boolean
  /** Absent where nothing counts its failures. */
  readonly circuit?: 'closed' | 'open' | 'half_open'
  /** Absent without `healthCheck`. */
  readonly healthCheck?: { readonly healthy: boolean; readonly lastFailure: string | null }
  /** Absent where the target is an address. */
  readonly name?: { readonly addresses: readonly string[]; readonly lastFailure: string | null }
  /** Calls in flight, including those that wait for a connection. */
  readonly activeCalls: number
  /** Calls of the last quarter of an hour, retries included. */
  readonly calls?: RecentTraffic
  readonly connections: { readonly open: number; readonly free: number; readonly waitingCalls: number }
  /** The clients with most calls, at most ten. Absent without calls. */
  readonly clients?: readonly ClientUse[]
}

/** One client's use of a target. */
export interface ClientUse {
  /** Address or consumer. */
  readonly client: string
  readonly connections: number
  readonly waitingCalls: number
  readonly eventStreams: number
  readonly unreadResponses: number
  /** Whether the client is served last, because a connection was taken from it. */
  readonly servedLast: boolean
}

export type UpstreamReader = () => readonly UpstreamState[]

/** One kept request in a list, as the telemetry of the process tells it. */
export interface TraceSummary {
  readonly traceId: string
  /** Milliseconds since the epoch. */
  readonly timeMs: number
  readonly method: string | undefined
  readonly path: string | undefined
  readonly route: string | undefined
  readonly upstream: string | undefined
  readonly status: number | undefined
  readonly outcome: string | undefined
  readonly reason: string | undefined
  readonly durationMs: number
  readonly consumer?: string | undefined
  readonly requestId?: string | undefined
  /** Why it was kept. */
  readonly cause: string
}

/** Values that must be equal; `status` may be a class such as `5xx`. The times are milliseconds since the epoch. */
export type TraceFilter = { readonly [Key in keyof TraceSummary]?: string | undefined } & {
  readonly minDurationMs?: number | undefined
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
}

export interface TraceReader {
  list(filter: TraceFilter, limit: number): readonly TraceSummary[]
  otlpJson(traceId: string): string | undefined
}
