import type { IncomingMessage } from 'node:http'
import type { GatewayConfig, RouteConfig } from '../config/gateway-config'
import type { UpstreamConfig } from '../config/types'
import { editDistance } from '../config/nearest-name'
import { isMetricsPath, OWN_PATHS } from '../config/values/path-template'
import { NEEDS_RAW_PATH, WHOLE_SERVER } from '../exchange/request-target'
import { GatewayError } from '../errors/gateway-error'
import { REASONS, type Reason } from '../errors/reasons'
import type { Exchange, Stage } from '../exchange/exchange'
import { answerText, matchText, overloadText, textsAbout } from '../operations/route-wording'
import { shownRoute } from '../operations/shown-route'
import { Consumers } from '../policies/auth/consumers'
import { configOf } from '../policies/collect-hooks'
import { isPreflight } from '../policies/cors/cors'
import { isPolicy, type InternalHooks, type PolicyResources, type RegistryEntry } from '../policies/define-policy'
import { policiesOf } from '../policies/policies-of'
import { foreseenVariant, type SplitConfig } from '../policies/split/choose-variant'
import { shareText } from '../policies/split/policy'
import { toRoute, type Route } from '../routing/route'
import { MethodNotAllowed, RouteTable } from '../routing/route-table'
import { precedence } from '../routing/specificity'
import type { Resource } from '../runtime/resources'
import { createLogger } from '../telemetry/logger'
import type { Forwarding } from '../upstream/forward'
import type { Arrival, TypedRequest } from './simulated-request'
import { upstreamOf, upstreamText } from './wording'

/** One line of the explanation: a subject and a text about it. */
export type Line = readonly [subject: string, text: string]

interface ConfiguredRoute extends Route {
  readonly config: RouteConfig
}

const NEAREST = 3
const ASKED_METHOD = 'access-control-request-method'

/** Explains what the gateway would do with a request, and why. */
export async function explain(config: GatewayConfig, typed: TypedRequest, arrival: Arrival): Promise<Line[]> {
  if ('neverARequest' in arrival) return [refusal(arrival.neverARequest, 'it is not a valid HTTP request')]
  const { exchange, refusal: refused, request } = arrival
  if (refused !== undefined) return [refusalOf(refused)]
  const received = receivedLines(typed, exchange)
  if (exchange.path === WHOLE_SERVER) return [...received, ownLine(exchange)]
  const routes = config.routes.map(route => ({ ...toRoute(route), config: route }))
  const asked = isPreflight(request) ? matchIn(routes, request, exchange, request.headers[ASKED_METHOD]) : undefined
  if (asked !== undefined && !(asked instanceof MethodNotAllowed) && asked.config.cors) {
    return [...received, routeLine(asked), ...(await preflightLines(config, asked, exchange))]
  }
  const route = matchIn(routes, request, exchange)
  if (exchange.hasEncodedSlash && !(route && 'config' in route && route.config.rawPath)) {
    return [...received, refusal('bad_request', NEEDS_RAW_PATH)]
  }
  const isOwn =
    OWN_PATHS.includes(exchange.path) && (route === undefined || /^(?:GET|HEAD)$/.test(request.method ?? ''))
  if (isOwn && (route === undefined || route instanceof MethodNotAllowed)) return [...received, ownLine(exchange)]
  if (route === undefined && isMetricsPath(exchange.path)) {
    return [...received, refusal('no_route', 'a route takes it by the path / or /metrics, not by a parameter')]
  }
  if (route === undefined) return [...received, refusal('no_route'), ...nearestLines(routes, exchange)]
  if (route instanceof MethodNotAllowed) {
    return [
      ...received,
      refusal('method_not_allowed', `allowed here: ${route.allowed.join(', ')}`),
      ...othersLines(routes, undefined, request, exchange),
    ]
  }
  return [
    ...received,
    routeLine(route),
    ...othersLines(routes, route, request, exchange),
    ...(await stageLines(config, route, exchange)),
  ]
}

function ownLine({ path }: Exchange): Line {
  return ['answer', `the gateway answers ${path} itself${path === WHOLE_SERVER ? '' : ': no route takes it'}`]
}

function refusal(reason: Reason, why?: string): Line {
  const { status, title } = REASONS[reason]
  return ['answer', `${status} ${title} (${reason})${why === undefined ? '' : `: ${why}`}`]
}

function refusalOf(refused: GatewayError): Line {
  return refusal(refused.reason, causeOf(refused))
}

function causeOf({ cause }: GatewayError): string | undefined {
  if (typeof cause === 'string') return cause
  return cause instanceof Error ? cause.message : undefined
}

