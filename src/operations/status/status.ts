import type { GatewayConfig, RouteConfig } from '../../config/gateway-config'
import { clock, lasted } from '../../pages/times'
import { shareText } from '../../policies/split/policy'
import type { OffenderReader } from '../offenders'
import {
  SLOT_MS,
  type RecentCounts,
  type RecentRequests,
  type RecentTraffic,
  type Traffic,
} from '../../observe/recent/recent-requests'
import { burnsOf, type Burn } from './burn'
import { groupEqual, type TraceGroup } from '../trace-groups'
import type { TraceReader, TraceSummary } from '../traces'
import type { UpstreamReader, UpstreamState } from '../upstreams'

/** One reload: what it changed, or why it was refused. */
export interface Reload {
  readonly atMs: number
  readonly isRefused: boolean
  /** One sentence each. */
  readonly details: readonly string[]
}

/** The active configuration, and the result of the last reload. */
export interface ConfigurationState {
  readonly file: string
  readonly config: GatewayConfig
  /** Milliseconds since the epoch, as all times here. */
  readonly sinceMs: number
  /** Undefined: nothing was reloaded since the start. */
  readonly lastReload: Reload | undefined
  /** The recent reloads, oldest first. */
  readonly reloads: readonly Reload[]
  /** Changes that take effect only after a restart, one sentence each. */
  readonly needRestart: readonly string[]
}

/** The Redis in which limits are counted. */
export interface RedisState {
  /** Without credentials. */
  readonly address: string
  readonly isUsable: boolean
  readonly outage: { readonly sinceMs: number; readonly reason: string } | undefined
}

/** The process itself. */
export interface Replica {
  readonly version: string
  readonly node: string
  readonly host: string
  readonly pid: number
  readonly startedAtMs: number
}

/** The state of one signal's export by one exporter, as written by `otel/sdk/telemetry.ts`. */
export interface TelemetryPipeline {
  readonly signal: string
  readonly exporter: string
  readonly receiver: string
  /** Batches. */
  readonly sent: number
  /** Number of lost batches, by kind. */
  readonly failed: Readonly<Record<string, number>>
  readonly lastSuccessMs: number | undefined
  readonly lastFailure: { readonly atMs: number; readonly message: string } | undefined
}

/** Sources of the status page, read again for each page. */
export interface StatusSources {
  readonly recent: Pick<
    RecentRequests,
    'recent' | 'counts' | 'ofVariant' | 'countsOfVariant' | 'slots' | 'slower' | 'reachMs'
  >
  readonly configuration: () => ConfigurationState
  readonly upstreams: UpstreamReader
  readonly offenders: OffenderReader
  readonly traces: TraceReader
  /** Undefined without `REDIS_URL`. */
  readonly redis: () => RedisState | undefined
  /** The telemetry exports; empty if nothing is exported. */
  readonly pipelines: () => readonly TelemetryPipeline[]
  readonly inFlight: () => number
  readonly notReady: () => string | undefined
  readonly replica: Replica
  /** Public address of the incident service; undefined: unknown. */
  readonly incidentsUrl?: string | undefined
  /** Undefined with a single process. */
  readonly workers?: () => Workers
}

/** The processes that serve. */
export interface Workers {
  readonly wanted: number
  /** Workers that ended unexpectedly since the start. */
  readonly restarts: number
  readonly running: readonly { readonly pid: number; readonly startedAtMs: number; readonly isListening: boolean }[]
}

export interface RouteTraffic extends RecentTraffic {
  /** Null for requests of no route. */
  readonly route: string | null
  readonly path: string | null
  readonly slots: readonly Traffic[]
  /** Its objectives; empty without `slo`. */
  readonly burns: readonly Burn[]
  /** Variants of the route's split, in the order of the file; empty without one. */
  readonly variants: readonly VariantTraffic[]
}

export interface VariantTraffic extends RecentTraffic {
  readonly variant: string
  readonly upstream: string
  /** Configured share: `5 %`, or `testers only`. */
  readonly share: string
}

/** A problem that needs attention. */
export interface Concern {
  readonly text: string
  /** Path of a page with details. */
  readonly path: string
}

export interface LimitedClient {
  readonly client: string
  readonly route: string
  readonly policy: string
  /** How often the limit was exceeded since this replica started; too high by at most `error`. */
  readonly count: number
  readonly error: number
}

export interface Status {
  readonly status: 'ok' | 'attention' | 'not_ready'
  readonly notReady: string | undefined
  readonly concerns: readonly Concern[]
  readonly timeMs: number
  readonly replica: Replica
  /** Undefined with a single process. */
  readonly workers: Workers | undefined
  readonly inFlight: number
  readonly traffic: {
    readonly startMs: number
    readonly slotMs: number
    readonly all: RecentTraffic & { readonly slots: readonly Traffic[] }
    /** Those that fail first, then the busiest. */
    readonly routes: readonly RouteTraffic[]
    readonly routesLeftOut: number
  }
  readonly upstreams: readonly UpstreamState[]
  readonly redis: RedisState | undefined
  readonly pipelines: readonly TelemetryPipeline[]
  /** Newest first. */
  readonly failures: readonly TraceSummary[]
  /** Kept failures that ended alike, the latest first. */
  readonly failureGroups: readonly TraceGroup[]
  readonly limited: readonly LimitedClient[]
  readonly configuration: Omit<ConfigurationState, 'config'> & { readonly sha256: string; readonly routes: number }
}

