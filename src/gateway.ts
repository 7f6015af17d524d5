import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express'
import { isNear } from './access/access'
import { createAccessCheck } from './access/access-check'
import type { GatewayConfig } from './config/gateway-config'
import type { EntrypointConfig } from './config/types'
import { OWN_PATHS } from './config/values/path-template'
import { expressMessages, type MessageClasses } from './entrypoint/express-messages'
import type { Http2Options } from './entrypoint/http2'
import { http2Messages } from './entrypoint/http2-messages'
import { takeNoMore } from './entrypoint/lingering-close'
import { receive, type ReceiveOptions } from './entrypoint/receive'
import { ALLOWED_METHODS } from './entrypoint/request-faults'
import { watchForResets } from './entrypoint/reset-connections'
import { WebSocketsPerClient } from './entrypoint/websockets-per-client'
import { hostNameOf, NEEDS_RAW_PATH, WHOLE_SERVER } from './exchange/request-target'
import { handleError, rejectEarly } from './errors/error-handler'
import { GatewayError } from './errors/gateway-error'
import type { Reason } from './errors/reasons'
import { ANSWERED, type Exchange, type Stage } from './exchange/exchange'
import { InFlight } from './exchange/in-flight'
import { addRequestId } from './exchange/request-id'
import { sendLocalReply } from './exchange/local-reply'
import type { Observer } from './observe/observer'
import { createCertificateCheck } from './policies/access/policy'
import { collectHooks } from './policies/collect-hooks'
import { isPreflight } from './policies/cors/cors'
import type { PolicyResources, RegistryEntry } from './policies/define-policy'
import type { ChooseVariant } from './policies/split/choose-variant'
import type { PolicyOffenders } from './policies/rate-limit/offenders'
import { policiesOf } from './policies/policies-of'
import { VERSION } from './process/version'
import type { RedisConnection } from './redis/connection'
import { toRoute, type Route } from './routing/route'
import { MethodNotAllowed } from './routing/route-table'
import type { ReuseOrCreate } from './runtime/resources'
import { RetiredResources } from './runtime/retired-resources'
import { UpstreamCertificates } from './runtime/upstream-certificates'
import {
  createSnapshot,
  resourcesOnlyIn,
  type RouteResources,
  type Snapshot,
  type StagedRoute,
  type Staging,
  type VariantRoute,
} from './runtime/snapshot'
import type { Logger } from './telemetry/logger'
import { forward } from './upstream/forward'
import { Mirror, type MirrorConfig } from './upstream/mirror'
import { callAside, type CallAside } from './upstream/side-call'
import { TargetDiscovery } from './runtime/target-discovery'
import type { TargetExchange } from './upstream/target-news'
import { createFieldRules } from './upstream/request-headers'
import type { Upstream, UpstreamState } from './upstream/upstream'

export interface GatewayOptions {
  readonly config: GatewayConfig
  readonly replicas: number
  readonly redis: RedisConnection | undefined
  readonly log: Logger
  readonly observer: Observer
  /** Answers a scrape. */
  readonly scrape: RequestListener
  readonly mayScrape: (request: IncomingMessage) => boolean
  readonly isDraining: () => boolean
  /** Connects upstreams with those of other workers. */
  readonly targetExchange?: TargetExchange | undefined
  /** Policies that routes may use. Default: those of the registry and of the file; tests pass their own. */
  readonly policies?: readonly RegistryEntry[]
  /** How often the certificate files of upstreams are checked. */
  readonly lookEveryMs?: number
}

