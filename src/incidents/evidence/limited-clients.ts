import { z } from 'zod'
import type { Alert } from '../alerts/alert'
import type { LimitedClient } from './evidence'
import { fetchJson, opsHeaders, type Replica } from './trace-sources'

/** Maximum clients reported for one alert. */
const MAX_CLIENTS = 5

/** The response of a gateway to `GET /offenders`; comes from another process. */
const answer = z.object({
  policies: z.array(
    z.object({
      httpRoute: z.string(),
      policy: z.string(),
      offenders: z.array(z.object({ client: z.string(), count: z.number() })),
    }),
  ),
})

/** The clients that exceed the limit of the alert, summed over all replicas. */
export async function findLimitedClients(
  { labels }: Alert,
  replicas: readonly Replica[],
  signal: AbortSignal,
): Promise<LimitedClient[]> {
  const { http_route: route, gateway_rate_limiting_policy: policy } = labels
  const answers = await Promise.all(
    replicas.map(async ({ url, token }) => fetchJson(`${url}/offenders`, signal, opsHeaders(token))),
  )
  const counts = new Map<string, number>()
  for (const limit of answers.flatMap(found => answer.parse(found).policies)) {
    if (limit.httpRoute !== route || limit.policy !== policy) continue
    for (const { client, count } of limit.offenders) counts.set(client, (counts.get(client) ?? 0) + count)
  }
  return [...counts]
    .map(([client, count]) => ({ client, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_CLIENTS)
}
