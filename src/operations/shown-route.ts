import type { AccessConfig } from '../policies/access/schema'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config'
import type { UpstreamConfig } from '../config/types'
import { sourceText } from '../config/values/target-source'
import { linesOf } from '../policies/collect-hooks'
import type { CorsConfig } from '../policies/cors/schema'
import type { Line, RegistryEntry } from '../policies/define-policy'
import type { RateLimitPolicy } from '../policies/rate-limit/schema'
import { policiesOf } from '../policies/policies-of'

/** Public description of a route, without secrets. Durations are in milliseconds. */
export interface ShownRoute {
  readonly name: string
  /** Null: any. */
  readonly host: string | null
  readonly methods: readonly string[] | null
  /** A prefix, segment by segment, unless it is `exact`. */
  readonly path: string
  readonly exact: boolean
  /** A regular expression that the whole path matches; null: none. */
  readonly pattern: string | null
  readonly ignoreCase: boolean
  /** Fields that must be there with exactly this value. */
  readonly headers: Readonly<Record<string, string>>
  /** Null for a local reply and for a split. */
  readonly upstream: string | null
  /** The variants of a split; null: there is one upstream, or none. */
  readonly split: ShownSplit | null
  readonly targets: readonly string[]
  /** The `Host` that targets receive: `target`, `client`, or a name. */
  readonly hostSent: string | null
  /** Local reply instead of an upstream: a redirect, or a fixed status. */
  readonly redirect: { readonly to: string; readonly status: number } | null
  readonly respond: { readonly status: number; readonly bodyBytes: number } | null
  /** Whether all requests are refused for maintenance. */
  readonly maintenance: boolean
  readonly rewrite: { readonly stripPrefix?: string; readonly addPrefix?: string; readonly path?: string }
  /** Names of the fields that are edited, without their values: these may be credentials. */
  /** Whether the path is forwarded exactly as received. */
  readonly rawPath: boolean
  readonly semicolons: RouteConfig['semicolons']
  readonly requestHeaders: ShownEdits
  readonly responseHeaders: ShownEdits
  /** Addresses and CIDR blocks, list after list: each must let a client in. */
  readonly access: readonly AccessConfig[]
  /** Null: no authentication. */
  readonly auth: ShownAuth | null
  /** Null: the upstream handles CORS. */
  readonly cors: ShownCors | null
  /** Null: refused. Otherwise the idle timeout. */
  readonly webSocket: { readonly idleMs: number } | null
  /** The route's own, else its upstream's; null: none. */
  readonly timeouts: {
    readonly connectMs: number | null
    readonly responseMs: number | null
    readonly idleMs: number | null
    readonly totalMs: number | null
  }
  /** Which requests may be retried. */
  readonly retry: RouteConfig['retry']
  /** Maximum calls for one request; 1 without retries. */
  readonly attempts: number
  /** Maximum bytes of a request body; null: no limit. */
  readonly maxBodyBytes: number | null
  /** Minimum upload rate in bytes per second; 0: no minimum. */
  readonly minUploadRate: number
  readonly rateLimits: readonly ShownLimit[]
  /** Descriptions of its policies, in the order in which they run. */
  readonly lines: readonly Line[]
}

export interface ShownSplit {
  readonly stickyBy: 'cookie' | 'client' | 'none'
  readonly variants: readonly {
    readonly name: string
    readonly upstream: string
    readonly targets: readonly string[]
    readonly weight: number
    /** Header fields and cookies, each of which selects the variant. Without values: a value may be a secret. */
    readonly match: { readonly headers: readonly string[]; readonly cookies: readonly string[] } | null
  }[]
}