function receivedLines(
  { target }: TypedRequest,
  { path, query, host, clientAddress, peerIsTrusted }: Exchange,
): Line[] {
  const isAsItCame = path + query === target
  return [
    ['path', isAsItCame ? path : `${path}${query}, normalised from ${target}`],
    ['host', host === '' ? 'none' : host],
    [
      'client',
      `${clientAddress === '' ? 'unknown' : clientAddress}${peerIsTrusted ? ', reported by the trusted proxy' : ''}`,
    ],
  ]
}

function matchIn(
  routes: readonly ConfiguredRoute[],
  request: IncomingMessage,
  { host, path }: Exchange,
  method = request.method ?? 'GET',
): ConfiguredRoute | MethodNotAllowed | undefined {
  return new RouteTable(routes).match(method, host, path, request)
}

function routeLine(route: ConfiguredRoute): Line {
  return ['route', nameAndMatch(route)]
}

function nameAndMatch({ name, config }: ConfiguredRoute): string {
  return `${name}: ${matchText(shownRoute(config, undefined, []))}`
}

/** The other matching routes with the reason why they rank lower, and those that would match with another method. */
function othersLines(
  routes: readonly ConfiguredRoute[],
  chosen: ConfiguredRoute | undefined,
  request: IncomingMessage,
  exchange: Exchange,
): Line[] {
  return routes
    .filter(route => route !== chosen)
    .flatMap((route): Line[] => {
      const alone = matchIn([route], request, exchange)
      if (alone === undefined) return []
      const name = nameAndMatch(route)
      if (alone instanceof MethodNotAllowed) return [['not', `${name}, which allows other methods`]]
      const why = chosen === undefined ? '' : `; ${precedence(chosen.config.match, route.config.match).why}`
      return [['not', `${name}, which also matches${why}`]]
    })
}

/** Suggestions for a path that matches no route. */
function nearestLines(routes: readonly ConfiguredRoute[], { host, path }: Exchange): Line[] {
  const distance = ({ config: { match } }: ConfiguredRoute): number =>
    editDistance(path.slice(0, match.path.length), match.path) +
    (match.host === undefined ? 0 : editDistance(host, match.host))
  return routes
    .toSorted((a, b) => distance(a) - distance(b))
    .slice(0, NEAREST)
    .map(route => ['nearest', nameAndMatch(route)])
}

/** The response to a CORS preflight for a request of this route. */
async function preflightLines(config: GatewayConfig, route: ConfiguredRoute, exchange: Exchange): Promise<Line[]> {
  const lines: Line[] = []
  for (const entry of policiesOf(config)) {
    const seen = await lookThrough(entry, { config, route, exchange }, hooks => {
      // A policy without a preflight hook is run on the request itself, if it can answer preflights.
      return hooks.onPreflight ?? (hooks.answerPreflight && hooks.onRequest)
    })
    if (seen.refused !== undefined) return [...lines, refusalOf(seen.refused)]
    if (seen.hooks?.answerPreflight) lines.push(...seen.lines)
  }
  return [...lines, ['answer', '204 to the preflight request']]
}

/** The policies that a request of this route passes, in order, up to a refusal. */
async function stageLines(config: GatewayConfig, route: ConfiguredRoute, exchange: Exchange): Promise<Line[]> {
  const lines: Line[] = []
  const forwarding: Partial<Forwarding>[] = []
  for (const entry of policiesOf(config)) {
    const {
      hooks,
      refused,
      lines: added,
    } = await lookThrough(entry, { config, route, exchange }, hooks => hooks.onRequest)
    lines.push(...added)
    if (refused !== undefined) return [...lines, refusalOf(refused)]
    forwarding.push(hooks?.forwarding ?? {})
  }
  const upstream = upstreamOf(config, route.config)
  const shown = shownRoute(route.config, upstream, policiesOf(config))
  lines.push(...inheritedLines(config, route.config))
  const withoutSubject = { ...shown, lines: shown.lines.filter(({ subject }) => subject === undefined) }
  const overload = overloadText(config.entrypoint.overload)
  const conditions = textsAbout(withoutSubject, 'clients', 'size', 'changes', 'upgrades', 'calls')
  lines.push(...[...conditions, ...(overload ? [overload] : [])].map((text): Line => ['and', text]))
  const { split } = route.config
  if (upstream === undefined && split === undefined) return [...lines, ['answer', answerText(shown) ?? '']]
  const rewritten = rewrittenPath(exchange, Object.assign({}, ...forwarding) as Partial<Forwarding>)
  if (rewritten instanceof GatewayError) return [...lines, refusalOf(rewritten)]
  const path = rewritten + exchange.query
  const how = (route.config.rawPath ? ', as it came' : '') + (exchange.upgrade === undefined ? '' : ' as a WebSocket')
  return [
    ...lines,
    ['forward', `${exchange.request.method} ${path}${how}`],
    ...(upstream === undefined ? [] : [upstreamLine(upstream)]),
    ...(split === undefined ? [] : variantLines(config, split, exchange)),
  ]
}

