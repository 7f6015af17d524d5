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
import { hostNameOf, WHOLE_SERVER } from './entrypoint/request-target'
import { handleError, rejectEarly } from './errors/error-handler'
import { GatewayError } from './errors/gateway-error'
import type { Reason } from './errors/reasons'
import { ANSWERED, type Exchange, type Stage } from './exchange/exchange'
import { InFlight } from './exchange/in-flight'
import { addRequestId } from './exchange/request-id'
import { sendLocalReply } from './exchange/local-reply'
import type { Observer } from './observe/observer'
import { collectHooks } from './policies/collect-hooks'
import { isPreflight } from './policies/cors/cors'
import type { PolicyResources, RegistryEntry } from './policies/define-policy'
import type { PolicyOffenders } from './policies/rate-limit/offenders'
import { policiesOf } from './policies/policies-of'
import { VERSION } from './process/version'
import type { RedisConnection } from './redis/connection'
import { toRoute, type Route } from './routing/route'
import { MethodNotAllowed } from './routing/route-table'
import type { ReuseOrCreate } from './runtime/resources'
import { RetiredResources } from './runtime/retired-resources'
import {
  createSnapshot,
  resourcesOnlyIn,
  type RouteResources,
  type Snapshot,
  type StagedRoute,
  type Staging,
} from './runtime/snapshot'
import type { Logger } from './telemetry/logger'
import { forward } from './upstream/forward'
import { createFieldRules } from './upstream/request-headers'
import type { UpstreamState } from './upstream/upstream'

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
  /** Those that routes may have; the registry's and those of the file unless a test brings its own. */
  readonly policies?: readonly RegistryEntry[]
}

export interface Gateway {
  readonly handle: RequestListener
  /** What the server that calls `handle` is to make its requests and responses with. */
  readonly messages: MessageClasses
  /** The same for HTTP/2. */
  readonly http2: Pick<Http2Options, 'handle' | 'messages' | 'isDraining'>
  /** Ends the handling of a request whose body turned out to be unacceptable. */
  readonly failRequest: (response: ServerResponse, reason: Reason) => void
  /** Ends the handling of everything that is still in flight: the process cannot wait for it any longer. */
  readonly abortAll: () => void
  /** Who runs into the limits, policy by policy. */
  readonly offenders: () => PolicyOffenders[]
  /** How the targets of each upstream are. */
  readonly upstreams: () => UpstreamState[]
  /** Requests under way. */
  readonly inFlight: () => number
  /**
   * Serves by another file from the next request on; those under way go on by the one they began with. What is the same in
   * both stays: pools, health, counts.
   *
   * @throws when it cannot be made; nothing has changed then
   */
  readonly reload: (config: GatewayConfig) => void
  /** Nothing is in flight any more, or it is cut off. */
  close(): Promise<void>
}

/** The pipeline: client → entrypoint → route → admission → upstream. Express is the shell, stages are plain functions. */
export function createGateway(options: GatewayOptions): Gateway {
  const build = (config: GatewayConfig, previous: Snapshot | undefined): Snapshot => {
    const policies = options.policies ?? policiesOf(config)
    const snapshot = createSnapshot({
      config,
      previous,
      log: options.log,
      stagesOf: (route, resources, reuseOrCreate) => stagesOf(route, resources, reuseOrCreate, policies, options),
      entrypointStagesOf: (entrypoint, resources) => entrypointStagesOf(entrypoint, resources, policies, options),
    })
    options.observer.announce(snapshot.routes)
    return snapshot
  }
  const active: Active = { snapshot: build(options.config, undefined) }

  const app = createApp(options)
  // One of its own: Express sets the prototypes of its messages on each that it is given.
  const http2App = createApp(options)
  const inFlight = new InFlight()
  const retired = new RetiredResources(() => inFlight.all())
  return {
    handle: enter(app, active, inFlight, options),
    messages: expressMessages(app),
    http2: {
      handle: enter(http2App, active, inFlight, options),
      messages: http2Messages(http2App),
      isDraining: options.isDraining,
    },
    abortAll: () => {
      for (const exchange of inFlight.all()) handleError(exchange, new GatewayError('draining'))
    },
    failRequest: (response, reason) => {
      const exchange = exchangeOf(response)
      if (exchange) handleError(exchange, new GatewayError(reason))
      // A scrape whose body nobody wanted: there is nothing to be told of it.
      else response.destroy()
    },
    offenders: () => active.snapshot.routes.flatMap(({ limiters }) => limiters.flatMap(limiter => limiter.offenders())),
    upstreams: () => active.snapshot.upstreams.map(upstream => upstream.describe()),
    inFlight: () => inFlight.size,
    reload: config => {
      const previous = active.snapshot
      active.snapshot = build(config, previous)
      retired.add(resourcesOnlyIn(previous, active.snapshot))
    },
    close: async () => {
      await Promise.all([
        retired.closeAll(),
        ...[...active.snapshot.resources.values()].map(async resource => resource.close()),
      ])
    },
  }
}

