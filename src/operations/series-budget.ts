import type { GatewayConfig, RouteConfig } from '../config/gateway-config'
import type { UpstreamConfig } from '../config/types'
import { GRPC_STATUSES } from '../errors/grpc-status'
import { REASONS, type Reason } from '../errors/reasons'
import { FAILURE_KINDS } from '../policies/own/guarded-hooks'
import { MAX_COUNTERS, MAX_SERIES } from '../policies/own/policy-signals'
import { policiesOf } from '../policies/policies-of'
import { POLICIES } from '../policies/registry'
import { durationBoundaries, objectivesIn } from '../slo/objectives'
import { KNOWN_METHODS, methodLabel, OTHER_METHOD } from '../telemetry/http-method'
import * as semconv from '../telemetry/semconv'
import { KNOWN_STATUSES, STATUS_CLASSES } from '../telemetry/status-code'

/** Maximum number of series of one instrument, independent of what clients and upstreams send. */
export interface FamilyBudget {
  /** OpenTelemetry name; the exposition adds unit and `_total`. */
  readonly instrument: string
  /** Sets of attributes. */
  readonly series: number
  /** Number of series with ordinary traffic: see `TYPICAL`. */
  readonly typicalSeries: number
  /** Lines of each in the exposition: a histogram has one per bucket, sum and count. */
  readonly linesPerSeries: number
  /** The factors of the product, for people. */
  readonly madeOf: string
}

/**
 * Ordinary traffic: few clients use more than two methods of a route, and few methods of a route see more than a good
 * answer and one failure. Measured on the shipped gateway.yaml: 456 lines, 460 computed.
 */
export const TYPICAL = { methods: 2, results: 2, statusesOfTargets: 3, reasons: 8 } as const
/** Lines about the process and the SDK. */
export const PROCESS_LINES = 150

/** 1.0, 1.1 and 2. Node's parser knows 0.9 and 2.0 as well, which are refused before there is a route. */
const PROTOCOL_VERSIONS = 3
const REFUSED_VERSIONS = 2
const SCHEMES = 1
const STREAM_KINDS = 2
const RESULTS = 2
const RETRY_RESULTS = 3
const STORES = 3
/** Beside the buckets: +Inf, sum and count. */
const MORE_LINES = 3
const HISTOGRAM_LINES = semconv.DURATION_BUCKETS_S.length + MORE_LINES
const STREAM_LINES = 12
const BODY_SIZES = [semconv.METRIC_HTTP_SERVER_REQUEST_BODY_SIZE, semconv.METRIC_HTTP_SERVER_RESPONSE_BODY_SIZE]

/**
 * Computes the maximum number of series of the gateway's instruments for a configuration. Routes, methods, statuses and
 * reasons are tables, so it is bounded. The metrics of the process and the SDK do not depend on requests.
 */
