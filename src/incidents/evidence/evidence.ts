import type { Comparison } from './comparison/compare'
import type { Curve } from './curve'
import type { TraceSpan } from './otlp-trace'

/** Findings about an alert. Stored in the incident record and, shortened, in the message. */
export interface Evidence {
  /** The time range of the counts: milliseconds since the epoch. */
  readonly window: { readonly startMs: number; readonly endMs: number }
  /** Most frequent first. */
  readonly signatures: readonly Signature[]
  /** For alerts about faults or refusals: the statuses of the responses, most frequent first. */
  readonly statuses: readonly StatusCount[]
  /** For alerts about load: how high the load was. */
  readonly load: Load | undefined
  /** What distinguishes failing from good requests. Undefined if the alert is not about requests. */
  readonly comparison?: Comparison | undefined
  /** For alerts about faults of a route with an objective; absent in old records. */
  readonly budget?: Budget | undefined
  /** Example requests, newest first. */
  readonly traces: readonly ProvingTrace[]
  /** A good request of the same route, for comparison. */
  readonly goodTrace?: ProvingTrace | undefined
  /** Log lines of these requests, from the log store; absent without one. */
  readonly logs?: readonly LogLine[] | undefined
  readonly firstBadMs: number | undefined
  readonly lastGoodMs: number | undefined
  /** When the last request failed; final once the alert is over, before that as of the last look. */
  readonly lastBadMs?: number | undefined
  /** For alerts about a limit: the clients that exceed it, most frequent first. */
  readonly limitedClients: readonly LimitedClient[]
  /** Changes shortly before the alert, oldest first. */
  readonly changes: readonly Change[]
  /** The curve when the evidence was gathered, because Prometheus deletes old data. Undefined if the alert has none. */
  readonly curve: Curve | undefined
  /** Sources that could not be queried, and why: the evidence is then partial. */
  readonly missing: readonly string[]
}

/** One way in which requests fail. */
export interface Signature {
  readonly route: string
  readonly upstream: string
  readonly reason: string
  /** The `address:port` that was asked, if the traces agree on one. */
  readonly target: string | undefined
  /** The error message of the failing call, without numbers and ids. */
  readonly message: string | undefined
  /** Requests of this signature in the window, by the counters. */
  readonly count: number
  /**
   * All failed requests of the alert's selection in the window, by the counters. For alerts about a limit or load: all
   * requests, refused or not, since every limited request has the same reason.
   */
  readonly total: number
}

export interface StatusCount {
  /** 499: the client closed the connection first. */
  readonly status: string
  /** Affected requests with this status in the window, by the counters. */
  readonly count: number
  /**
   * For alerts about faults: the admitted requests of the selection (ok or fault), as in the rule. Otherwise all
   * requests.
   */
  readonly total: number
  /** For alerts about faults: requests not in `total`, because they were refused or closed by their clients. */
  readonly refused?: number | undefined
}

/** The highest scraped values in the window; undefined if Prometheus has none. */
export interface Load {
  /** Requests in flight. */
  readonly activeRequests: number | undefined
  /** Event loop delay, 99th percentile, in seconds. */
  readonly eventLoopDelay: number | undefined
}

/** Fractions of the error budget of the objective's window. */
export interface Budget {
  /** Spent by the faults in the window of the evidence. */
  readonly spent: number
  /** Remaining; below 0, the objective is missed. */
  readonly left: number
  /** Length of the window; undefined in incidents of an earlier version: 30. */
  readonly days?: number
}

export interface ProvingTrace {
  readonly traceId: string
  readonly timeMs: number
  readonly durationMs: number
  readonly method: string | undefined
  readonly path: string | undefined
  readonly route: string | undefined
  readonly upstream: string | undefined
  readonly status: string | undefined
  readonly reason: string | undefined
  /** Where it was found; undefined if only its exemplar is known. */
  readonly source: string | undefined
  readonly spans: readonly TraceSpan[]
}

/** A log line of a failing request, redacted and shortened. */
export interface LogLine {
  readonly traceId: string
  readonly timeMs: number
  /** The service that wrote it. */
  readonly service?: string
  readonly text: string
}

export interface LimitedClient {
  /** A digest, or in clear if the policy allows it. */
  readonly client: string
  /** Requests above the limit since its gateways started, by their own count. */
  readonly count: number
}

export interface Change {
  readonly timeMs: number
  /** One line: "configuration 3f2a91 came into force on 10.0.0.5:9464". */
  readonly what: string
}
