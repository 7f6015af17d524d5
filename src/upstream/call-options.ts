import type { HostSent } from '../config/values/host-sent'
import type { Reason } from '../errors/reasons'
import type { Exchange } from '../exchange/exchange'
import type { SilenceLimits } from './call-timer'
import type { ClientTelemetry } from './client-telemetry'
import type { LeastDownload } from './download-pace'
import type { FieldRules } from './request-headers'
import type { ResponseBufferLimits, ResponseMemory } from './response-buffer'
import type { Target } from './target'
import type { Upstream } from './upstream'

/** The settings of all calls that a route makes to its upstream. Created once per route. */
export interface CallOptions {
  readonly upstream: Upstream
  readonly telemetry: ClientTelemetry
  /** The prefix that was removed from the path. */
  readonly forwardedPrefix: string | undefined
  /** The `Host` that the target receives. */
  readonly host: HostSent
  readonly retry: 'idempotent' | 'always' | 'never'
  /** How long a call may wait for a connection, free or newly opened. */
  readonly connectionMs: number
  /**
   * How long the upstream may stay silent before its response begins, and how long a client may stall its upload or
   * download. A stalled call holds one of few upstream connections.
   */
  readonly silence: SilenceLimits
  /** The minimum rate at which a client must read a response that waits for it. */
  readonly leastDownload: LeastDownload
  /** How many bytes of a response the gateway may buffer for its client. */
  readonly responseBuffer: ResponseBufferLimits
  readonly responseMemory: ResponseMemory
  /** The longest pause between two chunks. */
  readonly idleMs: number
  /** The time limit of the exchange, from the request's header section to the last byte of its response. */
  readonly totalMs: number | undefined
  /** The idle timeout of a connection that was upgraded to WebSocket. */
  readonly webSocketIdleMs: number
  /** Selects the request fields that are not forwarded to the target. */
  readonly fieldRules: FieldRules
  /** Trace fields that the gateway sets itself in every call. */
  readonly replacedFields: ReadonlySet<string>
  readonly onFailure: (exchange: Exchange, error: unknown) => void
}

/** The earlier calls of a request that is sent again. */
export interface Resend {
  /** Calls made before this one. */
  readonly count: number
  /** Why the previous call failed. */
  readonly reason: Reason
  readonly tried: readonly Target[]
  /** How many of the earlier calls count against `retries.attempts`. */
  readonly retries: number
  /** The request was already repeated once because a connection broke before the first response byte. */
  readonly wasRepeated: boolean
  /** The call must not reuse a connection. */
  readonly needsFreshConnection: boolean
  /** How often a target declared that it has not processed the request. */
  readonly refusals: number
}
