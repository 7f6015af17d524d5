import { z } from 'zod'
import type { Alert } from '../alerts/alert'
import type { ProvingTrace } from './evidence'
import { readSpans } from './otlp-trace'
import { redactSpan } from './redact-span'
import type { Shown } from './shown'
import { fetchJson, gatewayReplica, opsHeaders, type Replica } from './trace-sources'

/** Maximum good requests examined to find one that resembles a failing one. */
const MAX_LISTED = 20

/** Maximum replicas queried: each has a share of all traffic. */
const MAX_REPLICAS = 3

/** The response of a gateway to `GET /traces`; comes from another process. */
const answer = z.object({
  traces: z.array(
    z.object({
      traceId: z.string().regex(/^[0-9a-f]{32}$/),
      time: z.coerce.date(),
      durationMs: z.number(),
      method: z.string().optional(),
      path: z.string().optional(),
      route: z.string().optional(),
      upstream: z.string().optional(),
      status: z.coerce.string().optional(),
    }),
  ),
})

/**
 * A trace of a good request of the same route, preferably of the same method: the comparison shows what a failing one
 * lacks. Undefined if none was sampled. Never rejects: this evidence is optional.
 */
export async function findGoodTrace(
  { labels }: Pick<Alert, 'labels'>,
  failing: readonly ProvingTrace[],
  replicas: readonly Replica[],
  { signal, shown }: { readonly signal: AbortSignal; readonly shown: Shown },
): Promise<ProvingTrace | undefined> {
  const example = failing.find(({ spans }) => spans.length > 0)
  const route = labels['http_route'] ?? example?.route
  if (example === undefined || route === undefined) return undefined
  const query = new URLSearchParams({ route, outcome: 'ok', cause: 'sampled', limit: String(MAX_LISTED) }).toString()
  // The replica of the example comes first: both traces then took the same path.
  const nearestFirst = replicas.toSorted(
    (a, b) => Number(gatewayReplica(b).name === example.source) - Number(gatewayReplica(a).name === example.source),
  )
  for (const replica of nearestFirst.slice(0, MAX_REPLICAS)) {
    try {
      const source = gatewayReplica(replica)
      const { traces } = answer.parse(
        await fetchJson(`${source.name}/traces?${query}`, signal, opsHeaders(replica.token)),
      )
      const found = traces.find(({ method }) => method === example.method) ?? traces[0]
      if (found === undefined) continue
      const trace = await source.fetch(found.traceId, signal)
      const spans = trace === undefined ? [] : readSpans(trace).map(span => redactSpan(span, shown))
      if (spans.length === 0) continue
      const { time, ...request } = found
      return { ...UNKNOWN, ...request, timeMs: time.getTime(), source: source.name, spans }
    } catch {
      // Another replica may have one.
    }
  }
  return undefined
}

const UNKNOWN = {
  method: undefined,
  path: undefined,
  route: undefined,
  upstream: undefined,
  status: undefined,
  reason: undefined,
}
