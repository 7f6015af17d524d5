import { DURATION_BUCKETS_S } from '../telemetry/semconv'
import { latencyThresholds, objectivesIn } from '../slo/objectives'
import type { GatewayConfig } from './gateway-config'
import type { ConfigProblem } from './types'
import { durationText } from './values/duration'

/** Problems of a configuration that the stock HTTP instrumentation cannot honour: it continues every caller's trace. */
export function stockProblems(config: GatewayConfig): ConfigProblem[] {
  return [
    ...stockTraceProblems(config),
    ...stockHttp2Problems(config),
    ...stockSloProblems(config),
    ...stockSamplingProblems(config),
  ]
}

/** Problems with latency objectives: the stock instrumentation creates its histogram before the file is read. */
function stockSloProblems(config: GatewayConfig): ConfigProblem[] {
  const missing = latencyThresholds(objectivesIn(config)).filter(threshold => !DURATION_BUCKETS_S.includes(threshold))
  if (missing.length === 0) return []
  const texts = missing.map(threshold => durationText(threshold * 1_000)).join(', ')
  const problem = `"stock" does not count durations by the latency thresholds of slo (${texts}), so these cannot be judged`
  const allowed = `own, or thresholds among ${DURATION_BUCKETS_S.map(bound => durationText(bound * 1_000)).join(', ')}`
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed, severity: 'warning' }]
}

/** Problems with sampling rates: the stock instrumentation decides before the route is known. */
function stockSamplingProblems({ routes }: GatewayConfig): ConfigProblem[] {
  if (routes.every(({ telemetry }) => telemetry === undefined)) return []
  const problem = '"stock" samples before the route is known, so that telemetry.sample has no effect'
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own', severity: 'warning' }]
}

/** Problems with HTTP/2: the stock instrumentation sees HTTP/1.1 only, so the gateway serves only HTTP/1.1 with it. */
function stockHttp2Problems({ entrypoint }: GatewayConfig): ConfigProblem[] {
  if (!entrypoint.http2.cleartext) return []
  const problem = '"stock" does not see HTTP/2, so that entrypoint.http2.cleartext has no effect'
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own', severity: 'warning' }]
}

function stockTraceProblems(config: GatewayConfig): ConfigProblem[] {
  if (config.entrypoint.traceContext === 'all') return []
  const problem = `"stock" continues every trace, and entrypoint.traceContext is "${config.entrypoint.traceContext}"`
  return [{ where: 'TELEMETRY_HTTP_INSTRUMENTATION', problem, allowed: 'own, or entrypoint.traceContext: all' }]
}