export interface Gateway {
  readonly handle: RequestListener
  /** Request and response classes for the server that calls `handle`. */
  readonly messages: MessageClasses
  /** Handler of a port that redirects http to https; the same message classes. */
  readonly redirectHttp: RequestListener
  /** Handler and message classes for HTTP/2. */
  readonly http2: Pick<Http2Options, 'handle' | 'messages' | 'isDraining'>
  /** Ends an exchange whose request body turned out to be malformed or too slow. */
  readonly failRequest: (response: ServerResponse, reason: Reason) => void
  /** Aborts all exchanges in flight: the time to drain is over. */
  readonly abortAll: () => void
  /** Clients that exceed rate limits, per policy. */
  readonly offenders: () => PolicyOffenders[]
  /** State of each upstream and its targets. */
  readonly upstreams: () => UpstreamState[]
  /** Number of exchanges in flight. */
  readonly inFlight: () => number
  /**
   * Waits for the first answers of sources of targets that a configuration names, for at most two seconds. Optional: without
   * it, an upstream may have no targets at first.
   */
  readonly prepare: (config: GatewayConfig) => Promise<void>
  /**
   * Makes another configuration the active one. New requests use it; exchanges in flight finish with the configuration they
   * started with. Resources that both have in common are kept: pools, health, counts.
   *
   * @throws when the snapshot cannot be built; the active configuration stays
   */
  readonly reload: (config: GatewayConfig) => void
  /** Closes all resources. Call it when no exchange is in flight, or after `abortAll`. */
  close(): Promise<void>
}

/**
 * Creates the request pipeline: client → entrypoint → route → policies → upstream. Express is the outer shell; stages are
 * plain functions.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const discovery = new TargetDiscovery({ ...options, onChange: () => use(base) })
  /** The configuration as it was read; that of the snapshot has the discovered targets too. */
  let base = options.config
  const build = (config: GatewayConfig, previous: Snapshot | undefined): Snapshot => {
    const policies = options.policies ?? policiesOf(config)
    const snapshot = createSnapshot({
      config: discovery.applyTo(config),
      previous,
      log: options.log,
      targetExchange: options.targetExchange,
      stagesOf: (route, resources, reuseOrCreate) => stagesOf(route, resources, reuseOrCreate, policies, options),
      entrypointStagesOf: (entrypoint, resources) => entrypointStagesOf(entrypoint, resources, policies, options),
    })
    options.observer.announce(snapshot.routes.flatMap(route => [route, ...(route.variants ?? [])]))
    return snapshot
  }
  discovery.follow(base)
  const active: Active = { snapshot: build(options.config, undefined) }

  const app = createApp(options)
  // HTTP/2 has its own app: Express sets the prototypes of the app's messages on every message it handles.
  const http2App = createApp(options)
  const inFlight = new InFlight()
  const resets = watchForResets(() => inFlight.all())
  const entering = { ...options, webSockets: new WebSocketsPerClient() }
  const retired = new RetiredResources(() => inFlight.all())
  const use = (config: GatewayConfig): void => {
    const previous = active.snapshot
    active.snapshot = build(config, previous)
    base = config
    retired.add(resourcesOnlyIn(previous, active.snapshot))
  }
  const certificates = new UpstreamCertificates({ ...options, use })
  certificates.follow(options.config)
  return {
    handle: enter(app, active, inFlight, entering),
    messages: expressMessages(app),
    redirectHttp: enter(redirectToHttps(app), active, inFlight, { ...entering, scrape: undefined }),
    http2: {
      handle: enter(http2App, active, inFlight, entering),
      messages: http2Messages(http2App),
      isDraining: options.isDraining,
    },
    abortAll: () => {
      for (const exchange of inFlight.all()) handleError(exchange, new GatewayError('draining'))
    },
    failRequest: (response, reason) => {
      const exchange = exchangeOf(response)
      if (exchange) handleError(exchange, new GatewayError(reason))
      // A scrape with a body: it has no exchange to fail.
      else response.destroy()
    },
    offenders: () => active.snapshot.routes.flatMap(({ limiters }) => limiters.flatMap(limiter => limiter.offenders())),
    upstreams: () => active.snapshot.upstreams.map(upstream => describe(upstream, discovery)),
    inFlight: () => inFlight.size,
    prepare: config => discovery.prepare(config),
    reload: config => {
      use(config)
      discovery.follow(config)
      certificates.follow(config)
    },
    close: async () => {
      resets.stop()
      certificates.stop()
      discovery.stop()
      await Promise.all([
        retired.closeAll(),
        ...[...active.snapshot.resources.values()].map(async resource => resource.close()),
      ])
    },
  }
}