/** Whether the last export failed. */
export function isFailing({ lastFailure, lastSuccessMs }: TelemetryPipeline): boolean {
  return lastFailure !== undefined && lastFailure.atMs > (lastSuccessMs ?? -Infinity)
}

/** Maximum number of routes on the page; `/routes` lists all. */
const MAX_ROUTES = 50
const MAX_FAILURES = 8
/** Maximum failures that are grouped. */
const MAX_GROUPED = 500
const MAX_LIMITED = 8
/** Share of faults in a route's last five minutes above which the page reports a concern. */
const FAULT_SHARE = 0.01

/** Reads the state of this replica, now and over the last quarter of an hour. */
export function readStatus(sources: StatusSources, now: number): Status {
  const { recent } = sources
  const { config, ...configuration } = sources.configuration()
  const upstreams = sources.upstreams()
  const redis = sources.redis()
  const pipelines = sources.pipelines()
  const notReady = sources.notReady()
  const workers = sources.workers?.()
  const kept = sources.traces.list({ outcome: 'fault' }, MAX_GROUPED)
  const routes = countsOf(config.routes, recent)
  const shown = routes.slice(0, MAX_ROUTES)
  const concerns = concernsOf({ routes, recent, upstreams, redis, workers, configuration, pipelines, now })
  return {
    status: stateOf(notReady, concerns),
    notReady,
    concerns,
    timeMs: now,
    replica: sources.replica,
    workers,
    inFlight: sources.inFlight(),
    traffic: {
      startMs: now - recent.reachMs,
      slotMs: SLOT_MS,
      all: { ...recent.recent(), slots: recent.slots() },
      routes: shown.map(({ route }) => trafficOf(route, recent)),
      routesLeftOut: routes.length - shown.length,
    },
    upstreams,
    redis,
    pipelines,
    failures: kept.slice(0, MAX_FAILURES),
    failureGroups: groupEqual(kept)
      .toSorted((a, b) => b.newest.timeMs - a.newest.timeMs)
      .slice(0, MAX_FAILURES),
    limited: mostLimited(sources.offenders),
    configuration: { ...configuration, sha256: config.sha256, routes: config.routes.length },
  }
}

/** What fails requests comes first, then what degrades the gateway, then what only needs a restart. */
function concernsOf(known: {
  readonly routes: readonly CountedRoute[]
  readonly recent: StatusSources['recent']
  readonly upstreams: readonly UpstreamState[]
  readonly redis: RedisState | undefined
  readonly workers: Workers | undefined
  readonly configuration: Pick<ConfigurationState, 'lastReload' | 'needRestart'>
  readonly pipelines: readonly TelemetryPipeline[]
  readonly now: number
}): Concern[] {
  const { routes, recent, upstreams, redis, workers, configuration, pipelines, now } = known
  return [
    ...routes.flatMap(route => failingRoute(route, recent)),
    ...upstreams.flatMap(failingUpstream),
    ...failingRedis(redis, now),
    ...missingWorkers(workers),
    ...refusedReload(configuration),
    ...pipelines.filter(isFailing).map(({ lastFailure }) => ({ text: lastFailure!.message, path: '#telemetry' })),
    ...configuration.needRestart.map(text => ({ text, path: '#configuration' })),
  ]
}

/** The state of this replica without its curves, routes and traces. */
export type Summary = Pick<
  Status,
  'status' | 'notReady' | 'concerns' | 'timeMs' | 'replica' | 'inFlight' | 'upstreams' | 'redis' | 'limited'
> & {
  readonly traffic: RecentTraffic
  readonly configuration: Omit<Status['configuration'], 'reloads' | 'needRestart'>
}

/** Reads what the fleet page shows of a replica. It is asked for every few seconds, so it adds up no curves. */
export function readSummary(sources: StatusSources, now: number): Summary {
  const { config, reloads: _reloads, needRestart, ...configuration } = sources.configuration()
  const [upstreams, redis, notReady] = [sources.upstreams(), sources.redis(), sources.notReady()]
  const concerns = concernsOf({
    routes: countsOf(config.routes, sources.recent),
    recent: sources.recent,
    upstreams,
    redis,
    workers: sources.workers?.(),
    configuration: { ...configuration, needRestart },
    pipelines: sources.pipelines(),
    now,
  })
  return {
    status: stateOf(notReady, concerns),
    notReady,
    concerns,
    timeMs: now,
    replica: sources.replica,
    inFlight: sources.inFlight(),
    traffic: sources.recent.recent(),
    upstreams,
    redis,
    limited: mostLimited(sources.offenders),
    configuration: { ...configuration, sha256: config.sha256, routes: config.routes.length },
  }
}