export interface ShownEdits {
  readonly set: readonly string[]
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

/** Authentication: one of the credentials is required, with all of the scopes, and the external authorizer must allow it. */
export interface ShownAuth {
  readonly apiKeyHeader: string | null
  /** The tokens of the file, by name. */
  readonly tokens: string | null
  /** Whether users and passwords are accepted. */
  readonly basic: boolean
  /** The external authorizer: an upstream by name, or an origin. Null: none. */
  readonly external: string | null
  /** Whether a client certificate is accepted. */
  readonly certificate: boolean
  readonly scopes: readonly string[]
}

export interface ShownCors extends Pick<CorsConfig, 'origins' | 'exposeHeaders' | 'credentials'> {
  /** Null: those of the route. */
  readonly methods: readonly string[] | null
  /** Null: all that are asked for. */
  readonly headers: readonly string[] | null
  readonly maxAgeSeconds: number | null
}

export interface ShownLimit extends Pick<
  RateLimitPolicy,
  'limit' | 'tiers' | 'windowMs' | 'algorithm' | 'dryRun' | 'key'
> {
  readonly policy: string
  readonly onStoreFailure: RateLimitPolicy['onStoreFailure']
  /** Clients that are not limited. */
  readonly bypass: readonly string[]
}

/** Returns the active route table, in the order of the file. */
export function shownRoutes(config: GatewayConfig): ShownRoute[] {
  const { routes, upstreams } = config
  const byName = new Map(upstreams.map(upstream => [upstream.name, upstream]))
  const targetsOf = (name: string): string[] => shownTargets(byName.get(name))
  return routes.map(route => ({
    ...shownRoute(route, byName.get(route.upstream ?? ''), policiesOf(config)),
    split: shownSplit(route, targetsOf),
  }))
}

/** The targets that are written, and the sources of others. */
function shownTargets(upstream: UpstreamConfig | undefined): string[] {
  const written = (upstream?.targets ?? []).map(({ origin }) => origin)
  return [...written, ...(upstream?.discovery?.sources ?? []).map(sourceText)]
}

/**
 * @param upstream the one of the route, if it has one
 * @param policies those that the file may use
 */
export function shownRoute(
  route: RouteConfig,
  upstream: UpstreamConfig | undefined,
  policies: readonly RegistryEntry[],
): ShownRoute {
  const { responseMs, idleMs, totalMs } = { ...upstream?.timeouts, ...route.timeouts }
  return {
    name: route.name,
    host: route.match.host ?? null,
    methods: route.match.methods ?? null,
    path: route.match.path,
    exact: route.match.exact,
    pattern: route.match.pattern ?? null,
    ignoreCase: route.match.ignoreCase ?? false,
    headers: Object.fromEntries(route.match.headers.map(({ name, value }) => [name, value])),
    upstream: upstream?.name ?? null,
    split: shownSplit(route, () => []),
    targets: shownTargets(upstream),
    hostSent: upstream === undefined ? null : (route.host ?? upstream.host ?? 'target'),
    redirect: shownRedirect(route),
    respond: shownRespond(route),
    maintenance: route.maintenance !== undefined,
    rewrite: shownRewrite(route),
    rawPath: route.rawPath,
    semicolons: route.semicolons,
    requestHeaders: shownEdits(route.requestHeaders),
    responseHeaders: shownEdits(route.responseHeaders),
    access: route.access.map(({ allow, deny, certificates }) => ({ allow, deny, certificates })),
    auth: shownAuth(route),
    cors: shownCors(route),
    webSocket: route.websocket ? { idleMs: route.websocket.idleTimeoutMs } : null,
    timeouts: {
      connectMs: upstream?.timeouts.connectMs ?? null,
      responseMs: responseMs ?? null,
      idleMs: idleMs ?? responseMs ?? null,
      totalMs: totalMs ?? null,
    },
    retry: route.retry,
    attempts: attempts(route, upstream?.retries?.attempts),
    maxBodyBytes: route.maxBodySize ?? null,
    minUploadRate: route.minUploadRate,
    rateLimits: route.rateLimit.map(shownLimit),
    lines: linesOf(policies, route),
  }
}

function shownSplit({ split }: RouteConfig, targetsOf: (upstream: string) => string[]): ShownSplit | null {
  if (split === undefined) return null
  const variants = split.variants.map(({ name, upstream, weight, match }) => ({
    name,
    upstream,
    targets: targetsOf(upstream),
    weight,
    match: match === undefined ? null : { headers: namesIn(match.headers), cookies: namesIn(match.cookies) },
  }))
  return { stickyBy: split.stickyBy, variants }
}

function namesIn(fields: readonly { readonly name: string }[]): string[] {
  return fields.map(({ name }) => name)
}

/** As the file has it. */
function shownRedirect({ redirect }: RouteConfig): ShownRoute['redirect'] {
  return redirect ? { to: `${redirect.to}${redirect.keepsRest ? '/*' : ''}`, status: redirect.status } : null
}

/** Omits the body, which may be long. */
function shownRespond({ respond }: RouteConfig): ShownRoute['respond'] {
  return respond ? { status: respond.status, bodyBytes: Buffer.byteLength(respond.body ?? '') } : null
}

function shownRewrite({ rewrite: { stripPrefix, addPrefix, path } }: RouteConfig): ShownRoute['rewrite'] {
  return {
    ...(stripPrefix !== undefined && { stripPrefix }),
    ...(addPrefix !== undefined && { addPrefix }),
    ...(path !== undefined && { path }),
  }
}

function shownEdits(edits: RouteConfig['requestHeaders']): ShownEdits {
  return { set: namesIn(edits?.set ?? []), add: namesIn(edits?.add ?? []), remove: edits?.remove ?? [] }
}

function shownAuth({ auth }: RouteConfig): ShownAuth | null {
  if (auth === undefined) return null
  return {
    apiKeyHeader: auth.apiKey?.header ?? null,
    tokens: auth.jwt?.tokens.map(({ name }) => name).join(', ') ?? null,
    basic: auth.basic !== undefined,
    external: externalOf(auth),
    certificate: auth.certificate,
    scopes: auth.scopes,
  }
}

function externalOf({ external }: NonNullable<RouteConfig['auth']>): string | null {
  if (external === undefined) return null
  return typeof external.upstream === 'string' ? external.upstream : (external.upstream.targets[0]?.origin ?? null)
}

function shownCors({ cors }: RouteConfig): ShownCors | null {
  if (cors === undefined) return null
  const { origins, methods = null, headers = null, exposeHeaders, credentials, maxAgeSeconds = null } = cors
  return { origins, methods, headers, exposeHeaders, credentials, maxAgeSeconds }
}

function attempts({ retry }: RouteConfig, upstreamAttempts = 1): number {
  return retry === 'never' ? 1 : upstreamAttempts
}

function shownLimit({
  name,
  limit,
  tiers,
  windowMs,
  algorithm,
  dryRun,
  key,
  onStoreFailure,
  bypass,
}: RateLimitPolicy): ShownLimit {
  return { policy: name, limit, tiers, windowMs, algorithm, key, bypass, dryRun, onStoreFailure }
}