function describe(upstream: Upstream, discovery: TargetDiscovery): UpstreamState {
  const sources = discovery.stateOf(upstream.name)
  return { ...upstream.describe(), ...(sources && { sources }) }
}

/** Creates the Express app around the pipeline. */
function createApp(options: GatewayOptions): Express {
  const app = express()
  app.disable('x-powered-by') // would disclose the framework to every client
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', false)

  app.use(proxy(options)) // first: nearly every request is proxied
  app.get('/', about(options))
  app.get('/metrics', refuseScrape)
  app.all(['/', '/metrics'], refuseMethod)
  app.use(fail)
  return app
}

/** Holds the active snapshot, the only field that a reload changes. Each request reads it once, at its start. */
interface Active {
  snapshot: Snapshot
}

/** Stages of a route: its policies in the order of the registry, then the handler that answers. */
function stagesOf(
  route: Route,
  { config, upstream, findUpstream, used, entrypoint, consumers, files }: RouteResources,
  reuseOrCreate: ReuseOrCreate,
  policies: readonly RegistryEntry[],
  options: GatewayOptions,
): Staging {
  const hasUpstream = upstream !== undefined || config.split !== undefined
  const forwardsRawPath = config.rawPath
  const parts = { route, hasUpstream, findUpstream, consumers, files, reuseOrCreate, forwardsRawPath }
  const resources = resourcesOf(parts, options)
  const collected = collectHooks(policies, config, resources)
  if (!hasUpstream) return collected
  const toForward = {
    telemetry: options.observer.forwarded,
    forwarding: collected.forwarding,
    fieldRules: createFieldRules(entrypoint),
    clientStallMs: entrypoint.stallTimeoutMs,
    minDownloadRate: entrypoint.minDownloadRate,
    responseBuffer: entrypoint.responseBuffer,
    onFailure: handleError,
    mirror: collected.mirror && createMirror(route, collected.mirror, findUpstream, reuseOrCreate),
  }
  if (upstream !== undefined) {
    return { ...collected, stages: [...collected.stages, forward({ ...toForward, upstream })] }
  }
  const variants = (config.split?.variants ?? []).map(
    ({ name, upstream: upstreamName, weight }, index): VariantRoute => {
      const share = { weight, isStable: index === 0 }
      return { ...route, ...collected, upstreamName, variant: name, share, resources: used }
    },
  )
  const stage = splitRequests(
    collected.chooseVariant as ChooseVariant,
    variants.map(variant => ({
      route: variant,
      forward: forward({ ...toForward, upstream: findUpstream(variant.upstreamName as string) }),
    })),
    options.observer,
  )
  return { ...collected, stages: [...collected.stages, stage], variants }
}

/** Part of the key of each mirror: none is reused after a reload, because it calls the targets of one snapshot. */
let mirrors = 0

function createMirror(
  { template }: Route,
  config: MirrorConfig,
  findUpstream: RouteResources['findUpstream'],
  reuseOrCreate: ReuseOrCreate,
): Mirror {
  return reuseOrCreate('mirror', ++mirrors, () => new Mirror(template, findUpstream(config.upstream), config))
}

/** Creates the last stage of a route with `split`: the exchange gets the route of its variant, whose upstream is called. */
function splitRequests(
  chooseVariant: ChooseVariant,
  variants: readonly { readonly route: VariantRoute; readonly forward: Stage }[],
  observer: Observer,
): Stage {
  return function splitRequest(exchange) {
    const { route, forward: forwardToVariant } = variants[chooseVariant(exchange)] as (typeof variants)[number]
    exchange.route = route
    observer.varied(exchange, route)
    return forwardToVariant(exchange)
  }
}

type RouteParts = Pick<
  PolicyResources,
  'route' | 'hasUpstream' | 'findUpstream' | 'consumers' | 'files' | 'reuseOrCreate' | 'forwardsRawPath'
>

