import { metrics } from '@opentelemetry/api'
import type { RedisConnection } from '../../redis/connection'
import { METRIC_RATE_LIMITING_DEGRADED, SCOPE_NAME } from '../../telemetry/semconv'

/** Says 1 while limits are counted without the Redis that is configured. Without one there is nothing to degrade. */
export function reportDegradedLimits(redis: RedisConnection | undefined): void {
  metrics
    .getMeter(SCOPE_NAME)
    .createObservableGauge(METRIC_RATE_LIMITING_DEGRADED, {
      description: '1 while rate limits are counted without Redis although one is configured',
    })
    .addCallback(result => result.observe(redis !== undefined && !redis.isUsable ? 1 : 0))
}
