import { REASONS, type Reason } from './reasons'

/**
 * Error types of `Proxy-Status` (RFC 9209 §2.3) by reason. Reasons that are missing here are refusals of the request:
 * `http_request_denied` if the gateway's rules refuse it, `http_request_error` if it is malformed.
 */
const ERROR_TYPES: Partial<Readonly<Record<Reason, string>>> = {
  connect_refused: 'connection_refused',
  unreachable: 'destination_ip_unroutable',
  connect_timeout: 'connection_timeout',
  dns: 'dns_error',
  tls: 'tls_protocol_error',
  circuit_open: 'destination_unavailable',
  no_healthy_upstream: 'destination_unavailable',
  reset: 'connection_terminated',
  bad_response: 'http_protocol_error',
  response_timeout: 'http_response_timeout',
  limiter_unavailable: 'proxy_internal_error',
  keys_unavailable: 'proxy_internal_error',
  authorizer_unavailable: 'proxy_internal_error',
  policy_failed: 'proxy_internal_error',
  internal: 'proxy_internal_error',
  no_route: 'destination_not_found',
  loop_detected: 'proxy_loop_detected',
  overloaded: 'connection_limit_reached',
  draining: 'destination_unavailable',
  shed: 'proxy_internal_error',
}

const MALFORMED: ReadonlySet<Reason> = new Set([
  'bad_request',
  'uri_too_long',
  'header_too_large',
  'body_too_large',
  'request_timeout',
  'expectation_failed',
  'not_implemented',
  'version_not_supported',
  'method_not_allowed',
])

/**
 * Value of `Proxy-Status`: the proxy and why it answered instead of the upstream.
 *
 * @param name the gateway's name, a token of structured fields (RFC 9651)
 */
export function proxyStatus(name: string, reason: Reason): string {
  const type = ERROR_TYPES[reason] ?? (MALFORMED.has(reason) ? 'http_request_error' : 'http_request_denied')
  // RFC 9209 §2.3.25: this type has the status of the answer as a parameter.
  const status = type === 'http_request_error' ? `; status-code=${REASONS[reason].status}` : ''
  return `${name}; error=${type}${status}; details="${reason}"`
}
