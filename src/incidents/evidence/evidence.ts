import type { Comparison } from './comparison/compare'
import type { Curve } from './curve'
import type { TraceSpan } from './otlp-trace'

/** What is known about an alert besides that it fires. Written to the incident record, and in short into the message. */
export interface Evidence {
  /** Which numbers fall in this time: milliseconds since the epoch. */
  readonly window: { readonly startMs: number; readonly endMs: number }
  /** Most frequent first. */
  readonly signatures: readonly Signature[]
  /** Of an alert about faults or refusals: which statuses they were answered with, most frequent first. */
  readonly statuses: readonly StatusCount[]
  /** Of an alert about load: how much there was to do. */
  readonly load: Load | undefined
  /** What failing requests have in common and good ones have not. Undefined where the alert is not about requests. */
  readonly comparison?: Comparison | undefined
  /** Of an alert about faults of a route that has an objective; absent in old records. */
  readonly budget?: Budget | undefined
  /** Requests that prove it, newest first. */
  readonly traces: readonly ProvingTrace[]
  /** A good request of the same route, to be seen beside them. */
  readonly goodTrace?: ProvingTrace | undefined
  readonly firstBadMs: number | undefined
  readonly lastGoodMs: number | undefined
  /** When the last request failed; known once the alert is over, and of an open one as far as it was looked at. */
  readonly lastBadMs?: number | undefined
  /** Of an alert about a limit: who runs into it most often, most first. */
  readonly limitedClients: readonly LimitedClient[]
  /** What changed shortly before, oldest first. */
  readonly changes: readonly Change[]
  /** What it looked like when the evidence was gathered: Prometheus forgets. Undefined where an alert has none. */
  readonly curve: Curve | undefined
  /** What could not be asked, and why: evidence is then partial. */
  readonly missing: readonly string[]
}

/** One way in which requests fail. */
export interface Signature {
  readonly route: string
  readonly upstream: string
  readonly reason: string
  /** `address:port` that was asked, where the traces agree on one. */
  readonly target: string | undefined
  /** What the failing call said, with numbers and ids taken out. */
  readonly message: string | undefined
  /** Requests of this signature in the window, by the counters. */
  readonly count: number
  /**
   * All requests of the alert's selection that failed in the window, by the counters. Of an alert about a limit or about load
   * all requests, turned away or not: all of those that were limited were limited.
   */
  readonly total: number
}

export interface StatusCount {
  /** 499: the client went away first. */
  readonly status: string
  /** Affected requests that ended with it in the window, by the counters. */
  readonly count: number
  /** Of an alert about faults: the requests of its selection that were let through (ok or fault), as in its rule. Else all of them. */
  readonly total: number
  /** Of an alert about faults: those that are not in `total`, as they were refused or given up by their clients. */
  readonly refused?: number | undefined
}

/** The highest that was scraped in the window; undefined where Prometheus has nothing. */
export interface Load {
  /** Requests being served at once. */
  readonly activeRequests: number | undefined
  /** How late the event loop was, 99th percentile, in seconds. */
  readonly eventLoopDelay: number | undefined
}

/** Parts of the error budget of 30 days. */
export interface Budget {
  /** Spent by the faults in the window of the evidence. */
  readonly spent: number
  /** Below 0: the objective is missed. */
  readonly left: number
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
  /** Where it was opened; undefined when it is only known by its exemplar. */
  readonly source: string | undefined
  readonly spans: readonly TraceSpan[]
}

export interface LimitedClient {
  /** A digest, or in clear where the policy says so. */
  readonly client: string
  /** Times it was over the limit since its gateways began, by their own count. */
  readonly count: number
}

export interface Change {
  readonly timeMs: number
  /** One line: "configuration 3f2a91 came into force on 10.0.0.5:9464". */
  readonly what: string
}
