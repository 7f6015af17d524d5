import type { IncomingMessage } from 'node:http'
import { Consumers } from '../policies/auth/consumers'
import type { RouteHooks } from '../policies/collect-hooks'
import { LoadShedder } from '../entrypoint/shed-load'
import type { ConfigFiles } from '../config/config-files'
import type { EntrypointConfig, UpstreamConfig } from '../config/types'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config'
import { isMetricsPath } from '../config/values/path-template'
import { createClientOrigin, type ClientOrigin } from '../entrypoint/client-address'
import type { RequestLimits } from '../entrypoint/request-faults'
import { createTraceTrust } from '../observe/trace-trust'
import type { AccessLogSettings } from '../exchange/access-log-settings'
import type { Stage } from '../exchange/exchange'
import type { ErrorAnswers } from '../errors/error-answer'
import { parseErrorPage } from '../exchange/error-page'
import type { RequestIdConfig } from '../exchange/request-id-config'
import { toRoute, type Route } from '../routing/route'
import { RouteTable } from '../routing/route-table'
import type { Logger } from '../telemetry/logger'
import { readUpstreamTls } from '../upstream/connector'
import { Target } from '../upstream/target'
import type { TargetExchange } from '../upstream/target-news'
import { settingsOfTargets, Upstream } from '../upstream/upstream'
import type { Resource, ReuseOrCreate } from './resources'

/**
 * Everything built from one `gateway.yaml`. Immutable and replaced as a whole; a request keeps the snapshot it started with,
 * so that none is matched by one configuration and forwarded by another.
 */
export interface Snapshot {
  readonly config: GatewayConfig
  readonly upstreams: readonly Upstream[]
  readonly routes: readonly StagedRoute[]
  readonly table: RouteTable<StagedRoute>
  /** Stages for requests of the gateway's own page. */
  readonly ownStages: readonly Stage[]
  /** Stages that every request passes before routing. */
  readonly arrivalStages: readonly Stage[]
  /** Whether a route may match `/metrics`. Most configurations have none, so scrapes skip the route table. */
  readonly mayTakeMetrics: boolean
  readonly requestId: RequestIdConfig
  readonly errorAnswers: ErrorAnswers
  readonly accessLog: AccessLogSettings | undefined
  /** Whether any route accepts `%2F` in paths. */
  readonly takesEncodedSlashes: boolean
  /** Returns whether a scrape of this port is answered. */
  readonly mayScrape: (request: IncomingMessage, clientOrigin: Snapshot['clientOrigin']) => boolean
  readonly shedder: LoadShedder
  readonly limits: RequestLimits
  readonly clientOrigin: (request: IncomingMessage) => ClientOrigin
  /** Returns whether the caller's trace is continued. */
  readonly continuesTrace: (request: IncomingMessage) => boolean
  /** Resources by kind and what they were created from. */
  readonly resources: ReadonlyMap<string, Resource>
}

/** A route with its stages. */
export type StagedRoute = Omit<Route, keyof Staging> &
  Staging & {
    readonly config: RouteConfig
    /** Resources that its stages use. */
    readonly resources: ReadonlySet<Resource>
  }

/** What the exchange of a route becomes once the variant of its split is chosen. */
export type VariantRoute = Route & Pick<StagedRoute, 'resources'>

/** Stages and hooks of a route's policies (`policies/collect-hooks.ts`). */
export type Staging = Pick<RouteHooks, 'stages' | 'preflight' | 'limiters'> &
  Partial<Pick<RouteHooks, 'hooks' | 'requestEdits' | 'responseEdits' | 'errorPage' | 'accessLog' | 'refusals'>> & {
    /** Routes of the variants of a split. */
    readonly variants?: readonly VariantRoute[]
  }

export interface SnapshotOptions {
  readonly config: GatewayConfig
  /** Snapshot whose unchanged resources are reused. */
  readonly previous: Snapshot | undefined
  readonly log: Logger
  /** Connects targets with those of other processes. */
  readonly targetExchange?: TargetExchange | undefined
  /** Builds the stages of a route from the resources that it uses. */
  readonly stagesOf: (route: Route, resources: RouteResources, reuseOrCreate: ReuseOrCreate) => Staging
  readonly entrypointStagesOf?: (
    entrypoint: EntrypointConfig,
    resources: {
      readonly consumers: Consumers
      readonly files: ConfigFiles
      readonly reuseOrCreate: ReuseOrCreate
      readonly findUpstream: FindUpstream
    },
  ) => Pick<Snapshot, 'arrivalStages' | 'ownStages' | 'mayScrape'>
}

/** Inputs of a route's stages, besides resources that they reuse or create. */
export interface RouteResources {
  /** Undefined if the route itself answers, or if a policy chooses the upstream. */
  readonly upstream: Upstream | undefined
  /** Resources that the route uses; complete once its stages are built. */
  readonly used: ReadonlySet<Resource>
  readonly consumers: Consumers
  readonly entrypoint: EntrypointConfig
  readonly config: RouteConfig
  /** Contents of the files that the configuration names. */
  readonly files: ConfigFiles
  /** Returns an upstream of the file, or one that a policy names by URL. */
  readonly findUpstream: FindUpstream
}