export function seriesBudget(config: GatewayConfig, { bodySizes = false } = {}): FamilyBudget[] {
  const { routes, upstreams } = config
  const statuses = statusesAndReasons()
  const ofRoutes = sum(routes.map(route => methodsOf([route]).size * ownersOf(route))) * PROTOCOL_VERSIONS * statuses
  const unmatched = allMethods().size * (PROTOCOL_VERSIONS + REFUSED_VERSIONS) * statusesOfRefusals()
  const ofOwnPage = 2 * PROTOCOL_VERSIONS * statusesOfRefusals()
  const ofRequests = {
    series: ofRoutes + unmatched + ofOwnPage,
    typicalSeries: typicalMethods(routes) * TYPICAL.results + TYPICAL.methods,
  }
  const targets = sum(
    upstreams.map(
      upstream =>
        targetsIn(upstream) * methodsOf(routes.filter(route => upstreamsIn(route).includes(upstream.name))).size,
    ),
  )
  const webSocketRoutes = routes.filter(route => route.websocket && methodsOf([route]).has('GET')).length
  const reasons = Object.keys(REASONS).length
  const owners = sum(routes.map(ownersOf))
  return [
    {
      instrument: semconv.METRIC_HTTP_SERVER_REQUEST_DURATION,
      ...ofRequests,
      linesPerSeries: durationBoundaries(objectivesIn(config)).length + MORE_LINES,
      madeOf: `methods of each route and variant × ${PROTOCOL_VERSIONS} versions × ${statuses} statuses and reasons, and what matches no route`,
    },
    ...(bodySizes ? BODY_SIZES : []).map(instrument => ({
      instrument,
      ...ofRequests,
      linesPerSeries: semconv.BODY_BUCKETS_BY.length + MORE_LINES,
      madeOf: 'as the duration, with TELEMETRY_BODY_SIZES=true',
    })),
    {
      instrument: semconv.METRIC_STREAM_DURATION,
      series: ofRoutes + webSocketRoutes * (1 + faults().length),
      typicalSeries: 0,
      linesPerSeries: STREAM_LINES,
      madeOf: `the same, should every route answer with event streams; ${webSocketRoutes} routes with WebSockets × ${faults().length} reasons and none`,
    },
    {
      instrument: semconv.METRIC_STREAM_ACTIVE,
      series: routes.length * STREAM_KINDS,
      typicalSeries: 0,
      linesPerSeries: 1,
      madeOf: `${routes.length} routes × ${STREAM_KINDS} kinds of streams`,
    },
    {
      instrument: semconv.METRIC_HTTP_SERVER_ACTIVE_REQUESTS,
      series: allMethods().size * SCHEMES,
      typicalSeries: TYPICAL.methods,
      linesPerSeries: 1,
      madeOf: `${allMethods().size} methods`,
    },
    {
      instrument: semconv.METRIC_REQUESTS,
      series: (owners + 2) * (reasons + 1),
      typicalSeries: (owners + 2) * TYPICAL.reasons,
      linesPerSeries: 1,
      madeOf: `${owners} routes and variants, the gateway's page and no route × ${reasons} reasons and ok`,
    },
    ...ofMirrors(routes.filter(({ mirror }) => mirror !== undefined).length),
    ...ofSplits(owners - routes.length),
    {
      instrument: semconv.METRIC_HTTP_CLIENT_REQUEST_DURATION,
      series: targets * (KNOWN_STATUSES.size + reasons),
      typicalSeries: sum(upstreams.map(targetsIn)) * TYPICAL.methods * TYPICAL.statusesOfTargets,
      linesPerSeries: HISTOGRAM_LINES,
      madeOf: `methods that reach each target × ${KNOWN_STATUSES.size} statuses or ${reasons} reasons`,
    },
    {
      instrument: semconv.METRIC_UPSTREAM_RETRIES,
      series: upstreams.length * faults().length * RETRY_RESULTS,
      typicalSeries: 0,
      linesPerSeries: 1,
      madeOf: `upstreams × ${faults().length} reasons × ${RETRY_RESULTS} results`,
    },
    {
      instrument: semconv.METRIC_RATE_LIMITING_REQUESTS,
      series: sum(routes.map(({ rateLimit }) => rateLimit.length)) * RESULTS * STORES,
      typicalSeries: sum(routes.map(({ rateLimit }) => rateLimit.length)) * RESULTS,
      linesPerSeries: 1,
      madeOf: `policies of each route × ${RESULTS} results × ${STORES} stores`,
    },
    ...ofGrpc(config),
    ...ofOwnPolicies(config),
  ]
}

/** A split has the series of its variants, and those of requests that were refused before one was chosen. */
/** Assumed targets of a source such as DNS: how many it lists is known only while the gateway runs. */
const TARGETS_OF_SOURCE = 10

function targetsIn({ targets, discovery }: UpstreamConfig): number {
  return targets.length + TARGETS_OF_SOURCE * (discovery?.sources.length ?? 0)
}

function ownersOf({ split }: RouteConfig): number {
  return 1 + (split?.variants.length ?? 0)
}

function upstreamsIn({ upstream, split }: RouteConfig): readonly (string | undefined)[] {
  return split === undefined ? [upstream] : split.variants.map(variant => variant.upstream)
}

function ofSplits(variants: number): FamilyBudget[] {
  if (variants === 0) return []
  const madeOf = `${variants} variants`
  return [
    { instrument: semconv.METRIC_SPLIT_WEIGHT, series: variants, typicalSeries: variants, linesPerSeries: 1, madeOf },
  ]
}

