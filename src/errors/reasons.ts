/**
 * The table of all reasons why an exchange was not `ok`. `docs/errors.md` explains each row, and a test compares the two.
 * The set is bounded, so a reason may be a metric label.
 */

/**
 * How an exchange ended. `fault`: the gateway or the upstream failed, the only outcome that spends the error budget.
 * `refusal`: the request was refused. `client_closed`: the client left first.
 */
export type Outcome = 'ok' | 'fault' | 'refusal' | 'client_closed'

interface ReasonRow {
  readonly outcome: Exclude<Outcome, 'ok'>
  /** HTTP status of the answer the gateway writes (RFC 9110 §15); 499 appears only in logs, the client is gone. */
  readonly status: number
  /** Problem title (RFC 9457 §3.1.4): the same for every occurrence, without internals. */
  readonly title: string
}

export const REASONS = {
  // The request did not reach the upstream.
  connect_refused: { outcome: 'fault', status: 502, title: 'The upstream refused the connection' },
  unreachable: { outcome: 'fault', status: 502, title: 'The upstream is unreachable' },
  connect_timeout: { outcome: 'fault', status: 504, title: 'The upstream could not be reached in time' },
  dns: { outcome: 'fault', status: 502, title: 'The upstream could not be found' },
  tls: { outcome: 'fault', status: 502, title: 'No secure connection to the upstream' },
  /** The circuit breaker stops calls after repeated failures. */
  circuit_open: { outcome: 'fault', status: 503, title: 'Upstream temporarily disabled (circuit open)' },
  no_healthy_upstream: { outcome: 'fault', status: 503, title: 'No healthy upstream server' },
  // The upstream got the request and failed.
  reset: { outcome: 'fault', status: 502, title: 'The upstream broke the connection' },
  bad_response: { outcome: 'fault', status: 502, title: 'The upstream sent an invalid response' },
  response_timeout: { outcome: 'fault', status: 504, title: 'The upstream did not answer in time' },
  /** The upstream's own 5xx response, forwarded unchanged. */
  upstream_5xx: { outcome: 'fault', status: 502, title: 'The upstream failed' },
  /** The upstream's own gRPC status that says that it failed, forwarded unchanged. */
  grpc_status: { outcome: 'fault', status: 502, title: 'The upstream answered with a gRPC error' },
  // The gateway itself failed.
  limiter_unavailable: { outcome: 'fault', status: 503, title: 'Rate limits cannot be checked at the moment' },
  /** The token issuer's keys were never fetched, so no token can be checked. */
  keys_unavailable: { outcome: 'fault', status: 503, title: 'Tokens cannot be checked at the moment' },
  /** The external authorizer failed, and `failureMode` is `deny`. */
  authorizer_unavailable: { outcome: 'fault', status: 503, title: 'Access cannot be checked at the moment' },
  /** A policy of `policies` threw or took too long, and fails closed. */
  policy_failed: { outcome: 'fault', status: 500, title: 'A policy failed' },
  internal: { outcome: 'fault', status: 500, title: 'The gateway failed' },
  // The request was refused.
  bad_request: { outcome: 'refusal', status: 400, title: 'The request is malformed' },
  uri_too_long: { outcome: 'refusal', status: 414, title: 'The URL is too long' },
  header_too_large: { outcome: 'refusal', status: 431, title: 'The header section is too large' },
  body_too_large: { outcome: 'refusal', status: 413, title: 'The body is too large' },
  request_timeout: { outcome: 'refusal', status: 408, title: 'The request took too long to arrive' },
  expectation_failed: { outcome: 'refusal', status: 417, title: 'The expectation cannot be met' },
  /** An HTTP feature that the gateway does not implement. */
  not_implemented: { outcome: 'refusal', status: 501, title: 'Not implemented' },
  version_not_supported: { outcome: 'refusal', status: 505, title: 'HTTP version not supported' },
  no_route: { outcome: 'refusal', status: 404, title: 'No route matches this request' },
  method_not_allowed: { outcome: 'refusal', status: 405, title: 'The method is not allowed here' },
  /** The upstream sends requests back to this gateway. */
  loop_detected: { outcome: 'refusal', status: 508, title: 'Request loop detected' },
  forbidden: { outcome: 'refusal', status: 403, title: 'Not allowed' },
  unauthenticated: { outcome: 'refusal', status: 401, title: 'Credentials are missing or not valid' },
  limited: { outcome: 'refusal', status: 429, title: 'Too many requests' },
  /** Too many calls wait for a connection to the upstream. */
  overloaded: { outcome: 'refusal', status: 503, title: 'The upstream is busy' },
  /** Maintenance is configured in the file. */
  maintenance: { outcome: 'refusal', status: 503, title: 'Closed for maintenance' },
  /** The gateway itself is overloaded. */
  shed: { outcome: 'refusal', status: 503, title: 'The gateway is busy' },
  draining: { outcome: 'refusal', status: 503, title: 'The gateway is shutting down' },
  // The client left. 499 follows nginx; RFC 9110 defines no code for it.
  client_closed: { outcome: 'client_closed', status: 499, title: 'The client closed the connection' },
  client_stalled: { outcome: 'client_closed', status: 499, title: 'The client stopped reading' },
  /** The client held a connection that other clients waited for. */
  slow_client_evicted: {
    outcome: 'client_closed',
    status: 499,
    title: 'The client held a connection that others needed',
  },
} as const satisfies Readonly<Record<string, ReasonRow>>

export type Reason = keyof typeof REASONS

/** The reasons whose outcome is `fault`. */
export const FAULT_REASONS: readonly Reason[] = (Object.keys(REASONS) as Reason[]).filter(
  reason => REASONS[reason].outcome === 'fault',
)

/** Faults that can occur on routes without an upstream. */
export const OWN_FAULT_REASONS: readonly Reason[] = [
  'limiter_unavailable',
  'keys_unavailable',
  'authorizer_unavailable',
  'internal',
]

/** Refusals and client closes that every route with an upstream can have, whatever its policies. */
export const UPSTREAM_REFUSAL_REASONS: readonly Reason[] = [
  'loop_detected',
  'overloaded',
  'request_timeout',
  'client_stalled',
]

/** Refusals of requests that have no route. */
export const ENTRYPOINT_REASONS: readonly Reason[] = [
  'shed',
  'no_route',
  'method_not_allowed',
  'bad_request',
  'uri_too_long',
  'header_too_large',
  'request_timeout',
  'expectation_failed',
]