/** Express is the shell around the pipeline. */
function createApp(options: GatewayOptions): Express {
  const app = express()
  app.disable('x-powered-by') // says what we are made of, to whoever asks
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', false)

  app.use(proxy(options)) // first, for nearly everything is for it
  app.get('/', about(options))
  app.get('/metrics', refuseScrape)
  app.all(['/', '/metrics'], refuseMethod)
  app.use(fail)
  return app
}

/** The one field that a reload changes. Read once by each request, at its start. */
interface Active {
  snapshot: Snapshot
}

/** What a request of this route passes: its policies in the order of the registry, and what answers it. */
function stagesOf(
  route: Route,
  { config, upstream, entrypoint, consumers, files }: RouteResources,
  reuseOrCreate: ReuseOrCreate,
  policies: readonly RegistryEntry[],
  options: GatewayOptions,
): Staging {
  const hasUpstream = upstream !== undefined
  const resources = resourcesOf({ route, hasUpstream, consumers, files, reuseOrCreate }, options)
  const collected = collectHooks(policies, config, resources)
  if (!hasUpstream) return collected
  const forwardRequest = forward({
    upstream,
    telemetry: options.observer.forwarded,
    forwarding: collected.forwarding,
    fieldRules: createFieldRules(entrypoint),
    clientStallMs: entrypoint.stallTimeoutMs,
    minDownloadRate: entrypoint.minDownloadRate,
    responseBuffer: entrypoint.responseBuffer,
    onFailure: handleError,
  })
  return { ...collected, stages: [...collected.stages, forwardRequest] }
}

type RouteParts = Pick<PolicyResources, 'route' | 'hasUpstream' | 'consumers' | 'files' | 'reuseOrCreate'>

function resourcesOf(parts: RouteParts, { replicas, redis, log, observer }: GatewayOptions): PolicyResources {
  return { ...parts, replicas, redis, log, onAuthenticated: exchange => observer.authenticated(exchange) }
}

/** What every request passes before it is routed, and what a request of the gateway's own page passes. */
function entrypointStagesOf(
  entrypoint: EntrypointConfig,
  parts: Pick<RouteParts, 'consumers' | 'files' | 'reuseOrCreate'>,
  policies: readonly RegistryEntry[],
  options: GatewayOptions,
): Pick<Snapshot, 'arrivalStages' | 'ownStages' | 'mayScrape'> {
  const resources = resourcesOf({ ...parts, route: ABOUT, hasUpstream: false }, options)
  const ofEntrypoint = policies.filter(entry => 'under' in entry && entry.under === 'entrypoint')
  return {
    arrivalStages: collectHooks(ofEntrypoint, entrypoint, resources).arrivalStages,
    ownStages: collectHooks(policies, { access: [entrypoint.access ?? []].flat() }, resources).stages,
    mayScrape: mayScrapeOf(entrypoint, options.mayScrape),
  }
}

/** Whose scrape of this port is answered: access lists of the entrypoint hold for it as for every other request. */
function mayScrapeOf(
  { access, metrics }: EntrypointConfig,
  mayScrape: GatewayOptions['mayScrape'],
): (request: IncomingMessage, clientOrigin: Snapshot['clientOrigin']) => boolean {
  if (!metrics) return () => false
  if (access === undefined) return mayScrape
  const isLetIn = createAccessCheck([access])
  return (request, clientOrigin) => mayScrape(request) && isLetIn(clientOrigin(request).address)
}

/**
 * Before Express and everything else: a scrape is answered, what is too much turned away; everything else gets its trace and
 * becomes an exchange.
 */
