import { readFileSync } from 'node:fs'
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import express, { type ErrorRequestHandler, type RequestHandler, type Response } from 'express'
import { createAuthenticator } from './policies/auth/authenticate'
import { createCors, isPreflight } from './policies/cors/cors'
import { keysIn, openKeys, type OpenKeys } from './policies/auth/open-keys'
import { TokenVerifier } from './policies/auth/token-verifier'
import { limitAccess } from './policies/access/limit-access'
import { limitBody } from './policies/max-body-size/limit-body'
import { createRateLimiter } from './policies/rate-limit/limit-rate'
import type { PolicyOffenders } from './policies/rate-limit/offenders'
import { refuseLoops } from './policies/loops/refuse-loops'
import { refuseWebSockets } from './policies/websocket/refuse-websockets'
import { refuseForMaintenance } from './policies/maintenance/refuse-for-maintenance'
import { redirect } from './policies/redirect/redirect'
import { respond } from './policies/respond/respond'
import type { EntrypointConfig, GatewayConfig, RouteConfig, TokenConfig } from './config/types'
import { isBelowReserved, RESERVED_PATHS } from './config/values/path-template'
import type { AccessLog } from './observe/access-log'
import { expressMessages, type MessageClasses } from './entrypoint/express-messages'
import { receive, type ReceiveOptions } from './entrypoint/receive'
import type { RequestMetrics } from './observe/request-metrics'
import type { ServerTelemetry } from './observe/server-telemetry'
import { handleError, rejectEarly } from './errors/error-handler'
import { GatewayError } from './errors/gateway-error'
import type { Reason } from './errors/reasons'
import type { Exchange, Stage } from './exchange/exchange'
import { InFlight } from './exchange/in-flight'
import { RetiredResources } from './runtime/retired-resources'
import type { RecentRequests } from './observe/recent/recent-requests'
import type { RedisConnection } from './redis/connection'
import { toRoute, type Route } from './routing/route'
import { MethodNotAllowed } from './routing/route-table'
import {
  createSnapshot,
  resourcesOnlyIn,
  type RouteResources,
  type Snapshot,
  type StagedRoute,
  type Staging,
  type ReuseOrCreate,
} from './runtime/snapshot'
import type { Logger } from './telemetry/logger'
import type { ClientTelemetry } from './upstream/client-telemetry'
import { forward } from './upstream/forward'
import { createPathRewrite } from './policies/rewrite/path-rewrite'
import type { Upstream, UpstreamState } from './upstream/upstream'
import { VERSION } from './process/version'

export interface GatewayOptions {
  readonly config: GatewayConfig
  readonly replicas: number
  readonly redis: RedisConnection | undefined
  readonly log: Logger
  readonly logAccess: AccessLog
  readonly metrics: RequestMetrics
  readonly recent: RecentRequests
  /** Answers a scrape. */
  readonly scrape: RequestListener
  readonly mayScrape: (request: IncomingMessage) => boolean
  readonly serverTelemetry: ServerTelemetry
  readonly clientTelemetry: ClientTelemetry
  readonly isDraining: () => boolean
}