function ofMirrors(mirrors: number): FamilyBudget[] {
  if (mirrors === 0) return []
  const reasons = Object.keys(REASONS).length
  return [
    {
      instrument: semconv.METRIC_MIRROR_DURATION,
      series: mirrors * (KNOWN_STATUSES.size + reasons),
      typicalSeries: mirrors * TYPICAL.results,
      linesPerSeries: HISTOGRAM_LINES,
      madeOf: `${mirrors} mirrors × ${KNOWN_STATUSES.size} statuses or ${reasons} reasons`,
    },
    {
      instrument: semconv.METRIC_MIRROR_DROPPED,
      series: mirrors * semconv.MIRROR_DROP_REASONS.length,
      typicalSeries: mirrors * semconv.MIRROR_DROP_REASONS.length,
      linesPerSeries: 1,
      madeOf: `${mirrors} mirrors × ${semconv.MIRROR_DROP_REASONS.length} reasons`,
    },
  ]
}

/** Without named methods there is one series for each status: too few for a budget. */
function ofGrpc(config: GatewayConfig): FamilyBudget[] {
  const methods = new Set(config.routes.flatMap(({ grpc }) => grpc?.methods ?? [])).size
  if (methods === 0) return []
  return [
    {
      instrument: semconv.METRIC_RPC_SERVER_CALL_DURATION,
      series: (methods + 1) * GRPC_STATUSES.length,
      typicalSeries: methods * TYPICAL.results,
      linesPerSeries: durationBoundaries(objectivesIn(config)).length + MORE_LINES,
      madeOf: `${methods} named gRPC methods and all others × ${GRPC_STATUSES.length} statuses`,
    },
  ]
}

function ofOwnPolicies(config: GatewayConfig): FamilyBudget[] {
  const own = policiesOf(config).length - POLICIES.length
  if (own === 0) return []
  const failures = own * FAILURE_KINDS.length
  return [
    {
      instrument: semconv.METRIC_POLICY_FAILURES,
      series: failures,
      typicalSeries: failures,
      linesPerSeries: 1,
      madeOf: `policies of the file × ${FAILURE_KINDS.length} kinds of failures`,
    },
    {
      instrument: 'counters of policies',
      series: own * MAX_COUNTERS * MAX_SERIES,
      typicalSeries: 0,
      linesPerSeries: 1,
      madeOf: `policies of the file × ${MAX_COUNTERS} counters × ${MAX_SERIES} series, should they count so much`,
    },
  ]
}

/** Returns the maximum number of lines of a scrape. */
export function totalLines(budget: readonly FamilyBudget[]): number {
  return sum(budget.map(({ series, linesPerSeries }) => series * linesPerSeries))
}

/** Returns the number of lines of a scrape with ordinary traffic. */
export function typicalLines(budget: readonly FamilyBudget[]): number {
  return sum(budget.map(({ typicalSeries, linesPerSeries }) => typicalSeries * linesPerSeries)) + PROCESS_LINES
}

function typicalMethods(routes: readonly RouteConfig[]): number {
  return sum(routes.map(route => Math.min(TYPICAL.methods, methodsOf([route]).size) * ownersOf(route)))
}

/** Returns the possible label values for the methods of these routes. HEAD is allowed where GET is. */
function methodsOf(routes: readonly RouteConfig[]): ReadonlySet<string> {
  const found = new Set<string>()
  for (const { match, cors } of routes) {
    if (match.methods === undefined) return allMethods()
    for (const method of match.methods) found.add(methodLabel(method))
    if (match.methods.includes('GET')) found.add('HEAD')
    if (cors) found.add('OPTIONS') // what browsers ask with
  }
  return found
}

function allMethods(): ReadonlySet<string> {
  return new Set([...KNOWN_METHODS, OTHER_METHOD])
}

/** Pairs of status and `error.type`: any status without a fault, upstream's own 5xx, and each other fault where it may strike. */
function statusesAndReasons(): number {
  const ofUpstream = [...KNOWN_STATUSES].filter(status => status >= 500).length
  const others = faults().filter(reason => reason !== 'upstream_5xx')
  // Before the header section with its own status, after it with the class of what was sent.
  const withClasses = others.map(reason => new Set<number>([REASONS[reason].status, ...STATUS_CLASSES]).size)
  return KNOWN_STATUSES.size + ofUpstream + sum(withClasses)
}

/** Returns the number of statuses of local replies. */
function statusesOfRefusals(): number {
  const refusals = Object.values(REASONS).filter(({ outcome }) => outcome !== 'fault')
  return new Set(refusals.map(({ status }) => status)).size + faults().length + 1
}

function faults(): Reason[] {
  return (Object.keys(REASONS) as Reason[]).filter(reason => REASONS[reason].outcome === 'fault')
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
