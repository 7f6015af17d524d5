import type { GatewayConfig } from '../config/gateway-config'
import type { ConfigProblem, Settings } from '../config/types'

/**
 * A worker's share of the limits that hold for the gateway: limit ÷ workers, and at least one. All workers together stay
 * within each limit; one of them may reach its share, and refuse or wait, while others have room.
 */
export function shareOf(config: GatewayConfig, workers: number): GatewayConfig {
  const { entrypoint, upstreams } = config
  const share = (limit: number): number => Math.max(1, Math.floor(limit / workers))
  const { maxRequests } = entrypoint.overload
  return Object.freeze({
    ...config,
    entrypoint: Object.freeze({
      ...entrypoint,
      maxConnections: share(entrypoint.maxConnections),
      maxConnectionsPerClient: share(entrypoint.maxConnectionsPerClient),
      maxWebSocketsPerClient: entrypoint.maxWebSocketsPerClient && share(entrypoint.maxWebSocketsPerClient),
      // 0: no limit.
      overload: Object.freeze({ ...entrypoint.overload, maxRequests: maxRequests && share(maxRequests) }),
      responseBuffer: Object.freeze({
        ...entrypoint.responseBuffer,
        totalBytes: share(entrypoint.responseBuffer.totalBytes),
      }),
    }),
    upstreams: Object.freeze(
      upstreams.map(upstream => Object.freeze({ ...upstream, maxConnections: share(upstream.maxConnections) })),
    ),
  })
}

/**
 * Rate limits that cannot be divided: without Redis each worker allows limit ÷ workers, and at least one request, so that all
 * together would allow more than the limit.
 */
export function shareProblems(config: GatewayConfig, { workers, redisUrl }: Settings): ConfigProblem[] {
  if (workers === 1 || redisUrl !== undefined) return []
  return config.routes.flatMap(({ name, rateLimit, sharedLimits }) =>
    [...rateLimit, ...sharedLimits].flatMap(({ name: policy, limit, tiers, cost, dryRun }): ConfigProblem[] => {
      const smallest = Math.min(limit, ...Object.values(tiers))
      const largestCost = Math.max(cost.standard, ...Object.values(cost.methods))
      if (dryRun || smallest >= largestCost * workers) return []
      return [
        {
          where: `routes "${name}" rateLimit "${policy}"`,
          problem: `a limit of ${smallest} cannot be divided among ${workers} workers${largestCost > 1 ? ` where a request costs ${largestCost}` : ''}`,
          allowed: `at least ${largestCost * workers}, fewer WORKERS, or REDIS_URL, with which all workers count together`,
        },
      ]
    }),
  )
}