function resourcesOf(parts: RouteParts, { replicas, redis, log, observer }: GatewayOptions): PolicyResources {
  const onAuthenticated = (exchange: Exchange): void => observer.authenticated(exchange)
  const callAsideObserved: CallAside = (exchange, call) => callAside(exchange, call, observer.forwarded)
  return { ...parts, replicas, redis, log, callAside: callAsideObserved, onAuthenticated }
}

/** Stages that every request passes before routing, and the stages of the gateway's own page. */
function entrypointStagesOf(
  entrypoint: EntrypointConfig,
  parts: Pick<RouteParts, 'consumers' | 'files' | 'reuseOrCreate' | 'findUpstream'>,
  policies: readonly RegistryEntry[],
  options: GatewayOptions,
): Pick<Snapshot, 'arrivalStages' | 'ownStages' | 'mayScrape'> {
  const ofAbout = { route: ABOUT, hasUpstream: false, forwardsRawPath: false }
  const resources = resourcesOf({ ...parts, ...ofAbout }, options)
  const ofEntrypoint = policies.filter(entry => 'under' in entry && entry.under === 'entrypoint')
  return {
    arrivalStages: collectHooks(ofEntrypoint, entrypoint, resources).arrivalStages,
    ownStages: collectHooks(policies, { access: [entrypoint.access ?? []].flat() }, resources).stages,
    mayScrape: mayScrapeOf(entrypoint, options.mayScrape),
  }
}

/** Returns the check for scrapes on this port. The entrypoint's access lists apply to them as to every other request. */
function mayScrapeOf(
  { access, metrics }: EntrypointConfig,
  mayScrape: GatewayOptions['mayScrape'],
): (request: IncomingMessage, clientOrigin: Snapshot['clientOrigin']) => boolean {
  if (!metrics) return () => false
  if (access === undefined) return mayScrape
  const isLetIn = createAccessCheck([access])
  const hasCertificate = createCertificateCheck([access]) ?? (() => true)
  return (request, clientOrigin) =>
    mayScrape(request) && isLetIn(clientOrigin(request).address) && hasCertificate(request)
}

interface EnterOptions extends Pick<GatewayOptions, 'observer' | 'isDraining'> {
  /** Undefined: a request for `/metrics` is like any other. */
  readonly scrape: RequestListener | undefined
  readonly webSockets: WebSocketsPerClient
}

/**
 * Creates the first handler, before Express: answers scrapes, sheds load, and turns every other request into an exchange
 * with its trace.
 */
function enter(app: RequestListener, active: Active, inFlight: InFlight, options: EnterOptions): RequestListener {
  const { observer, scrape, webSockets } = options
  const receiveOptions: ReceiveOptions = {
    isDraining: options.isDraining,
    observer,
    onClose: exchange => {
      inFlight.delete(exchange)
      observer.closed(exchange)
    },
  }
  return function enterGateway(request, response) {
    const { snapshot } = active
    // A scrape is not traffic: no span, no metric, no log line.
    if (scrape !== undefined && isScrape(request) && !takesScrape(snapshot, request)) {
      if (snapshot.mayScrape(request, snapshot.clientOrigin)) return scrape(request, response)
    }
    if (snapshot.shedder.rejects(inFlight.size)) {
      observer.rejected('shed')
      return rejectEarly(request, response, 'shed', {
        fields: ['Retry-After', String(snapshot.shedder.retryAfter())],
        closesConnection: options.isDraining(),
      })
    }
    // The trace context is not made active: Node would carry it through every callback of both connections, although few
    // need it. Code that needs it reads it from the exchange.
    const begun = observer.begin(request, snapshot.continuesTrace)
    const { exchange, refusal } = receive(request, response, begun, snapshot, receiveOptions)
    inFlight.add(exchange)
    ;(response as Response).locals = { exchange, snapshot }
    if (refusal) return handleError(exchange, refusal)
    if (exchange.upgrade !== undefined) {
      const cause = new Error('too many WebSockets of one client')
      if (!webSockets.admit(exchange, snapshot.config.entrypoint)) {
        return handleError(exchange, new GatewayError('limited', { cause }))
      }
      response.once('close', () => webSockets.release(exchange))
    }
    // Express gets the normalised path that the routes match. Otherwise `//metrics` would not be `/metrics`, and Express
    // would answer URLs that it cannot parse with its own error page.
    request.url = exchange.path + exchange.query
    if (snapshot.arrivalStages.length === 0) return app(request, response)
    void arrive(exchange, snapshot.arrivalStages, app)
  }
}

