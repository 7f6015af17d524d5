import { z } from 'zod'
import type { Change } from './evidence'
import { fetchJson, opsHeaders, type Replica } from './trace-sources'

/** Maximum differences of one reload in its line. */
const MAX_DIFFERENCES = 3

/** The response of a gateway to `GET /reloads`; comes from another process. */
const answer = z.object({
  reloads: z.array(z.object({ time: z.coerce.date(), isRefused: z.boolean(), details: z.array(z.string()) })),
})

/**
 * What the reloads of the gateways changed: `route "orders" changed: timeouts.response 10s → 5s`. Replicas that changed
 * alike share a line. A replica that does not answer is left out: Prometheus still names its configuration.
 */
export async function findReloads(
  replicas: ReadonlyMap<string, Replica>,
  range: { readonly startMs: number; readonly endMs: number },
  signal: AbortSignal,
): Promise<Change[]> {
  const found = await Promise.all(
    [...replicas].map(async ([instance, { url, token }]) => {
      const parsed = answer.safeParse(
        await fetchJson(`${url}/reloads`, signal, opsHeaders(token)).catch(() => undefined),
      )
      return (parsed.data?.reloads ?? []).map(reload => ({ ...reload, instance, timeMs: reload.time.getTime() }))
    }),
  )
  const inTime = found.flat().filter(({ timeMs }) => timeMs >= range.startMs && timeMs <= range.endMs)
  const alike = Map.groupBy(inTime, ({ isRefused, details }) => JSON.stringify([isRefused, details]))
  return [...alike.values()].flatMap(reloads => {
    const [first] = reloads.toSorted((a, b) => a.timeMs - b.timeMs)
    if (first === undefined || first.details.length === 0) return []
    const instances = new Set(reloads.map(({ instance }) => instance))
    const where = instances.size === 1 ? first.instance : `${instances.size} gateways`
    const others = first.details.length - MAX_DIFFERENCES
    const list = [...first.details.slice(0, MAX_DIFFERENCES), ...(others > 0 ? [`${others} more`] : [])].join('; ')
    const did = first.isRefused ? 'refused a new configuration' : 'reloaded'
    return [{ timeMs: first.timeMs, what: `${where} ${did}: ${list}` }]
  })
}