function enter(app: RequestListener, active: Active, inFlight: InFlight, options: GatewayOptions): RequestListener {
  const { observer, scrape } = options
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
    if (isScrape(request) && !takesScrape(snapshot, request) && snapshot.mayScrape(request, snapshot.clientOrigin)) {
      return scrape(request, response)
    }
    if (snapshot.shedder.rejects(inFlight.size)) {
      observer.rejected('shed')
      return rejectEarly(request, response, 'shed', {
        fields: ['Retry-After', String(snapshot.shedder.retryAfter())],
        closesConnection: options.isDraining(),
      })
    }
    // The context is not made the active one: Node would carry it through every callback of both connections, although few
    // of them need it. Who does finds it in the exchange.
    const begun = observer.begin(request, snapshot.continuesTrace)
    const { exchange, refusal } = receive(request, response, begun, snapshot, receiveOptions)
    inFlight.add(exchange)
    ;(response as Response).locals = { exchange, snapshot }
    if (refusal) return handleError(exchange, refusal)
    // Express and the routes go by one path, or `//metrics` would not be `/metrics`, and no URL is left that Express
    // cannot parse and would answer in its own words.
    request.url = exchange.path + exchange.query
    if (snapshot.arrivalStages.length === 0) return app(request, response)
    void arrive(exchange, snapshot.arrivalStages, app)
  }
}

/** Runs the policies under `entrypoint`; most files have none. */
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

/** Whether a route takes what would otherwise be a scrape. */
function takesScrape({ table, mayTakeMetrics }: Snapshot, request: IncomingMessage): boolean {
  if (!mayTakeMetrics) return false
  const host = hostNameOf(request.headers.host)
  // A Host that is malformed is refused as every other one.
  if (host === undefined) return true
  const route = table.match(request.method ?? 'GET', host, '/metrics', request)
  return route !== undefined && !(route instanceof MethodNotAllowed)
}

/** Undefined for a scrape, and for what was turned away before it became an exchange. */
function exchangeOf(response: ServerResponse): Exchange | undefined {
  return (response as Partial<Response>).locals?.['exchange'] as Exchange | undefined
}

/** Of a request that has come as far as Express. */
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

/** As the entrypoint refuses it where no route takes `%2F` at all. */
function refuseEncodedSlash(exchange: Exchange): never {
  exchange.isMalformed = true
  takeNoMore(exchange.request.socket)
  throw new GatewayError('bad_request', { cause: new Error('ambiguous path') })
}

/** The gateway's own page and exposition are for GET and HEAD, beside what routes allow there. */
function refuseMethodOf({ path, request }: Exchange, { allowed }: MethodNotAllowed, next: () => void): void {
  const isOwn = OWN_PATHS.includes(path)
  if (isOwn && (request.method === 'GET' || request.method === 'HEAD')) return next()
  const methods = new Set(isOwn ? ['GET', 'HEAD', ...allowed] : allowed)
  throw new GatewayError('method_not_allowed', { headers: ['Allow', [...methods].join(', ')] })
}

/** What the gateway as such can do (RFC 9110 §9.3.7): of no route, and forwarded to no upstream. */
function answerOptions(exchange: Exchange, { ownStages }: Snapshot): void {
  for (const stage of ownStages) void stage(exchange) // none of them waits
  sendLocalReply(exchange, { status: 204, fields: ['Allow', ALLOWED_METHODS], body: undefined })
}

/** The route of the request that a browser asks about. */
function preflightedRoute(table: Snapshot['table'], { request, host, path }: Exchange): StagedRoute | undefined {
  const route = table.match(request.headers['access-control-request-method'] as string, host, path, request)
  return route instanceof MethodNotAllowed ? undefined : route
}

/** Without a promise where no stage waits: most requests pass here a million times. */
function runStages(stages: readonly Stage[], exchange: Exchange, from: number): ReturnType<Stage> {
  for (let i = from; i < stages.length; i++) {
    const result = (stages[i] as Stage)(exchange)
    if (result === undefined) continue
    if (!(result instanceof Promise)) return result
    return result.then(late => (late === ANSWERED ? late : runStages(stages, exchange, i + 1)))
  }
}

/** The gateway's own page: a route without an upstream. */
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
      // Which defects a version has is public; which version this is need not be.
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

// Express knows an error handler by its four parameters.
const fail: ErrorRequestHandler = function fail(error, _request, response, _next) {
  handleError(routedExchange(response), error)
}