/** Path below which certificate authorities look up challenges, over http (RFC 8555 §8.3). */
const ACME_CHALLENGES = '/.well-known/acme-challenge/'

/**
 * Creates the handler that redirects to the same URL with https. 308 keeps method and body; for GET and HEAD, 301 is known to
 * more clients. Challenges of certificate authorities are routed.
 */
function redirectToHttps(app: RequestListener): RequestListener {
  return function redirectHttp(request, response) {
    const exchange = routedExchange(response as Response)
    const { config } = (response as Response).locals['snapshot'] as Snapshot
    const { path, query, host } = exchange
    if (path.startsWith(ACME_CHALLENGES)) return app(request, response)
    if (host === '') return handleError(exchange, new GatewayError('bad_request', { cause: new Error('no Host') }))
    const port = config.entrypoint.tls?.redirectHttp?.httpsPort ?? 443
    const location = `https://${host}${port === 443 ? '' : `:${port}`}${path === WHOLE_SERVER ? '/' : path}${query}`
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 308
    sendLocalReply(exchange, { status, fields: ['Location', location, 'Content-Length', '0'], body: undefined })
  }
}

/** Runs the policies under `entrypoint`; most configurations have none. */
async function arrive(exchange: Exchange, stages: readonly Stage[], next: RequestListener): Promise<void> {
  try {
    if ((await runStages(stages, exchange, 0)) !== ANSWERED) next(exchange.request, exchange.response)
  } catch (error) {
    handleError(exchange, error)
  }
}

function isScrape({ method, url }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && (url === '/metrics' || url?.startsWith('/metrics?') === true)
}

/** Returns whether a route matches `/metrics`, so that the request is not a scrape. */
function takesScrape({ table, mayTakeMetrics }: Snapshot, request: IncomingMessage): boolean {
  if (!mayTakeMetrics) return false
  const host = hostNameOf(request.headers.host)
  // A malformed Host is refused later, as for every other request.
  if (host === undefined) return true
  const route = table.match(request.method ?? 'GET', host, '/metrics', request)
  return route !== undefined && !(route instanceof MethodNotAllowed)
}

/** Returns the exchange of a response; undefined for a scrape and for a request that was rejected early. */
function exchangeOf(response: ServerResponse): Exchange | undefined {
  return (response as Partial<Response>).locals?.['exchange'] as Exchange | undefined
}

/** Returns the exchange of a request that has reached Express. */
function routedExchange(response: Response): Exchange {
  return response.locals['exchange'] as Exchange
}

function proxy({ observer }: GatewayOptions): RequestHandler {
  return function proxyRequest(request, response, next): void | Promise<void> {
    const exchange = routedExchange(response)
    const snapshot = response.locals['snapshot'] as Snapshot
    if (exchange.path === WHOLE_SERVER) return answerOptions(exchange, snapshot)
    const { table } = snapshot
    const asked = isPreflight(request) ? preflightedRoute(table, exchange) : undefined
    if (asked?.preflight && !(exchange.hasEncodedSlash && !asked.config.rawPath)) {
      exchange.route = asked
      exchange.hooks = asked.hooks
      observer.routed(exchange, asked)
      return runStages(asked.preflight, exchange, 0) as void | Promise<void>
    }
    const route = table.match(request.method, exchange.host, exchange.path, request)
    if (exchange.hasEncodedSlash && !(route && 'config' in route && route.config.rawPath)) refuseEncodedSlash(exchange)
    if (route === undefined) {
      if (OWN_PATHS.includes(exchange.path)) return next()
      throw new GatewayError('no_route')
    }
    if (route instanceof MethodNotAllowed) return refuseMethodOf(exchange, route, next)
    exchange.route = route
    exchange.hooks = route.hooks
    observer.routed(exchange, route)
    return runStages(route.stages, exchange, 0) as void | Promise<void>
  }
}

