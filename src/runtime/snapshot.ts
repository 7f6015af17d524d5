import type { IncomingMessage } from 'node:http'
import { Consumers } from '../policies/auth/consumers'
import type { RateLimiter } from '../policies/rate-limit/limit-rate'
import { LoadShedder } from '../entrypoint/shed-load'
import type { EntrypointConfig, GatewayConfig, RouteConfig, UpstreamConfig } from '../config/types'
import { createClientOrigin, type ClientOrigin } from '../entrypoint/client-address'
import type { RequestLimits } from '../entrypoint/request-faults'
import { createTraceTrust } from '../observe/trace-trust'
import type { Stage } from '../exchange/exchange'
import { toRoute, type Route } from '../routing/route'
import { RouteTable } from '../routing/route-table'
import type { Logger } from '../telemetry/logger'
import { tlsVersion } from '../upstream/connector'
import { Target } from '../upstream/target'
import { settingsOfTargets, Upstream } from '../upstream/upstream'

/**
 * All that one `gateway.yaml` makes. Replaced as a whole and never changed; a request keeps the one it began with, so that
 * none is matched by one file and forwarded by another.
 */
export interface Snapshot {
  readonly config: GatewayConfig
  readonly upstreams: readonly Upstream[]
  readonly routes: readonly StagedRoute[]
  readonly table: RouteTable<StagedRoute>
  /** What requests of the gateway's own page pass. */
  readonly ownStages: readonly Stage[]
  readonly shedder: LoadShedder
  readonly limits: RequestLimits
  readonly clientOrigin: (request: IncomingMessage) => ClientOrigin
  /** Whose trace is continued. */
  readonly continuesTrace: (request: IncomingMessage) => boolean
  /** By what each was made from. */
  readonly resources: ReadonlyMap<string, Resource>
}

/** A route with the stages its requests pass. */
export interface StagedRoute extends Route, Staging {
  /** What its stages use. */
  readonly resources: ReadonlySet<Resource>
}

export interface Staging {
  readonly stages: readonly Stage[]
  /** What a browser's question passes, whether it may send a request of this route; undefined where the upstream is asked. */
  readonly preflight: readonly Stage[] | undefined
  readonly limiters: readonly RateLimiter[]
}

/** What is more than memory, or knows more than the file says: a target with its connections, a limiter with its counts. */
export interface Resource {
  /** The file does not ask for it any more: requests that are under way still use it, none that come will. */
  leave?(): void
  close(): void | Promise<void>
}

/**
 * The resource that is made from `from`: the one there is, where the last file said the same, else what `make` makes.
 *
 * @param from all that the resource depends on; what is left out here stays as it was when the file changes
 */
export type ReuseOrCreate = <P extends Resource>(kind: string, from: unknown, make: () => P) => P

export interface SnapshotOptions {
  readonly config: GatewayConfig
  /** Parts that stay as they are are shared with it; everything else is made anew. */
  readonly previous: Snapshot | undefined
  readonly log: Logger
  /** The stages of a route, with the resources that it uses. */
  readonly stagesOf: (route: Route, resources: RouteResources, reuseOrCreate: ReuseOrCreate) => Staging
  readonly ownStagesOf: (entrypoint: EntrypointConfig) => Stage[]
}

/** What the stages of a route are made of, besides what they reuse or create. */
export interface RouteResources {
  /** Undefined where the route itself answers. */
  readonly upstream: Upstream | undefined
  readonly consumers: Consumers
  readonly entrypoint: EntrypointConfig
}

/** @throws whatever making a resource throws; nothing is left open then */
export function createSnapshot({ config, previous, log, stagesOf, ownStagesOf }: SnapshotOptions): Snapshot {
  const resources = new Map<string, Resource>()
  const reuseOrCreate: ReuseOrCreate = <P extends Resource>(kind: string, from: unknown, make: () => P) => {
    const key = `${kind} ${JSON.stringify(from)}`
    const resource = (resources.get(key) ?? previous?.resources.get(key) ?? make()) as P
    resources.set(key, resource)
    return resource
  }
  const consumers = new Consumers(config.consumers)
  const stageRoute = (routeConfig: RouteConfig, upstream: Upstream | undefined): StagedRoute => {
    const route = toRoute(routeConfig)
    const used = new Set<Resource>(upstream && [upstream, ...upstream.targets])
    const reuseNoted: ReuseOrCreate = (...request) => {
      const resource = reuseOrCreate(...request)
      used.add(resource)
      return resource
    }
    return {
      ...route,
      ...stagesOf(route, { upstream, consumers, entrypoint: config.entrypoint }, reuseNoted),
      resources: used,
    }
  }
  try {
    const upstreams = new Map(
      config.upstreams.map(upstream => [upstream.name, takeUpstream(upstream, previous?.config, reuseOrCreate, log)]),
    )
    const routes = config.routes.map(route => stageRoute(route, upstreams.get(route.upstream ?? '')))
    return {
      config,
      upstreams: [...upstreams.values()],
      routes,
      table: new RouteTable(routes),
      ownStages: ownStagesOf(config.entrypoint),
      shedder: reuseOrCreate(
        'shedder',
        config.entrypoint.overload,
        () => new LoadShedder(config.entrypoint.overload, log),
      ),
      limits: config.entrypoint,
      clientOrigin: createClientOrigin(config.entrypoint.trustedProxies),
      continuesTrace: createTraceTrust(config.entrypoint),
      resources,
    }
  } catch (error) {
    for (const resource of resourcesOnlyIn({ resources }, previous)) void resource.close()
    throw error
  }
}

/** Its targets are resources of their own: where others come or go, they stay as they are. */
function takeUpstream(
  config: UpstreamConfig,
  before: GatewayConfig | undefined,
  reuseOrCreate: ReuseOrCreate,
  log: Logger,
): Upstream {
  // A certificate is renewed in its place.
  const version = tlsVersion(config.tls)
  const origins = before?.upstreams.find(({ name }) => name === config.name)?.targets.map(({ origin }) => origin)
  // Where all are new, there is nobody else to ask until they are known.
  const joinsOthers = config.targets.some(({ origin }) => origins?.includes(origin))
  const targets = settingsOfTargets(config).map(settings =>
    reuseOrCreate('target', [settings, version], () => {
      return new Target(settings, joinsOthers && origins?.includes(settings.origin) === false)
    }),
  )
  return reuseOrCreate('upstream', [config, version], () => new Upstream(config, targets, log))
}

/** Those of `snapshot` that `other` does not share. */
export function resourcesOnlyIn(
  snapshot: Pick<Snapshot, 'resources'>,
  other: Pick<Snapshot, 'resources'> | undefined,
): Resource[] {
  const shared = new Set(other?.resources.values())
  return [...snapshot.resources.values()].filter(resource => !shared.has(resource))
}
