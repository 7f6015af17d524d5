import { clockOrDate, lasted } from '../../pages/times'
import type {
  Concern,
  EjectedTarget,
  Fleet,
  FleetReplica,
  Group,
  LimitedClient,
  ReplicaState,
  Scraped,
  Summary,
} from './fleet'

/** A replica with what its ops port answered, or why it did not. */
export type AskedReplica = Scraped & { readonly summary?: Summary; readonly problem?: string }

/** Maximum replicas that one statement names; more are counted. */
const MAX_NAMED = 3
/** Maximum statements of one kind, for example about single targets. */
const MAX_ALIKE = 5
const MAX_LIMITED = 10
/** Share of failed requests of the last five minutes from which a replica is said to fail, as on its status page. */
const FAULT_SHARE = 0.01

interface Asked {
  readonly timeMs: number
  readonly leftOut: number
  readonly prometheusProblem: string | undefined
}

/** Puts the replicas side by side: who differs, what needs attention, in words. */
export function compareReplicas(asked: readonly AskedReplica[], { timeMs, ...rest }: Asked): Fleet {
  // What an unreachable replica ran before says nothing about the fleet of now.
  const present = asked.filter(isServing)
  const versions = groupsOf(present, ({ summary, version }) => summary?.version ?? version)
  const configurations = groupsOf(present, ({ summary, sha256 }) => summary?.sha256 ?? sha256)
  const replicas = asked.map((replica): FleetReplica => {
    const version = replica.summary?.version ?? replica.version
    const sha256 = replica.summary?.sha256 ?? replica.sha256
    const isPresent = present.includes(replica)
    return {
      ...replica,
      version,
      sha256,
      load: { ...replica.load, ...replica.summary?.load },
      ejected: replica.summary?.ejected ?? replica.ejected,
      state: stateOf(replica),
      differs: {
        version: isPresent && isOdd(version, versions),
        configuration: isPresent && isOdd(sha256, configurations),
      },
    }
  })
  const ejected = ejectedOf(replicas)
  return {
    timeMs,
    ...rest,
    versions,
    configurations,
    ejected,
    limited: limitedOf(replicas),
    replicas: replicas.toSorted((a, b) => rankOf(a) - rankOf(b) || compareText(a.instance, b.instance)),
    concerns: concernsOf({ replicas, versions, configurations, ejected, timeMs, ...rest }),
  }
}

function stateOf({ summary, scrape }: AskedReplica): ReplicaState {
  if (summary !== undefined) return summary.status
  return scrape === 'gone' ? 'gone' : 'unreachable'
}

function groupsOf(replicas: readonly AskedReplica[], valueOf: (replica: AskedReplica) => string | undefined): Group[] {
  const groups = Map.groupBy(replicas, valueOf)
  return [...groups]
    .flatMap(([value, members]) => {
      return value === undefined ? [] : [{ value, instances: members.map(({ instance }) => instance) }]
    })
    .sort((a, b) => b.instances.length - a.instances.length || compareText(a.value, b.value))
}

/** Whether a value is not that of most replicas. Without a majority every value is odd. */
function isOdd(value: string | undefined, [first, second]: readonly Group[]): boolean {
  if (value === undefined || first === undefined || second === undefined) return false
  return value !== first.value || first.instances.length === second.instances.length
}

function rankOf({ state, scrape, differs, load, ejected }: FleetReplica): number {
  if (state === 'unreachable') return scrape === 'down' ? 0 : 1
  if (state === 'not_ready') return 2
  if (state === 'gone') return 8
  if ((load.faultShare ?? 0) >= FAULT_SHARE) return 3
  if (differs.configuration || differs.version) return 4
  if (ejected.length > 0) return 5
  return state === 'attention' ? 6 : 7
}

/** Whether it runs, as far as its ops port or Prometheus tells: the last values of others say nothing about now. */
export function isServing({ summary, scrape }: Pick<FleetReplica, 'summary' | 'scrape'>): boolean {
  return summary !== undefined || scrape === 'up'
}

