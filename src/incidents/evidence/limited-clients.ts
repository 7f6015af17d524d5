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

/**
 * The clients that exceed the limit of the alert, summed over the replicas that answer: one that is cut off, or was replaced
 * a minute ago, must not hide what the others know.
 *
 * @throws Error if none answers
 */
export async function findLimitedClients(
  { labels }: Alert,
  replicas: readonly Replica[],
  signal: AbortSignal,
): Promise<LimitedClient[]> {
  const { http_route: route, gateway_rate_limiting_policy: policy } = labels
  const asked = await Promise.allSettled(
    replicas.map(async ({ url, token }) =>
      answer.parse(await fetchJson(`${url}/offenders`, signal, opsHeaders(token))),
    ),
  )
  const answers = asked.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
  const failure = asked.find(result => result.status === 'rejected')
  if (answers.length === 0 && failure !== undefined) throw failure.reason
  const counts = new Map<string, number>()
  for (const limit of answers.flatMap(({ policies }) => policies)) {
    if (limit.httpRoute !== route || limit.policy !== policy) continue
    for (const { client, count } of limit.offenders) counts.set(client, (counts.get(client) ?? 0) + count)
  }
  return [...counts]
    .map(([client, count]) => ({ client, count }))
    .sort((a, b) => b.count - a.count)
    .slice(0, MAX_CLIENTS)
}
