import { RecentRequests, type RecentTraffic } from '../observe/recent/recent-requests'
import type {
  ClientUse,
  OffenderList,
  TargetState,
  TraceFilter,
  TraceReader,
  TraceSummary,
  UpstreamState,
} from '../operations/sources'
import type { RedisState, TelemetryPipeline } from '../operations/status/status'
import type { OpsServerOptions } from '../operations/ops-server'
import type { OpsAnswer, OpsQuestion, OpsSources } from './ops-answers'

/** Clients shown for one policy, as for one process. */
const MAX_OFFENDERS = 50

/** The same for the clients of a target. */
const MAX_CLIENTS = 10

export type MatchesFilter = (trace: TraceSummary, filter: TraceFilter) => boolean

/** What to ask the workers for a page of the ops port; undefined if the primary answers it alone. */
export function questionOf(path: string, url: string, workers: number): OpsQuestion | undefined {
  const query = new URL(url, 'http://ops').searchParams
  switch (path) {
    case '/status':
    case '/summary':
      return { page: 'status' }
    case '/traces':
      return { page: 'traces' }
    case '/offenders':
      return { page: 'offenders' }
    case '/upstreams':
      return { page: 'upstreams' }
    case '/samples': {
      const limit = Number(query.get('limit'))
      return {
        page: 'samples',
        // Values that are no numbers are refused when the page is made.
        query: {
          route: query.get('route') ?? undefined,
          fromMs: Number(query.get('from') || 0),
          toMs: Number(query.get('to') || Number.MAX_SAFE_INTEGER),
          limit: limit > 0 ? Math.ceil(limit / workers) : undefined,
        },
      }
    }
    default: {
      const traceId = /^\/traces\/([0-9a-f]{32})(?:-[0-9a-f]{16})?$/.exec(path)?.[1]
      return traceId === undefined ? undefined : { page: 'trace', traceId }
    }
  }
}

/** What workers are asked for. Everything else of the ops port the primary knows alone. */
export type MergedSources = Pick<OpsServerOptions, keyof OpsSources>

/** The answers of all workers, as the sources of one page. */
export function mergedSources(answers: readonly OpsAnswer[], matches: MatchesFilter): MergedSources {
  const recent = new RecentRequests(undefined, 0)
  for (const answer of answers) if (answer.recent !== undefined) recent.add(answer.recent)
  const upstreams = each(UPSTREAM, ({ name }) => name)(answers.map(answer => answer.upstreams ?? []))
  const offenders = each(
    OFFENDERS,
    ({ route, policy }) => `${route}\0${policy}`,
  )(answers.map(answer => answer.offenders ?? []))
  const pipelines = each(
    PIPELINE,
    ({ signal, exporter, receiver }) => `${signal}\0${exporter}\0${receiver}`,
  )(answers.map(answer => answer.pipelines ?? []))
  const [redis] = each(REDIS, () => '')(answers.map(answer => (answer.redis === undefined ? [] : [answer.redis])))
  return {
    traces: mergedTraces(answers, matches),
    offenders: () => offenders,
    upstreams: () => upstreams,
    samples: { read: () => answers.flatMap(({ samples }) => samples ?? []).sort((a, b) => a.startMs - b.startMs) },
    recent,
    redis: () => redis,
    pipelines: () => pipelines,
    inFlight: () => answers.reduce((sum, { inFlight = 0 }) => sum + inFlight, 0),
  }
}

function mergedTraces(answers: readonly OpsAnswer[], matches: MatchesFilter): TraceReader {
  const all = answers.flatMap(({ traces }) => traces ?? []).sort((a, b) => b.timeMs - a.timeMs)
  // A caller's trace may have requests in several workers.
  const documents = answers.flatMap(({ otlpJson }) => otlpJson ?? [])
  return {
    list: (filter, limit) => all.filter(trace => matches(trace, filter)).slice(0, limit),
    otlpJson: () => {
      if (documents.length < 2) return documents[0]
      const parsed = documents.map(text => JSON.parse(text) as { readonly resourceSpans: readonly unknown[] })
      return JSON.stringify({ resourceSpans: parsed.flatMap(({ resourceSpans }) => resourceSpans) })
    },
  }
}

/** How the values of one field in several workers become one. Values that are absent are left out. */
type Rule<Value> = (values: Group<Value>) => Value

/** A rule for each field: a field without one does not compile, because a page of several workers would not show it. */
type Rules<Item> = { readonly [Key in keyof Required<Item>]: Rule<Required<Item>[Key]> }

/** Absent where no worker has the field. */
function mergedBy<Item extends object>(rules: Rules<Item>, same: Group<Item>): Item {
  const merged: Partial<Record<keyof Item, unknown>> = {}
  for (const key of Object.keys(rules) as (keyof Item)[]) {
    const values = same.map(item => item[key]).filter(value => value !== undefined)
    if (isGroup(values)) merged[key] = (rules[key] as Rule<unknown>)(values)
  }
  return merged as Item
}