function ejectedOf(replicas: readonly FleetReplica[]): Fleet['ejected'] {
  const by = new Map<string, EjectedTarget & { instances: string[] }>()
  for (const { instance, ejected } of replicas.filter(isServing)) {
    for (const target of ejected) {
      // Prometheus knows targets without a scheme.
      const key = `${target.upstream} ${target.target.replace(/^\w+:\/\//, '')}`
      const known = by.get(key)
      if (known === undefined) by.set(key, { ...target, instances: [instance] })
      else known.instances.push(instance)
    }
  }
  return [...by.values()].sort((a, b) => b.instances.length - a.instances.length)
}

function limitedOf(replicas: readonly FleetReplica[]): Fleet['limited'] {
  const by = new Map<string, { -readonly [Key in keyof LimitedClient]: LimitedClient[Key] } & { instances: string[] }>()
  for (const { instance, summary } of replicas) {
    for (const limited of summary?.limited ?? []) {
      const key = `${limited.route}\n${limited.policy}\n${limited.client}`
      const known = by.get(key)
      if (known === undefined) by.set(key, { ...limited, instances: [instance] })
      else {
        known.count += limited.count
        known.instances.push(instance)
      }
    }
  }
  return [...by.values()].sort((a, b) => b.count - a.count).slice(0, MAX_LIMITED)
}

type Known = Pick<
  Fleet,
  'versions' | 'configurations' | 'ejected' | 'timeMs' | 'leftOut' | 'prometheusProblem' | 'replicas'
>

/** What needs attention: first who serves nobody, then what fails requests, then differences, then what is degraded. */
function concernsOf(known: Known): Concern[] {
  const { replicas, timeMs, prometheusProblem, leftOut } = known
  const present = replicas.filter(({ state }) => state !== 'gone')
  return [
    ...capped(
      present
        .filter(({ state, scrape }) => state === 'unreachable' && scrape === 'down')
        .map(replica => bad(awayText(replica, timeMs))),
      'replicas are unreachable',
    ),
    ...capped(
      present.flatMap(({ instance, state, summary }) =>
        state === 'not_ready' ? [bad(`${instance} is not ready: ${summary?.notReady ?? 'no reason given'}`)] : [],
      ),
      'replicas are not ready',
    ),
    ...failing(present),
    ...(prometheusProblem === undefined
      ? []
      : [
          warn(
            `Prometheus does not answer (${prometheusProblem}): replicas are those it named before, and CPU and event loop are unknown`,
          ),
        ]),
    ...capped(
      present
        .filter(({ state, scrape }) => state === 'unreachable' && scrape === 'up')
        .map(({ instance, problem }) =>
          warn(`The ops port of ${instance} gives no summary: ${problem}. Its numbers are those of Prometheus`),
        ),
      'ops ports give no summary',
    ),
    ...different(
      'configurations are active',
      known.configurations,
      value => value.slice(0, 8),
      sinceOf(present, timeMs),
    ),
    ...different(
      'versions run',
      known.versions,
      value => value,
      () => '',
    ),
    ...capped(
      known.ejected.map(({ upstream, target, instances }) =>
        warn(`Upstream ${upstream}: ${target} is ejected by ${countOf(instances, present.filter(isServing).length)}`),
      ),
      'targets are ejected',
    ),
    ...degraded(present),
    ...refused(present, timeMs),
    ...(leftOut > 0 ? [warn(`${leftOut} more replicas are neither asked nor shown`)] : []),
  ]
}

const bad = (text: string): Concern => ({ kind: 'bad', text })
const warn = (text: string): Concern => ({ kind: 'warn', text })

function capped(concerns: readonly Concern[], what: string): Concern[] {
  const [first] = concerns
  if (first === undefined || concerns.length <= MAX_ALIKE) return [...concerns]
  return [...concerns.slice(0, MAX_ALIKE), { kind: first.kind, text: `${concerns.length - MAX_ALIKE} more ${what}` }]
}

function awayText(replica: FleetReplica, now: number): string {
  return `${replica.instance} is unreachable ${sinceText(replica, now)}: ${whyText(replica)}`
}

/** "since 14:02:11 UTC (5 min 3 s)": since Prometheus last scraped it. */
export function sinceText({ lastSeenMs }: Pick<FleetReplica, 'lastSeenMs'>, now: number): string {
  if (lastSeenMs === undefined) return 'for more than an hour'
  return `since ${clockOrDate(lastSeenMs, now)} UTC (${lasted(now - lastSeenMs)})`
}

