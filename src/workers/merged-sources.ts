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
import type { OpsAnswer, OpsQuestion } from './ops-answers'

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

/** The answers of all workers, as the sources of one page. */
export function mergedSources(answers: readonly OpsAnswer[], matches: MatchesFilter): Partial<OpsServerOptions> {
  const recent = new RecentRequests(undefined, 0)
  for (const answer of answers) if (answer.recent !== undefined) recent.add(answer.recent)
  const upstreams = mergedUpstreams(answers.flatMap(answer => answer.upstreams ?? []))
  const offenders = mergedOffenders(answers.flatMap(answer => answer.offenders ?? []))
  const pipelines = mergedPipelines(answers.flatMap(answer => answer.pipelines ?? []))
  const redis = mergedRedis(answers.flatMap(answer => answer.redis ?? []))
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

function mergedOffenders(lists: readonly OffenderList[]): OffenderList[] {
  return [...grouped(lists, ({ route, policy }) => `${route}\0${policy}`)].map(same => {
    const [first] = same
    const offenders = [
      ...grouped(
        same.flatMap(({ offenders }) => offenders),
        ({ client }) => client,
      ),
    ].map(ofClient => ({
      client: ofClient[0].client,
      count: sum(ofClient, ({ count }) => count),
      error: sum(ofClient, ({ error }) => error),
    }))
    return {
      ...first,
      limited: sum(same, ({ limited }) => limited),
      offenders: offenders.sort((a, b) => b.count - a.count).slice(0, MAX_OFFENDERS),
    }
  })
}

function mergedUpstreams(states: readonly UpstreamState[]): UpstreamState[] {
  return [...grouped(states, ({ name }) => name)].map(same => ({
    ...same[0],
    panicking: same.some(({ panicking }) => panicking),
    ...withSources(same),
    targets: [
      ...grouped(
        same.flatMap(({ targets }) => targets),
        ({ target }) => target,
      ),
    ].map(mergedTarget),
  }))
}

/** Each worker looks for targets by itself: a failure of one is shown. */
function withSources(same: Group<UpstreamState>): Pick<UpstreamState, 'sources'> {
  const sources = same.flatMap(state => state.sources ?? [])
  if (sources.length === 0) return {}
  return {
    sources: [...grouped(sources, ({ source }) => source)].map(ofSource => ({
      ...ofSource[0],
      lastFailure: ofSource.find(({ lastFailure }) => lastFailure !== null)?.lastFailure ?? null,
    })),
  }
}

const CIRCUITS = ['open', 'half_open', 'closed'] as const

/** A target that one worker has ejected is shown as unhealthy: some requests do not get to it. */
function mergedTarget(same: Group<TargetState>): TargetState {
  const [first] = same
  const checks = same.flatMap(({ healthCheck }) => healthCheck ?? [])
  const names = same.flatMap(({ name }) => name ?? [])
  const calls = same.flatMap(({ calls }) => calls ?? [])
  const clients = same.flatMap(({ clients }) => clients ?? [])
  const circuit = CIRCUITS.find(state => same.some(target => target.circuit === state))
  return {
    ...first,
    healthy: same.every(({ healthy }) => healthy),
    ...(circuit && { circuit }),
    ...(checks.length > 0 && {
      healthCheck: {
        healthy: checks.every(({ healthy }) => healthy),
        lastFailure: checks.find(({ lastFailure }) => lastFailure !== null)?.lastFailure ?? null,
      },
    }),
    ...(names.length > 0 && {
      name: {
        addresses: [...new Set(names.flatMap(({ addresses }) => addresses))],
        lastFailure: names.find(({ lastFailure }) => lastFailure !== null)?.lastFailure ?? null,
      },
    }),
    activeCalls: sum(same, ({ activeCalls }) => activeCalls),
    ...(clients.length > 0 && { clients: mergedClients(clients) }),
    ...(isGroup(calls) && { calls: mergedTraffic(calls) }),
    connections: {
      open: sum(same, ({ connections }) => connections.open),
      free: sum(same, ({ connections }) => connections.free),
      waitingCalls: sum(same, ({ connections }) => connections.waitingCalls),
    },
  }
}

function mergedClients(all: readonly ClientUse[]): ClientUse[] {
  const clients = [...grouped(all, ({ client }) => client)].map(same => ({
    client: same[0].client,
    connections: sum(same, ({ connections }) => connections),
    waitingCalls: sum(same, ({ waitingCalls }) => waitingCalls),
    eventStreams: sum(same, ({ eventStreams }) => eventStreams),
    unreadResponses: sum(same, ({ unreadResponses }) => unreadResponses),
    servedLast: same.some(({ servedLast }) => servedLast),
  }))
  const calls = ({ connections, waitingCalls }: ClientUse): number => connections + waitingCalls
  return clients.sort((a, b) => calls(b) - calls(a)).slice(0, MAX_CLIENTS)
}

/** Quantiles cannot be added: the worst of the workers is shown. */
function mergedTraffic(all: Group<RecentTraffic>): RecentTraffic {
  const worst = (quantile: 'p50Ms' | 'p95Ms' | 'p99Ms'): number | null => {
    const found = all.flatMap(traffic => traffic[quantile] ?? [])
    return found.length === 0 ? null : Math.max(...found)
  }
  return {
    requests: sum(all, ({ requests }) => requests),
    faults: sum(all, ({ faults }) => faults),
    refusals: sum(all, ({ refusals }) => refusals),
    clientClosed: sum(all, ({ clientClosed }) => clientClosed),
    p50Ms: worst('p50Ms'),
    p95Ms: worst('p95Ms'),
    p99Ms: worst('p99Ms'),
    perSecond: sum(all, ({ perSecond }) => perSecond),
    lately: {
      requests: sum(all, ({ lately }) => lately.requests),
      faults: sum(all, ({ lately }) => lately.faults),
    },
  }
}

function mergedPipelines(states: readonly TelemetryPipeline[]): TelemetryPipeline[] {
  return [...grouped(states, ({ signal, exporter, receiver }) => `${signal}\0${exporter}\0${receiver}`)].map(same => {
    const failed: Record<string, number> = {}
    for (const state of same) {
      for (const [kind, count] of Object.entries(state.failed)) failed[kind] = (failed[kind] ?? 0) + count
    }
    const successes = same.flatMap(({ lastSuccessMs }) => lastSuccessMs ?? [])
    const failures = same.flatMap(({ lastFailure }) => lastFailure ?? [])
    return {
      ...same[0],
      sent: sum(same, ({ sent }) => sent),
      failed,
      lastSuccessMs: successes.length === 0 ? undefined : Math.max(...successes),
      lastFailure: failures.sort((a, b) => b.atMs - a.atMs)[0],
    }
  })
}

function mergedRedis(states: readonly RedisState[]): RedisState | undefined {
  const [first] = states
  if (first === undefined) return undefined
  const outages = states.flatMap(({ outage }) => outage ?? [])
  return {
    ...first,
    isUsable: states.every(({ isUsable }) => isUsable),
    outage: outages.sort((a, b) => a.sinceMs - b.sinceMs)[0],
  }
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
