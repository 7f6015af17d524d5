import type { RedisConnection } from '../../redis/connection'
import { gatewayMeter } from '../../telemetry/scope'
import { METRIC_RATE_LIMITING_DEGRADED } from '../../telemetry/semconv'

/** Reports 1 while limits are degraded, if only for the clients of a lost shard. Without a configured Redis it is always 0. */
export function reportDegradedLimits(redis: RedisConnection | undefined): void {
  gatewayMeter()
    .createObservableGauge(METRIC_RATE_LIMITING_DEGRADED, {
      description: '1 while rate limits are counted locally although Redis is configured',
    })
    .addCallback(result => result.observe(redis !== undefined && !redis.isWhole ? 1 : 0))
}