/** What this service and Prometheus each say. */
export function whyText({ problem, scrapeError }: Pick<FleetReplica, 'problem' | 'scrapeError'>): string {
  const scrape = scrapeError?.replace(/^Get "[^"]*": /, '')
  if (scrape === undefined || (problem !== undefined && scrape.includes(problem))) return problem ?? 'unknown reason'
  return `${problem}; Prometheus: ${scrape}`
}

function failing(present: readonly FleetReplica[]): Concern[] {
  const worst = present
    .filter(({ state, load }) => state !== 'unreachable' && (load.faultShare ?? 0) >= FAULT_SHARE)
    .toSorted((a, b) => (b.load.faultShare ?? 0) - (a.load.faultShare ?? 0))
  const [first] = worst
  if (first === undefined) return []
  const share = `${Math.round((first.load.faultShare ?? 0) * 100)} %`
  const who = countOf(
    worst.map(({ instance }) => instance),
    present.length,
  )
  const most = worst.length > 1 ? `, most on ${first.instance}: ${share}` : `: ${share}`
  return [bad(`More than 1 % of the requests of the last 5 minutes failed on ${who}${most}`)]
}

/** "2 configurations are active: 1a2b3c4d on 2 replicas, 9f8e7d6c on 10.0.0.3:9464 since 14:02:11 UTC". */
function different(
  what: string,
  groups: readonly Group[],
  shorten: (value: string) => string,
  since: (group: Group) => string,
): Concern[] {
  if (groups.length < 2) return []
  const [first, second] = groups
  const isTied = first?.instances.length === second?.instances.length
  const shown = groups.slice(0, MAX_ALIKE).map((group, index) => {
    return `${shorten(group.value)} on ${named(group.instances)}${index > 0 || isTied ? since(group) : ''}`
  })
  const more = groups.length > MAX_ALIKE ? [`${groups.length - MAX_ALIKE} more`] : []
  return [warn(`${groups.length} ${what}: ${[...shown, ...more].join(', ')}`)]
}

/** When the first replica of a group took its configuration, for those that answer. */
function sinceOf(replicas: readonly FleetReplica[], now: number): (group: Group) => string {
  const times = new Map(replicas.map(({ instance, summary }) => [instance, summary?.configSinceMs]))
  return ({ instances }) => {
    const known = instances.flatMap(instance => times.get(instance) ?? [])
    return known.length === 0 ? '' : ` since ${clockOrDate(Math.min(...known), now)} UTC`
  }
}

function degraded(present: readonly FleetReplica[]): Concern[] {
  const instances = present.filter(({ summary }) => summary?.limits === 'degraded').map(({ instance }) => instance)
  if (instances.length === 0) return []
  return [
    warn(`Limits are degraded on ${countOf(instances, present.length)}: Redis is unavailable there, each counts alone`),
  ]
}

function refused(present: readonly FleetReplica[], now: number): Concern[] {
  const found = present.flatMap(({ instance, summary }) => {
    return summary?.refusedReload === undefined ? [] : [{ instance, ...summary.refusedReload }]
  })
  const alike = Map.groupBy(found, ({ reason }) => reason)
  return [...alike].slice(0, MAX_ALIKE).map(([reason, replicas]) => {
    const time = clockOrDate(Math.max(...replicas.map(({ timeMs }) => timeMs)), now)
    const who = named(replicas.map(({ instance }) => instance))
    return warn(`The configuration of ${time} UTC was refused on ${who}${reason === undefined ? '' : ` (${reason})`}`)
  })
}

/** "2 of 3 replicas", or the name of a single one: "10.0.0.3:9464 alone". */
function countOf(instances: readonly string[], all: number): string {
  const [first] = instances
  if (all === 1) return first ?? ''
  if (instances.length === 1) return `${first} alone (of ${all} replicas)`
  return instances.length === all ? allOf(all) : `${instances.length} of ${all} replicas`
}

/** "both replicas", "all 3 replicas". */
export function allOf(count: number): string {
  return count === 2 ? 'both replicas' : `all ${count} replicas`
}

/** Names few replicas and counts many. */
function named(instances: readonly string[]): string {
  return instances.length > MAX_NAMED ? `${instances.length} replicas` : instances.join(' and ')
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