const first = <Value>([value]: Group<Value>): Value => value
const total = (values: Group<number>): number => sum(values, value => value)
const most = (values: Group<number>): number => Math.max(...values)
const someTrue = (values: Group<boolean>): boolean => values.includes(true)
const allTrue = (values: Group<boolean>): boolean => !values.includes(false)
const firstFailure = (values: Group<string | null>): string | null => values.find(value => value !== null) ?? null
/** Quantiles cannot be added: the worst of the workers is shown. */
const worst = (values: Group<number | null>): number | null => {
  const found = values.filter(value => value !== null)
  return isGroup(found) ? most(found) : null
}

/** Applies the rules to each group of items with the same key. */
function each<Item extends object>(
  rules: Rules<Item>,
  keyOf: (item: Item) => string,
): (lists: readonly (readonly Item[])[]) => Item[] {
  return lists => [...grouped(lists.flat(), keyOf)].map(same => mergedBy(rules, same))
}

const CLIENT_USE: Rules<ClientUse> = {
  client: first,
  connections: total,
  waitingCalls: total,
  eventStreams: total,
  unreadResponses: total,
  servedLast: someTrue,
}

const TRAFFIC: Rules<RecentTraffic> = {
  requests: total,
  faults: total,
  refusals: total,
  clientClosed: total,
  p50Ms: worst,
  p95Ms: worst,
  p99Ms: worst,
  perSecond: total,
  lately: values => mergedBy<RecentTraffic['lately']>({ requests: total, faults: total }, values),
}

const CIRCUITS = ['open', 'half_open', 'closed'] as const

/** A target that one worker has ejected is shown as unhealthy: some requests do not get to it. */
const TARGET: Rules<TargetState> = {
  target: first,
  protocol: values => values.find(protocol => protocol !== 'auto') ?? values[0],
  healthy: allTrue,
  circuit: values => CIRCUITS.find(state => values.includes(state)) ?? values[0],
  healthCheck: values =>
    mergedBy<Required<TargetState>['healthCheck']>({ healthy: allTrue, lastFailure: firstFailure }, values),
  name: values =>
    mergedBy<Required<TargetState>['name']>(
      { addresses: lists => [...new Set(lists.flat())], lastFailure: firstFailure },
      values,
    ),
  activeCalls: total,
  calls: values => mergedBy(TRAFFIC, values),
  connections: values =>
    mergedBy<TargetState['connections']>({ open: total, free: total, waitingCalls: total }, values),
  clients: lists => {
    const calls = ({ connections, waitingCalls }: ClientUse): number => connections + waitingCalls
    return each(
      CLIENT_USE,
      ({ client }) => client,
    )(lists)
      .sort((a, b) => calls(b) - calls(a))
      .slice(0, MAX_CLIENTS)
  },
}

type Source = NonNullable<UpstreamState['sources']>[number]

const UPSTREAM: Rules<UpstreamState> = {
  name: first,
  panicking: someTrue,
  affinity: first,
  // Each worker looks for targets by itself: a failure of one is shown.
  sources: each<Source>({ source: first, targets: most, lastFailure: firstFailure }, ({ source }) => source),
  targets: each(TARGET, ({ target }) => target),
}

type Offender = OffenderList['offenders'][number]

const OFFENDERS: Rules<OffenderList> = {
  route: first,
  policy: first,
  limited: total,
  httpRoute: first,
  offenders: lists =>
    each<Offender>(
      { client: first, count: total, error: total },
      ({ client }) => client,
    )(lists)
      .sort((a, b) => b.count - a.count)
      .slice(0, MAX_OFFENDERS),
}

const PIPELINE: Rules<TelemetryPipeline> = {
  signal: first,
  exporter: first,
  receiver: first,
  sent: total,
  failed: values => {
    const failed: Record<string, number> = {}
    for (const [kind, count] of values.flatMap(Object.entries<number>)) failed[kind] = (failed[kind] ?? 0) + count
    return failed
  },
  lastSuccessMs: values => Math.max(...values.map(value => value ?? 0)),
  lastFailure: values => [...values].sort((a, b) => (b?.atMs ?? 0) - (a?.atMs ?? 0))[0],
}

const REDIS: Rules<RedisState> = {
  address: first,
  isUsable: allTrue,
  outage: values => [...values].sort((a, b) => (a?.sinceMs ?? 0) - (b?.sinceMs ?? 0))[0],
}

type Group<Item> = readonly [Item, ...Item[]]

function isGroup<Item>(items: readonly Item[]): items is Group<Item> {
  return items.length > 0
}

/** Items with the same key, in the order of their first appearance. */
function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Iterable<Group<Item>> {
  const groups = new Map<string, [Item, ...Item[]]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups.values()
}

function sum<Item>(items: readonly Item[], of: (item: Item) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}