/** Refuses `%2F`, in the same way as the entrypoint does where no route allows it. */
function refuseEncodedSlash(exchange: Exchange): never {
  exchange.isMalformed = true
  takeNoMore(exchange.request)
  throw new GatewayError('bad_request', { cause: new Error(NEEDS_RAW_PATH) })
}

/** Refuses the method. Allowed on the gateway's own paths: GET, HEAD and the methods of routes there. */
function refuseMethodOf({ path, request }: Exchange, { allowed }: MethodNotAllowed, next: () => void): void {
  const isOwn = OWN_PATHS.includes(path)
  if (isOwn && (request.method === 'GET' || request.method === 'HEAD')) return next()
  const methods = new Set(isOwn ? ['GET', 'HEAD', ...allowed] : allowed)
  throw new GatewayError('method_not_allowed', { headers: ['Allow', [...methods].join(', ')] })
}

/**
 * Answers `OPTIONS *` with the methods of the gateway as a whole (RFC 9110 §9.3.7); it is not forwarded to an upstream.
 */
function answerOptions(exchange: Exchange, { ownStages }: Snapshot): void {
  for (const stage of ownStages) void stage(exchange) // none of them waits
  sendLocalReply(exchange, { status: 204, fields: ['Allow', ALLOWED_METHODS], body: undefined })
}

/** Finds the route of the request that a CORS preflight announces. */
function preflightedRoute(table: Snapshot['table'], { request, host, path }: Exchange): StagedRoute | undefined {
  const route = table.match(request.headers['access-control-request-method'] as string, host, path, request)
  return route instanceof MethodNotAllowed ? undefined : route
}

/** Runs stages in order. Returns a promise only if a stage waits: this is on the hot path. */
function runStages(stages: readonly Stage[], exchange: Exchange, from: number): ReturnType<Stage> {
  for (let i = from; i < stages.length; i++) {
    const result = (stages[i] as Stage)(exchange)
    if (result === undefined) continue
    if (!(result instanceof Promise)) return result
    return result.then(late => (late === ANSWERED ? late : runStages(stages, exchange, i + 1)))
  }
}

/** Route of the gateway's own page; it has no upstream. */
const ABOUT: Route = toRoute({
  name: 'about',
  match: { path: '/', exact: true, host: undefined, methods: undefined, headers: [] },
  upstream: undefined,
})

function about({ observer }: GatewayOptions): RequestHandler {
  return function aboutGateway(_request, response) {
    const exchange = routedExchange(response)
    exchange.route = ABOUT
    observer.routed(exchange, ABOUT)
    const { ownStages } = response.locals['snapshot'] as Snapshot
    for (const stage of ownStages) void stage(exchange) // none of them waits
    if (exchange.closesConnection) response.setHeader('Connection', 'close')
    const fields: string[] = []
    addRequestId(fields, exchange)
    for (let i = 0; i < fields.length; i += 2) response.setHeader(fields[i] as string, fields[i + 1] as string)
    response.json({
      name: 'myesi-gateway',
      // Only clients in this network see the version: the known defects of each version are public.
      ...(isNear(exchange.request) && { version: VERSION }),
      description: 'OpenTelemetry-first API gateway',
      status: 'ok',
    })
  }
}

const refuseScrape: RequestHandler = function refuseScrape(_request, response) {
  const { config } = response.locals['snapshot'] as Snapshot
  throw new GatewayError(config.entrypoint.metrics ? 'forbidden' : 'no_route')
}

const refuseMethod: RequestHandler = function refuseMethod() {
  throw new GatewayError('method_not_allowed', { headers: ['Allow', 'GET, HEAD'] })
}

// Express recognises an error handler by its four parameters.
const fail: ErrorRequestHandler = function fail(error, _request, response, _next) {
  handleError(routedExchange(response), error)
}