type FindUpstream = (named: string | UpstreamConfig) => Upstream

const NO_STAGES = { ownStages: [], arrivalStages: [], mayScrape: () => false }

/** Builds a snapshot. @throws if a resource cannot be created; resources created so far are closed then */
export function createSnapshot(options: SnapshotOptions): Snapshot {
  const { config, previous, log, stagesOf, entrypointStagesOf } = options
  const resources = new Map<string, Resource>()
  const reuseOrCreate: ReuseOrCreate = <P extends Resource>(kind: string, from: unknown, make: () => P) => {
    const key = `${kind} ${JSON.stringify(from)}`
    const resource = (resources.get(key) ?? previous?.resources.get(key) ?? make()) as P
    resources.set(key, resource)
    return resource
  }
  const consumers = new Consumers(config.consumers)
  const upstreams = new Map<string, Upstream>()
  const addUpstream = (upstream: UpstreamConfig): Upstream => {
    const added = takeUpstream(upstream, reuseOrCreate, options)
    upstreams.set(upstream.name, added)
    return added
  }
  const findUpstream: FindUpstream = named => {
    const upstream = upstreams.get(typeof named === 'string' ? named : named.name)
    if (upstream !== undefined) return upstream
    if (typeof named === 'string') throw new Error(`there is no upstream ${named}`) // the check of the file finds it first
    return addUpstream(named)
  }
  const stageRoute = (routeConfig: RouteConfig): StagedRoute => {
    const route = toRoute(routeConfig)
    const used = new Set<Resource>()
    const findNoted: FindUpstream = named => {
      const found = findUpstream(named)
      for (const resource of [found, ...found.targets]) used.add(resource)
      return found
    }
    const upstream = routeConfig.upstream === undefined ? undefined : findNoted(routeConfig.upstream)
    const reuseNoted: ReuseOrCreate = (...request) => {
      const resource = reuseOrCreate(...request)
      used.add(resource)
      return resource
    }
    const { entrypoint, files } = config
    return {
      ...route,
      ...stagesOf(
        route,
        {
          upstream,
          findUpstream: findNoted,
          used,
          consumers,
          entrypoint,
          config: routeConfig,
          files,
        },
        reuseNoted,
      ),
      config: routeConfig,
      resources: used,
    }
  }
  try {
    for (const upstream of config.upstreams) addUpstream(upstream)
    const routes = config.routes.map(stageRoute)
    return {
      config,
      upstreams: [...upstreams.values()],
      routes,
      table: new RouteTable(routes),
      requestId: config.entrypoint.requestId,
      errorAnswers: errorAnswersOf(config),
      accessLog: config.entrypoint.accessLog,
      takesEncodedSlashes: routes.some(route => route.config.rawPath),
      mayTakeMetrics: routes.some(({ match: { path } }) => path === '/' || isMetricsPath(path)),
      ...(entrypointStagesOf?.(config.entrypoint, { consumers, files: config.files, reuseOrCreate, findUpstream }) ??
        NO_STAGES),
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

function errorAnswersOf({ entrypoint, files }: GatewayConfig): ErrorAnswers {
  const { errorPage, proxyStatus } = entrypoint
  return {
    page: errorPage === undefined ? undefined : parseErrorPage(files.read(errorPage).toString('utf8')),
    proxyName: proxyStatus,
  }
}

/**
 * Reuses or creates an upstream. Each target is a resource of its own, so it stays when other targets are added or
 * removed.
 */
function takeUpstream(
  config: UpstreamConfig,
  reuseOrCreate: ReuseOrCreate,
  { config: { files }, previous, log, targetExchange }: SnapshotOptions,
): Upstream {
  // Read by content: a certificate is renewed under the same path.
  const tls = readUpstreamTls(config.tls, files)
  const version = tls?.version
  const origins = previous?.config.upstreams
    .find(({ name }) => name === config.name)
    ?.targets.map(({ origin }) => origin)
  // If all targets are new, no other target can take requests until their health is known.
  const joinsOthers = config.targets.some(({ origin }) => origins?.includes(origin))
  const targets = settingsOfTargets(config).map(settings =>
    reuseOrCreate('target', [settings, version], () => {
      return new Target(settings, joinsOthers && origins?.includes(settings.origin) === false, tls, targetExchange)
    }),
  )
  return reuseOrCreate('upstream', [config, version], () => new Upstream(config, targets, log))
}

/** Returns the resources of `snapshot` that `other` does not share. */
export function resourcesOnlyIn(
  snapshot: Pick<Snapshot, 'resources'>,
  other: Pick<Snapshot, 'resources'> | undefined,
): Resource[] {
  const shared = new Set(other?.resources.values())
  return [...snapshot.resources.values()].filter(resource => !shared.has(resource))
}