function stateOf(notReady: string | undefined, concerns: readonly Concern[]): Status['status'] {
  if (notReady !== undefined) return 'not_ready'
  return concerns.length > 0 ? 'attention' : 'ok'
}

/** What is counted of a route (undefined: of requests without one), to choose the routes that are shown. */
interface CountedRoute extends RecentCounts {
  readonly route: RouteConfig | undefined
}

function countsOf(routes: readonly RouteConfig[], recent: StatusSources['recent']): CountedRoute[] {
  const known = routes.map((route): CountedRoute => ({ route, ...recent.counts(route.name) }))
  const others: CountedRoute = { route: undefined, ...recent.counts(null) }
  return [...known, ...(others.requests > 0 ? [others] : [])].sort(
    (a, b) => b.lately.faults - a.lately.faults || b.faults - a.faults || b.requests - a.requests,
  )
}

function trafficOf(route: RouteConfig | undefined, recent: StatusSources['recent']): RouteTraffic {
  const name = route?.name ?? null
  const traffic = recent.recent(name)
  return {
    route: name,
    path: route?.match.path ?? null,
    ...traffic,
    burns: route === undefined ? [] : burnsOf(route, traffic, recent),
    variants: route === undefined ? [] : variantsOf(route, recent),
    slots: recent.slots(name),
  }
}

function variantsOf({ name: route, split }: RouteConfig, recent: StatusSources['recent']): VariantTraffic[] {
  return (split?.variants ?? []).map(({ name, upstream, weight }) => ({
    variant: name,
    upstream,
    share: shareText({ weight }, split?.variants ?? []),
    ...recent.ofVariant(route, name),
  }))
}

/** A concern about the route, or about each of its variants that fails: a small canary is a small part of its route. */
function failingRoute({ route, lately }: CountedRoute, recent: StatusSources['recent']): Concern[] {
  if (route === undefined) return failing('No route', null, lately)
  const { name, match, split } = route
  const ofVariants = (split?.variants ?? []).flatMap(variant => {
    const counts = recent.countsOfVariant(name, variant.name)
    return failing(`Route ${name}, variant ${variant.name}`, match.path, counts.lately)
  })
  return ofVariants.length > 0 ? ofVariants : failing(`Route ${name}`, match.path, lately)
}

function failing(what: string, path: string | null, lately: RecentCounts['lately']): Concern[] {
  if (lately.faults === 0 || lately.faults < FAULT_SHARE * lately.requests) return []
  const text = `${what}: ${lately.faults} of ${lately.requests} requests failed in the last 5 minutes`
  const query = new URLSearchParams({ outcome: 'fault', ...(path !== null && { route: path }) })
  return [{ text, path: `/traces?${query.toString()}` }]
}

function failingUpstream({ name, targets, panicking }: UpstreamState): Concern[] {
  const out = targets.filter(({ healthy }) => !healthy).length
  if (out === 0) return []
  const text = panicking
    ? `Upstream ${name}: ${out} of ${targets.length} targets are unhealthy, so all get requests`
    : `Upstream ${name}: ${out} of ${targets.length} targets ${out === 1 ? 'is' : 'are'} ejected`
  return [{ text, path: '/upstreams' }]
}

function failingRedis(redis: RedisState | undefined, now: number): Concern[] {
  if (redis === undefined || redis.isUsable) return []
  const since = redis.outage && ` since ${clock(redis.outage.sinceMs)} UTC, for ${lasted(now - redis.outage.sinceMs)}`
  return [{ text: `Redis unavailable${since ?? ''}: limits are degraded, each replica counts alone`, path: '#redis' }]
}

function missingWorkers(workers: Workers | undefined): Concern[] {
  if (workers === undefined) return []
  const serving = workers.running.filter(({ isListening }) => isListening).length
  if (serving === workers.wanted) return []
  return [{ text: `${serving} of ${workers.wanted} workers serve, ${workers.restarts} restarts`, path: '#replica' }]
}

function refusedReload({ lastReload }: Pick<ConfigurationState, 'lastReload'>): Concern[] {
  if (lastReload?.isRefused !== true) return []
  const [reason] = lastReload.details
  const why = reason === undefined ? '' : ` (${reason})`
  const text = `The configuration of ${clock(lastReload.atMs)} UTC was refused${why}: the previous one stays active`
  return [{ text, path: '#configuration' }]
}

function mostLimited(offenders: OffenderReader): LimitedClient[] {
  const all = offenders().flatMap(list =>
    list.offenders.map(({ client, count, error }) => ({
      client,
      route: list.route,
      policy: list.policy,
      count,
      error,
    })),
  )
  return all.sort((a, b) => b.count - b.error - (a.count - a.error)).slice(0, MAX_LIMITED)
}
