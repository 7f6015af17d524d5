/**
 * How the values of several workers become one value of the gateway. `primary`: only the primary's value counts, because
 * each worker tells the same thing again, or something about itself alone.
 */
export type Rule = 'sum' | 'max' | 'min' | 'primary'

/**
 * The rule of each gauge and up-down counter, and of the counters that are not simply added, by the name of the instrument.
 * Tests read the source and the exposition of a gateway, and fail for one that is missing here.
 */
export const RULES: Readonly<Record<string, Rule>> = {
  // The primary reads the file; a reload of all workers is one reload.
  'gateway.config.info': 'primary',
  'gateway.config.last_reload_success_timestamp': 'primary',
  'gateway.config.last_reload_successful': 'primary',
  'gateway.config.reloads': 'primary',
  'gateway.slo.info': 'primary',
  'gateway.ops.info': 'primary',
  'gateway.worker.listening': 'primary',
  'process.uptime': 'primary',
  // Every worker has the same value.
  'gateway.split.weight': 'max',
  // A problem of one worker is a problem of the gateway.
  'gateway.rate_limiting.degraded': 'max',
  'gateway.redis.unavailable': 'max',
  'gateway.telemetry.instrumented': 'min',
  'gateway.tls.certificate.not_after': 'min',
  'gateway.tls.certificate.renewal_successful': 'min',
  // Each worker looks for targets by itself.
  'gateway.upstream.discovered_targets': 'max',
  'gateway.upstream.discovery.successful': 'min',
  'gateway.upstream.panic': 'max',
  'gateway.upstream.target.healthy': 'min',
  // The slowest and the busiest event loop.
  'nodejs.eventloop.delay.max': 'max',
  'nodejs.eventloop.delay.mean': 'max',
  'nodejs.eventloop.delay.min': 'min',
  'nodejs.eventloop.delay.p50': 'max',
  'nodejs.eventloop.delay.p90': 'max',
  'nodejs.eventloop.delay.p99': 'max',
  'nodejs.eventloop.delay.stddev': 'max',
  'nodejs.eventloop.utilization': 'max',
  // Amounts.
  'db.client.connection.count': 'sum',
  'gateway.response_buffer.usage': 'sum',
  'gateway.stream.active': 'sum',
  'gateway.traces.pending': 'sum',
  'gateway.traces.recorded': 'sum',
  'gateway.traces.recorded.size': 'sum',
  'gateway.upstream.target.active_requests': 'sum',
  'http.server.active_requests': 'sum',
  'process.memory.usage': 'sum',
  'v8js.memory.heap.limit': 'sum',
  'v8js.memory.heap.max': 'sum',
  'v8js.memory.heap.space.available_size': 'sum',
  'v8js.memory.heap.space.physical_size': 'sum',
  'v8js.memory.heap.space.size': 'sum',
  'v8js.memory.heap.used': 'sum',
  'v8js.resource.active': 'sum',
}

/**
 * The rule of a metric. Counters and histograms are added, and so are up-down counters, which OpenTelemetry defines as
 * additive. A gauge that is not in the table, such as one of a policy of one's own, has the largest value.
 */
export function ruleOf(name: string, isGauge: boolean): Rule {
  return (Object.hasOwn(RULES, name) ? RULES[name] : undefined) ?? (isGauge ? 'max' : 'sum')
}