/** Where the inherited keys of the route and of its upstream come from. */
function inheritedLines({ inherited }: GatewayConfig, { name, upstream = '' }: RouteConfig): Line[] {
  const lines = (keys: Readonly<Record<string, string>> = {}, prefix = ''): Line[] =>
    Object.entries(keys).map(([key, origin]) => ['from', `${prefix}${key}: ${origin}`])
  return [...lines(inherited.routes[name]), ...lines(inherited.upstreams[upstream], `upstream ${upstream}, `)]
}

function upstreamLine(upstream: UpstreamConfig): Line {
  return ['to', `${upstream.name}: ${upstreamText(upstream)}`]
}

/** The variant that the request gets, or all that it may get if it would be drawn. */
function variantLines(config: GatewayConfig, split: SplitConfig, exchange: Exchange): Line[] {
  const foreseen = foreseenVariant(split, exchange)
  const possible = foreseen === undefined ? split.variants.filter(({ weight }) => weight > 0) : [foreseen.variant]
  return possible.flatMap(({ name, upstream, weight }): Line[] => {
    const why = foreseen?.why ?? shareText({ weight }, split.variants)
    const found = config.upstreams.find(other => other.name === upstream)
    return [['variant', `${name}, ${why}`], ...(found ? [upstreamLine(found)] : [])]
  })
}

function rewrittenPath(exchange: Exchange, forwarding: Partial<Forwarding>): string | GatewayError {
  const path = forwarding.rawPath ? exchange.rawPath : exchange.path
  try {
    return forwarding.rewritePath?.(path) ?? path
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
}

interface Simulation {
  readonly config: GatewayConfig
  readonly route: ConfiguredRoute
  readonly exchange: Exchange
}

interface Simulated {
  readonly hooks: InternalHooks | undefined
  readonly refused: GatewayError | undefined
  /** Lines with a subject of their own. */
  readonly lines: readonly Line[]
}

/** Runs one policy on the request, unless that would count it, call other services or answer it. */
async function lookThrough(
  entry: RegistryEntry,
  { config, route, exchange }: Simulation,
  choose: (hooks: InternalHooks) => Stage | undefined,
): Promise<Simulated> {
  const configured = configOf(entry, route.config)
  if (configured === undefined) return { hooks: undefined, refused: undefined, lines: [] }
  const opened: Resource[] = []
  const isRun = !entry.hasSideEffects && !(isPolicy(entry) && entry.answers)
  const hooks = isRun ? entry.create(configured.value, simulatedResources(config, route, opened)) : undefined
  const stage = hooks && choose(hooks)
  const refused = stage && (await refusalBy(stage, exchange))
  for (const resource of opened) void resource.close()
  const note = isPolicy(entry) ? entry.explain(configured.value, exchange) : ''
  const described = entry.describe(configured.value).filter(({ subject }) => subject !== undefined)
  return {
    hooks,
    refused,
    lines: described.map(({ subject = '', text }, i): Line => [subject, i === 0 ? `${text}${note}` : text]),
  }
}

function simulatedResources(config: GatewayConfig, route: ConfiguredRoute, opened: Resource[]): PolicyResources {
  return {
    route,
    hasUpstream: route.config.upstream !== undefined || route.config.split !== undefined,
    consumers: new Consumers(config.consumers),
    files: config.files,
    replicas: 1,
    redis: undefined,
    log: createLogger('silent').log,
    // Created only when needed, so that no other service is contacted without need.
    reuseOrCreate: (_kind, _from, make) => lazily(make, opened),
    findUpstream: callNobody,
    callAside: callNobody,
    forwardsRawPath: route.config.rawPath,
    onAuthenticated: () => {},
  }
}

function callNobody(): never {
  throw new Error('explain calls no other service')
}

/** A proxy that creates the resource when one of its properties is first read. */
function lazily<R extends Resource>(make: () => R, opened: Resource[]): R {
  let made: R | undefined
  return new Proxy({} as R, {
    get(_target, property) {
      if (made === undefined) opened.push((made = make()))
      return made[property as keyof R]
    },
  })
}

async function refusalBy(stage: Stage, exchange: Exchange): Promise<GatewayError | undefined> {
  try {
    await stage(exchange)
    return undefined
  } catch (error) {
    if (error instanceof GatewayError) return error
    throw error
  }
}