export interface Gateway {
  readonly handle: RequestListener
  /** What the server that calls `handle` is to make its requests and responses with. */
  readonly messages: MessageClasses
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
    const snapshot = createSnapshot({
      config,
      previous,
      log: options.log,
      stagesOf: (route, resources, reuseOrCreate) => stagesOf(route, resources, reuseOrCreate, options),
      ownStagesOf,
    })
    options.metrics.announce(snapshot.routes)
    options.recent.announce(snapshot.routes)
    return snapshot
  }
  const active: Active = { snapshot: build(options.config, undefined) }

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

  const inFlight = new InFlight()
  const retired = new RetiredResources(() => inFlight.all())
  return {
    handle: enter(app, active, inFlight, options),
    messages: expressMessages(app),
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

/** The one field that a reload changes. Read once by each request, at its start. */
interface Active {
  snapshot: Snapshot
}

/** What a request of this route passes, in this order. */
function stagesOf(
  route: Route,
  resources: RouteResources,
  reuseOrCreate: ReuseOrCreate,
  options: GatewayOptions,
): Staging {
  const { consumers } = resources
  const { replicas, redis, serverTelemetry } = options
  const { name, template, config } = route
  const { auth } = config
  const limiter = reuseOrCreate('limiter', [name, template, config.rateLimits], () =>
    createRateLimiter({ route, replicas, redis }),
  )
  const verifier =
    auth?.jwt && new TokenVerifier(auth.jwt.tokens, keysOf(auth.jwt.tokens, reuseOrCreate, options.log).find)
  const onAuthenticated = (exchange: Exchange): void => serverTelemetry.authenticated(exchange)
  const access = config.access.map(limitAccess)
  const cors = config.cors && createCors(config.cors, config.match.methods)
  // Before authentication and limits: a browser sends no credentials when it asks whether it may.
  const preflight = cors && [...access, cors.answerPreflight]
  // Nobody's limit is used up by what is refused anyway. The limiter is there all the same, and keeps its counts.
  if (config.maintenance) {
    return {
      stages: [...access, ...optional(cors?.announce), refuseForMaintenance(config.maintenance)],
      preflight,
      limiters: [limiter],
    }
  }
  const stages: Stage[] = [
    ...access, // what is not let in is not worth a count
    ...optional(cors?.announce), // before all that could refuse: a page is to read why
    ...optional(limiter.limitAddresses), // before authentication: guessing keys must cost
    ...optional(auth && createAuthenticator({ auth, consumers, verifier, onAuthenticated })),
    ...optional(limiter.limitConsumers), // after it: counts identities, not addresses
    // Behind the limits: whoever tries again and again is counted.
    ...(config.upstream === undefined ? [] : [refuseLoops]),
    ...(config.webSocket === false ? [refuseWebSockets] : []),
    ...(config.maxBodyBytes === undefined ? [] : [limitBody(config.maxBodyBytes)]),
    lastStage(config, resources, options),
  ]
  return { stages, preflight, limiters: [limiter] }
}

/**
 * Once for all routes, and kept by a reload: imported keys are not imported again, and with fetched ones tokens are taken
 * also while their issuer is away.
 *
 * @throws Error when it is a file that has changed for the worse since the configuration was checked
 */
function keysOf({ jwks }: TokenConfig, reuseOrCreate: ReuseOrCreate, log: Logger): OpenKeys {
  if ('url' in jwks) return reuseOrCreate('keys', jwks, () => openKeys(jwks, log))
  // By what the file says: it may be something else by now.
  const text = readFileSync(jwks.file, 'utf8')
  return reuseOrCreate('keys', text, () => keysIn(text))
}

/** What answers. */
function lastStage(config: RouteConfig, { upstream, entrypoint }: RouteResources, options: GatewayOptions): Stage {
  if (config.redirect) return redirect(config.redirect, config.match)
  if (config.respond) return respond(config.respond)
  return forward({
    upstream: upstream as Upstream,
    telemetry: options.clientTelemetry,
    rewritePath: createPathRewrite(config.rewrite),
    timeouts: config.timeouts,
    retry: config.retry,
    clientStallMs: entrypoint.stallTimeoutMs,
    webSocketIdleMs: config.webSocket ? config.webSocket.idleTimeoutMs : 0,
    onFailure: handleError,
  })
}

function optional(stage: Stage | undefined): Stage[] {
  return stage === undefined ? [] : [stage]
}

/** What a request of the gateway's own page passes. */
function ownStagesOf({ access }: EntrypointConfig): Stage[] {
  return access === undefined ? [] : [limitAccess(access)]
}

/**
 * Before Express and everything else: a scrape is answered, what is too much turned away; everything else gets its trace and
 * becomes an exchange.
 */
function enter(app: RequestListener, active: Active, inFlight: InFlight, options: GatewayOptions): RequestListener {
  const { logAccess, metrics, recent, serverTelemetry, mayScrape, scrape } = options
  const receiveOptions: ReceiveOptions = {
    isDraining: options.isDraining,
    onConclude: exchange => serverTelemetry.concluded(exchange),
    onStream: (exchange, kind) => serverTelemetry.streaming(exchange, kind),
    onClose: exchange => {
      inFlight.delete(exchange)
      serverTelemetry.end(exchange)
      metrics.count(exchange)
      recent.note(exchange)
      for (const decision of exchange.limitDecisions) decision.count(exchange.context)
      logAccess(exchange)
    },
  }
  return function enterGateway(request, response) {
    // A scrape is not traffic: no span, no metric, no log line.
    if (isScrape(request) && mayScrape(request)) return scrape(request, response)
    const { snapshot } = active
    if (snapshot.shedder.rejects(inFlight.size)) {
      metrics.countRefused('shed')
      recent.noteRefused()
      return rejectEarly(request, response, 'shed', {
        fields: ['Retry-After', String(snapshot.shedder.retryAfter())],
        closesConnection: options.isDraining(),
      })
    }
    // The context is not made the active one: Node would carry it through every callback of both connections, although few
    // of them need it. Who does finds it in the exchange.
    const begun = serverTelemetry.begin(request, snapshot.continuesTrace)
    const { exchange, refusal } = receive(request, response, begun, snapshot, receiveOptions)
    inFlight.add(exchange)
    ;(response as Response).locals = { exchange, snapshot }
    if (refusal) return handleError(exchange, refusal)
    // Express and the routes go by one path, or `//metrics` would not be `/metrics`, and no URL is left that Express
    // cannot parse and would answer in its own words.
    request.url = exchange.path + exchange.query
    app(request, response)
  }
}

function isScrape({ method, url }: IncomingMessage): boolean {
  return (method === 'GET' || method === 'HEAD') && (url === '/metrics' || url?.startsWith('/metrics?') === true)
}

/** Undefined for a scrape, and for what was turned away before it became an exchange. */
function exchangeOf(response: ServerResponse): Exchange | undefined {
  return (response as Partial<Response>).locals?.['exchange'] as Exchange | undefined
}

/** Of a request that has come as far as Express. */
function routedExchange(response: Response): Exchange {
  return response.locals['exchange'] as Exchange
}

function proxy({ serverTelemetry }: GatewayOptions): RequestHandler {
  return function proxyRequest(request, response, next) {
    const exchange = routedExchange(response)
    if (RESERVED_PATHS.includes(exchange.path)) return next()
    if (isBelowReserved(exchange.path)) throw new GatewayError('no_route')
    const { table } = response.locals['snapshot'] as Snapshot
    const asked = isPreflight(request) ? preflightedRoute(table, exchange) : undefined
    if (asked?.preflight) {
      exchange.route = asked
      serverTelemetry.matched(exchange, asked)
      return runStages(asked.preflight, exchange, 0)
    }
    const route = table.match(request.method, exchange.host, exchange.path, request)
    if (route === undefined) throw new GatewayError('no_route')
    if (route instanceof MethodNotAllowed) {
      throw new GatewayError('method_not_allowed', { headers: ['Allow', route.allowed.join(', ')] })
    }
    exchange.route = route
    serverTelemetry.matched(exchange, route)
    return runStages(route.stages, exchange, 0)
  }
}

/** The route of the request that a browser asks about. */
function preflightedRoute(table: Snapshot['table'], { request, host, path }: Exchange): StagedRoute | undefined {
  const route = table.match(request.headers['access-control-request-method'] as string, host, path, request)
  return route instanceof MethodNotAllowed ? undefined : route
}

/** Without a promise where no stage waits: most requests pass here a million times. */
function runStages(stages: readonly Stage[], exchange: Exchange, from: number): void | Promise<void> {
  for (let i = from; i < stages.length; i++) {
    const waiting = (stages[i] as Stage)(exchange)
    if (waiting) return waiting.then(() => runStages(stages, exchange, i + 1))
  }
}

/** The gateway's own page: a route without an upstream. */
const ABOUT: Route = toRoute({
  name: 'about',
  match: { path: '/', exact: true, host: undefined, methods: undefined, headers: [] },
  upstream: undefined,
  redirect: undefined,
  respond: undefined,
  maintenance: undefined,
  auth: undefined,
  rewrite: { stripPrefix: undefined, addPrefix: undefined },
  requestHeaders: undefined,
  responseHeaders: undefined,
  timeouts: {},
  retry: 'never',
  access: [],
  cors: undefined,
  maxBodyBytes: undefined,
  webSocket: false,
  rateLimits: [],
})

function about({ serverTelemetry }: GatewayOptions): RequestHandler {
  return function aboutGateway(_request, response) {
    const exchange = routedExchange(response)
    exchange.route = ABOUT
    serverTelemetry.matched(exchange, ABOUT)
    const { ownStages } = response.locals['snapshot'] as Snapshot
    for (const stage of ownStages) void stage(exchange) // none of them waits
    if (exchange.closesConnection) response.setHeader('Connection', 'close')
    response.json({
      name: 'myesi-gateway',
      version: VERSION,
      description: 'OpenTelemetry-first API gateway',
      status: 'ok',
    })
  }
}

const refuseScrape: RequestHandler = function refuseScrape() {
  throw new GatewayError('forbidden')
}

const refuseMethod: RequestHandler = function refuseMethod() {
  throw new GatewayError('method_not_allowed', { headers: ['Allow', 'GET, HEAD'] })
}

// Express knows an error handler by its four parameters.
const fail: ErrorRequestHandler = function fail(error, _request, response, _next) {
  handleError(routedExchange(response), error)
}
