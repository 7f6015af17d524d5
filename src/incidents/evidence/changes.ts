import type { Change } from './evidence'
import type { PrometheusClient, Series } from './prometheus'

interface Range {
  readonly startMs: number
  readonly endMs: number
  readonly stepMs: number
}

/** Selects gateways by a series that only they have: the scrape job may have any name. */
const OF_GATEWAYS = 'and on (job, instance) gateway_ops_info'
/** Excludes the Collector, which reports the same resource under another name. */
const RELEASES = `max by (instance, service_version) (target_info ${OF_GATEWAYS})`
const RENEWALS = `sum by (instance, gateway_tls_certificate_role, gateway_tls_certificate_result) (gateway_tls_certificate_renewals_total)`
/** Redis by its exporter: after a failover another instance is the master. */
const MASTERS = 'max by (instance) (redis_instance_info{role="master"})'
const RESTARTS = `time() - max by (instance) (process_uptime_seconds ${OF_GATEWAYS})`

/** Changes that Prometheus knows of: configurations, releases, restarts, certificates, Redis. Oldest first. */
export async function findChanges(prometheus: PrometheusClient, range: Range, signal: AbortSignal): Promise<Change[]> {
  const [configurations, refusals, releases, restarts, redis, renewals, masters] = await Promise.all([
    prometheus.queryRange('max by (instance, sha256) (gateway_config_info)', range, signal),
    prometheus.queryRange('min by (instance) (gateway_config_last_reload_successful)', range, signal),
    prometheus.queryRange(RELEASES, range, signal),
    prometheus.queryRange(RESTARTS, range, signal),
    prometheus.queryRange('min(redis_up)', range, signal),
    prometheus.queryRange(RENEWALS, range, signal),
    prometheus.queryRange(MASTERS, range, signal),
  ])
  return [
    ...appeared(configurations, range, cameIntoForce),
    ...returned(configurations, cameIntoForce),
    ...became(refusals, 0, ({ labels }) => `${labels['instance']} refused a new configuration`),
    ...appeared(releases, range, ({ labels }) => `release ${labels['service_version']} began on ${labels['instance']}`),
    ...started(restarts, range),
    ...became(redis, 0, () => 'Redis went away'),
    ...became(redis, 1, () => 'Redis came back'),
    ...increased(renewals, certificateChanged),
    ...appeared(masters, range, ({ labels }) => `Redis at ${labels['instance']} became the master`),
  ].sort((a, b) => a.timeMs - b.timeMs)
}

function certificateChanged({ labels }: Series): string {
  const did = labels['gateway_tls_certificate_result'] === 'refused' ? 'refused a new' : 'took a new'
  return `${labels['instance']} ${did} certificate (${(labels['gateway_tls_certificate_role'] ?? '').replace('_', ' ')})`
}

/** Counters that grew. */
function increased(series: readonly Series[], say: (series: Series) => string): Change[] {
  return series.flatMap(one =>
    one.points
      .filter(([, now], index) => index > 0 && now > (one.points[index - 1]?.[1] ?? now))
      .map(([time]) => ({ timeMs: time * 1_000, what: say(one) })),
  )
}

/** Maximum changes reported for one alert. */
const MAX_CHANGES = 10

/**
 * The changes nearest to the first failure, oldest first. With its differences known, a reload needs no checksum beside
 * it.
 */
export function nearestChanges(changes: readonly Change[], onsetMs: number): Change[] {
  const said = new Set<string>()
  return changes
    .toSorted((a, b) => Math.abs(a.timeMs - onsetMs) - Math.abs(b.timeMs - onsetMs))
    .filter(({ what }) => !said.has(what) && said.add(what))
    .slice(0, MAX_CHANGES)
    .sort((a, b) => a.timeMs - b.timeMs)
}

function cameIntoForce({ labels }: Series): string {
  return `configuration ${(labels['sha256'] ?? '').slice(0, 8)} came into force on ${labels['instance']}`
}

/** Series that appeared after another one of their kind: the very first is a start and not a change. */
function appeared(series: readonly Series[], { stepMs }: Range, say: (series: Series) => string): Change[] {
  const begins = series.map(({ points }) => (points[0]?.[0] ?? 0) * 1_000)
  const earliest = Math.min(...begins)
  return series.flatMap((one, index) => {
    const timeMs = begins[index] ?? 0
    return timeMs <= earliest + stepMs ? [] : [{ timeMs, what: say(one) }]
  })
}

/** Series that reappeared after another one of the same instance: rollbacks. */
function returned(series: readonly Series[], say: (series: Series) => string): Change[] {
  return series.flatMap(one => {
    const others = series.filter(other => other !== one && other.labels['instance'] === one.labels['instance'])
    const times = others.flatMap(({ points }) => points.map(([time]) => time))
    return one.points
      .filter(([now], index) => {
        const before = one.points[index - 1]?.[0] ?? now
        return times.some(time => time > before && time < now)
      })
      .map(([time]) => ({ timeMs: time * 1_000, what: say(one) }))
  })
}

/** Starts that are at most this far apart are one change: a deployment starts several replicas. */
const TOGETHER_MS = 15_000

/** A start time within the range is a restart. */
function started(series: readonly Series[], { startMs }: Range): Change[] {
  const starts = series.flatMap(({ labels, points }) => {
    const times = new Set(points.map(([, startedAt]) => Math.round(startedAt / 5) * 5_000))
    const [latest] = [...times].sort((a, b) => b - a)
    return latest === undefined || latest < startMs ? [] : [{ timeMs: latest, instance: labels['instance'] }]
  })
  const together: (typeof starts)[] = []
  for (const start of starts.sort((a, b) => a.timeMs - b.timeMs)) {
    const last = together.at(-1)
    if (last?.[0] !== undefined && start.timeMs - last[0].timeMs <= TOGETHER_MS) last.push(start)
    else together.push([start])
  }
  return together.flatMap(([first, ...others]) => {
    if (first === undefined) return []
    const who = others.length === 0 ? `${first.instance} was` : `${others.length + 1} gateways were`
    return [{ timeMs: first.timeMs, what: `${who} started` }]
  })
}

/** Series that changed to this value. */
function became(series: readonly Series[], value: number, say: (series: Series) => string): Change[] {
  return series.flatMap(one =>
    one.points
      .filter(([, now], index) => now === value && index > 0 && one.points[index - 1]?.[1] !== value)
      .map(([time]) => ({ timeMs: time * 1_000, what: say(one) })),
  )
}
