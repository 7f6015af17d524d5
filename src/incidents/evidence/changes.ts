import type { Change } from './evidence'
import type { PrometheusClient, Series } from './prometheus'

interface Range {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

/** Changes told of one alert. */
const MAX_CHANGES = 10

/** Of the gateways themselves: a Collector tells of the same resource under a name of its own. */
const RELEASES =
  'max by (instance, service_version) (target_info{job="myesi-api"} and on (instance) gateway_ops_info{job="myesi-api"})'

/** What changed in the time before: configurations, releases, restarts, Redis. */
export async function findChanges(prometheus: PrometheusClient, range: Range, signal: AbortSignal): Promise<Change[]> {
  const [configurations, releases, restarts, redis] = await Promise.all([
    prometheus.queryRange('max by (instance, sha256) (gateway_config_info)', range, signal),
    prometheus.queryRange(RELEASES, range, signal),
    prometheus.queryRange('time() - max by (instance) (process_uptime_seconds{job="myesi-api"})', range, signal),
    prometheus.queryRange('min(redis_up)', range, signal),
  ])
  return [
    ...appeared(configurations, range, ({ labels }) => {
      return `configuration ${(labels['sha256'] ?? '').slice(0, 8)} came into force on ${labels['instance']}`
    }),
    ...appeared(releases, range, ({ labels }) => `release ${labels['service_version']} began on ${labels['instance']}`),
    ...started(restarts, range),
    ...outages(redis),
  ]
    .sort((a, b) => a.timeMs - b.timeMs)
    .slice(-MAX_CHANGES)
}

/** Series that came after another one of their kind: the very first of all is a beginning and no change. */
function appeared(series: readonly Series[], { stepMs }: Range, say: (series: Series) => string): Change[] {
  const begins = series.map(({ points }) => (points[0]?.[0] ?? 0) * 1_000)
  const earliest = Math.min(...begins)
  return series.flatMap((one, index) => {
    const timeMs = begins[index] ?? 0
    return timeMs <= earliest + stepMs ? [] : [{ timeMs, what: say(one) }]
  })
}

/** A start time within the range is a restart. */
function started(series: readonly Series[], { startMs }: Range): Change[] {
  return series.flatMap(({ labels, points }) => {
    const times = new Set(points.map(([, startedAt]) => Math.round(startedAt / 5) * 5_000))
    const [latest] = [...times].sort((a, b) => b - a)
    return latest === undefined || latest < startMs
      ? []
      : [{ timeMs: latest, what: `${labels['instance']} was started` }]
  })
}

function outages(series: readonly Series[]): Change[] {
  const changes: Change[] = []
  for (const { points } of series) {
    for (const [index, [time, value]] of points.entries()) {
      const before = points[index - 1]?.[1]
      if (value === 0 && before === 1) changes.push({ timeMs: time * 1_000, what: 'Redis went away' })
      if (value === 1 && before === 0) changes.push({ timeMs: time * 1_000, what: 'Redis came back' })
    }
  }
  return changes
}
