import type { Signature } from './evidence'
import type { ProvingTrace } from './evidence'
import type { Sample } from './prometheus'
import type { TraceSpan } from './otlp-trace'

/** Maximum signatures reported for one alert; an outage has a few causes, the rest is noise. */
const MAX_SIGNATURES = 8

/**
 * Groups failures by what they have in common. Counts come from the counters, which cover every request; details come
 * from the traces, which are a sample.
 *
 * @param counts failed requests by route, upstream and reason
 * @param all the total; default: the sum of the failed ones
 */
export function findSignatures(counts: readonly Sample[], traces: readonly ProvingTrace[], all?: number): Signature[] {
  const failed = Math.round(counts.reduce((sum, { value }) => sum + value, 0))
  // The two queries run at different moments, so the total may be smaller than its part.
  const total = Math.max(failed, Math.round(all ?? 0))
  return counts
    .filter(({ value }) => Math.round(value) > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, MAX_SIGNATURES)
    .map(({ labels, value }) => {
      const route = labels['http_route'] ?? ''
      const reason = labels['gateway_reason'] ?? ''
      const calls = traces.filter(trace => trace.route === route && trace.reason === reason).flatMap(failingCall)
      return {
        route,
        reason,
        upstream: labels['gateway_upstream_name'] ?? '',
        target: mostFrequent(calls.map(targetOf)),
        message: mostFrequent(calls.map(({ exception }) => exception && normalise(exception))),
        count: Math.round(value),
        total,
      }
    })
}

function failingCall({ spans }: ProvingTrace): TraceSpan[] {
  return spans.filter(({ kind, isError }) => kind === 'client' && isError).slice(-1)
}

function targetOf({ attributes }: TraceSpan): string | undefined {
  const address = attributes['server.address']
  const port = attributes['server.port']
  return address === undefined ? undefined : port === undefined ? address : `${address}:${port}`
}

function mostFrequent(values: readonly (string | undefined)[]): string | undefined {
  const counts = new Map<string, number>()
  for (const value of values) if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

/** Replaces numbers, addresses and ids, so that messages of the same failure are equal. */
export function normalise(message: string): string {
  return message
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '<id>')
    .replaceAll(/\b[0-9a-f]{16,}\b/gi, '<id>')
    .replaceAll(/\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b/g, '<address>')
    .replaceAll(/\b\d+\b/g, '<n>')
    .slice(0, 200)
}

/** Subject and verb phrase by reason. Other reasons are shown unchanged. */
export const REASON_TEXTS: Readonly<Record<string, readonly ['upstream' | 'gateway' | 'clients', string]>> = {
  connect_refused: ['upstream', 'refused the connection'],
  unreachable: ['upstream', 'was unreachable'],
  connect_timeout: ['upstream', 'could not be reached in time'],
  dns: ['upstream', 'has a name that could not be resolved'],
  tls: ['upstream', 'had a TLS error'],
  circuit_open: ['upstream', 'was temporarily disabled (circuit open)'],
  no_healthy_upstream: ['upstream', 'had no healthy target'],
  reset: ['upstream', 'broke the connection'],
  bad_response: ['upstream', 'sent an invalid response'],
  response_timeout: ['upstream', 'did not respond in time'],
  upstream_5xx: ['upstream', 'answered with a 5xx'],
  grpc_status: ['upstream', 'answered with a gRPC error'],
  limiter_unavailable: ['gateway', 'could not check its rate limits'],
  keys_unavailable: ['gateway', 'had no keys to verify tokens'],
  authorizer_unavailable: ['gateway', 'had no answer from its authorizer'],
  internal: ['gateway', 'had an internal error'],
  policy_failed: ['gateway', 'had a policy that failed'],
  overloaded: ['gateway', 'had no connection left to a busy upstream'],
  shed: ['gateway', 'was overloaded and shed requests'],
  maintenance: ['gateway', 'was closed for maintenance'],
  draining: ['gateway', 'was shutting down'],
  loop_detected: ['gateway', 'got its own requests back from an upstream'],
  limited: ['clients', 'were over their rate limit'],
  no_route: ['clients', 'sent requests that match no route'],
  method_not_allowed: ['clients', 'used a method that is not allowed'],
  unauthenticated: ['clients', 'sent no valid credentials'],
  forbidden: ['clients', 'sent requests that they are not allowed to send'],
  bad_request: ['clients', 'sent malformed requests'],
  uri_too_long: ['clients', 'sent URLs that are too long'],
  body_too_large: ['clients', 'sent bodies that are too large'],
  header_too_large: ['clients', 'sent header sections that are too large'],
  request_timeout: ['clients', 'took too long to send their request'],
  not_implemented: ['clients', 'used what the gateway does not implement'],
  version_not_supported: ['clients', 'used a version of HTTP that is not supported'],
  expectation_failed: ['clients', 'sent an unknown Expect field'],
  client_closed: ['clients', 'disconnected before the response ended'],
  client_stalled: ['clients', 'stopped reading the response'],
  slow_client_evicted: ['clients', 'read too slowly while others waited for a connection'],
}

/** "37 of 40: orders → 10.0.0.7:9001 refused the connection". */
export function signatureLine(signature: Signature): string {
  const { route, reason, message, count, total } = signature
  const detail = message === undefined || reason === 'connect_refused' ? '' : ` ("${message}")`
  return `${count} of ${total}: ${placeOf(signature)} ${saidOf(signature)}${detail}, route ${route === '' ? 'none' : route}`
}

/** The failing component: "orders → 10.0.0.7:9001". */
export function placeOf({ upstream, target, reason }: Signature): string {
  const [who] = said(reason)
  if (who === 'clients') return 'clients'
  if (who === 'gateway' || upstream === '') return 'the gateway'
  return target === undefined ? upstream : `${upstream} → ${target}`
}

/** The failure: "refused the connection". */
export function saidOf({ reason }: Signature): string {
  return said(reason)[1]
}

function said(reason: string): readonly ['upstream' | 'gateway' | 'clients', string] {
  return (Object.hasOwn(REASON_TEXTS, reason) ? REASON_TEXTS[reason] : undefined) ?? ['upstream', `failed (${reason})`]
}
