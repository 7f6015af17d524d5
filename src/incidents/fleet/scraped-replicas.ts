import { quoted, type PrometheusClient, type Sample, type Scrape } from '../evidence/prometheus'
import type { EjectedTarget, Load, Scraped } from './fleet'

/** How far back Prometheus is asked for replicas that it no longer reaches. */
const REACH = '1h'
/** How long a replica that Prometheus no longer scrapes is shown: about as long as a person asks where it went. */
const GONE_MS = 15 * 60_000
/** Maximum unreachable replicas whose last load is asked for, with one query each. */
const MAX_LAST_LOADS = 20
/** Maximum time between two scrapes of a replica that is up, where Prometheus has no `up` of it. */
const PRESENT_MS = 2 * 60_000

/**
 * The replicas that Prometheus knows, by `instance`. Prometheus gets five queries, and one more for each of the first 20
 * that it does not reach, about the moment it last did. Numbers that cannot be had are left out.
 *
 * @throws if Prometheus cannot tell which replicas there are
 */
export async function scrapedReplicas(
  prometheus: Pick<PrometheusClient, 'query' | 'scrapes'>,
  job: string,
  timeMs: number,
  signal: AbortSignal,
): Promise<Scraped[]> {
  const own = `job=${quoted(job)}`
  const ask = async (expression: string): Promise<Sample[]> => prometheus.query(expression, timeMs, signal)
  const [seen, configurations, versions, ups, scrapes, measured] = await Promise.all([
    ask(newestOf('instance, url', `gateway_ops_info{${own}}`)),
    ask(newestOf('instance, sha256', `gateway_config_info{${own}}`)),
    ask(newestOf('instance, service_version', `target_info{${own}}`)),
    ask(`max by (instance) (up{${own}})`),
    prometheus.scrapes(job, signal).catch((): Scrape[] => []),
    ask(loadOf(own)).catch((): Sample[] => []),
  ])
  const errors = new Map(scrapes.map(({ instance, lastError }) => [instance, lastError]))
  const isUp = new Map(ups.map(({ labels, value }) => [labels['instance'], value === 1]))
  const instances = new Set([...seen, ...ups].flatMap(({ labels }) => labels['instance'] ?? []))
  const measures = Map.groupBy(measured, ({ labels }) => labels['instance'])
  const found = [...instances].sort().flatMap((instance): Scraped[] => {
    const last = newest(seen, instance)
    const lastSeenMs = last && last.value * 1_000
    const ageMs = timeMs - (lastSeenMs ?? 0)
    // Without `up`, as with metrics that are pushed, only the age of the last value tells.
    const up = isUp.get(instance) ?? (isUp.size === 0 && ageMs < PRESENT_MS ? true : undefined)
    const scrape = up === undefined ? 'gone' : up ? 'up' : 'down'
    if (scrape === 'gone' && ageMs > GONE_MS) return []
    return [
      {
        instance,
        url: last?.labels['url']?.replace(/\/$/, ''),
        lastSeenMs,
        scrape,
        scrapeError: errors.get(instance),
        version: newest(versions, instance)?.labels['service_version'],
        sha256: newest(configurations, instance)?.labels['sha256'],
        ...toLoad(measures.get(instance) ?? []),
      },
    ]
  })
  return withLastLoads(found, async ({ instance, lastSeenMs = timeMs }) =>
    prometheus.query(loadOf(`${own},instance=${quoted(instance)}`), lastSeenMs, signal),
  )
}

async function withLastLoads(
  found: readonly Scraped[],
  ask: (replica: Scraped) => Promise<Sample[]>,
): Promise<Scraped[]> {
  const away = found.filter(({ scrape, lastSeenMs }) => scrape !== 'up' && lastSeenMs !== undefined)
  const asked = new Set(away.slice(0, MAX_LAST_LOADS))
  return Promise.all(
    found.map(async replica => {
      if (!asked.has(replica)) return replica
      const { load, ejected } = toLoad(await ask(replica).catch((): Sample[] => []))
      return { ...replica, ejected, load: { ...replica.load, ...known(load) } }
    }),
  )
}

/** The numbers that are known: those of a replica that was seen only once have no rates at that moment. */
function known(load: Load): Partial<Load> {
  return Object.fromEntries(Object.entries(load).filter(([, value]) => value !== undefined))
}

/**
 * The time at which each series had its last value, in seconds, to 5 s, also of series that ended. `timestamp` and not the
 * series' own end, because `last_over_time` does not tell which of two series of a replica is the newer one.
 */
function newestOf(labels: string, selector: string): string {
  return `max by (${labels}) (max_over_time(timestamp(${selector})[${REACH}:5s]))`
}

function newest(samples: readonly Sample[], instance: string): Sample | undefined {
  return samples
    .filter(({ labels }) => labels['instance'] === instance)
    .reduce<Sample | undefined>(
      (best, next) => (best === undefined || next.value > best.value ? next : best),
      undefined,
    )
}

/** One query for all numbers of a replica: each has its name in the label `measure`. */
function loadOf(own: string): string {
  const requests = (matchers: string): string =>
    `sum by (instance) (rate(gateway_requests_total{${own}${matchers}}[5m]))`
  const measures = {
    requests: requests(''),
    faults: requests(',gateway_outcome="fault"'),
    limited: `sum by (instance) (rate(gateway_rate_limiting_requests_total{${own},gateway_rate_limiting_result="limited"}[5m]))`,
    inFlight: `sum by (instance) (http_server_active_requests{${own}})`,
    cpu: `sum by (instance) (rate(process_cpu_time_seconds_total{${own}}[5m]))`,
    busy: `max by (instance) (rate(nodejs_eventloop_time_seconds_total{${own},nodejs_eventloop_state="active"}[5m]))`,
    delay: `max by (instance) (nodejs_eventloop_delay_p99_seconds{${own}})`,
    ejected: `max by (instance, gateway_upstream_name, server_address, server_port) (gateway_upstream_target_healthy{${own}} == 0)`,
  }
  return Object.entries(measures)
    .map(([name, expression]) => `label_replace(${expression}, "measure", "${name}", "", "")`)
    .join(' or ')
}

function toLoad(samples: readonly Sample[]): { readonly load: Load; readonly ejected: readonly EjectedTarget[] } {
  const of = (measure: string): number | undefined => samples.find(({ labels }) => labels['measure'] === measure)?.value
  const [requests, faults, delay] = [of('requests'), of('faults'), of('delay')]
  return {
    load: {
      requestsPerSecond: requests,
      faultShare: requests === undefined || requests === 0 ? undefined : (faults ?? 0) / requests,
      limitedPerSecond: of('limited'),
      inFlight: of('inFlight'),
      cpu: of('cpu'),
      eventLoopBusy: of('busy'),
      eventLoopDelayP99Ms: delay === undefined ? undefined : delay * 1_000,
    },
    ejected: samples
      .filter(({ labels }) => labels['measure'] === 'ejected')
      .map(({ labels }) => ({
        upstream: labels['gateway_upstream_name'] ?? '',
        target: `${labels['server_address']}:${labels['server_port']}`,
      })),
  }
}
