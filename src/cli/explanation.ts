import type { IncomingMessage } from 'node:http'
import { createCors, isPreflight } from '../policies/cors/cors'
import { createAuthenticator } from '../policies/auth/authenticate'
import { Consumers } from '../policies/auth/consumers'
import { openKeys, type OpenKeys } from '../policies/auth/open-keys'
import { TokenVerifier } from '../policies/auth/token-verifier'
import { limitAccess } from '../policies/access/limit-access'
import { limitBody } from '../policies/max-body-size/limit-body'
import { countsConsumers } from '../policies/rate-limit/rate-limit-key'
import { refuseLoops } from '../policies/loops/refuse-loops'
import { refuseWebSockets } from '../policies/websocket/refuse-websockets'
import { editDistance } from '../config/nearest-name'
import type { CorsConfig, GatewayConfig, RateLimitPolicy, RouteConfig } from '../config/types'
import { isBelowReserved, RESERVED_PATHS } from '../config/values/path-template'
import { GatewayError } from '../errors/gateway-error'
import { REASONS, type Reason } from '../errors/reasons'
import type { Exchange, Stage } from '../exchange/exchange'
import { answerText, authText, corsText, limitText, matchText, overloadText } from '../operations/route-wording'
import { shownLimit, shownRoute } from '../operations/shown-route'
import { toRoute, type Route } from '../routing/route'
import { MethodNotAllowed, RouteTable } from '../routing/route-table'
import { precedence } from '../routing/specificity'
import { createPathRewrite } from '../policies/rewrite/path-rewrite'
import { createLogger } from '../telemetry/logger'
import type { Arrival, TypedRequest } from './simulated-request'
import { conditionTexts, upstreamOf, upstreamText } from './wording'

/** What is said about a request: a subject and what there is to say of it. */
export type Line = readonly [subject: string, text: string]

const NEAREST = 3
const ASKED_METHOD = 'access-control-request-method'

/** Says what the gateway would do with a request, and why. */
export async function explain(config: GatewayConfig, typed: TypedRequest, arrival: Arrival): Promise<Line[]> {
  if ('neverARequest' in arrival) return [refusal(arrival.neverARequest, 'it is not read as a request at all')]
  const { exchange, refusal: refused, request } = arrival
  if (refused !== undefined) return [refusalOf(refused)]
  const received = receivedLines(typed, exchange)
  if (RESERVED_PATHS.includes(exchange.path))
    return [...received, ['answer', `the gateway answers ${exchange.path} itself`]]
  if (isBelowReserved(exchange.path)) return [...received, refusal('no_route', 'what is below /metrics is no route’s')]
  const routes = config.routes.map(toRoute)
  const asked = isPreflight(request) ? matchIn(routes, request, exchange, request.headers[ASKED_METHOD]) : undefined
  if (asked !== undefined && !(asked instanceof MethodNotAllowed) && asked.config.cors) {
    return [...received, routeLine(asked), ...(await preflightLines(asked.config, asked.config.cors, exchange))]
  }
  const route = matchIn(routes, request, exchange)
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
    ['client', `${clientAddress}${peerIsTrusted ? ', as the trusted proxy says' : ''}`],
  ]
}

function matchIn(
  routes: readonly Route[],
  request: IncomingMessage,
  { host, path }: Exchange,
  method = request.method ?? 'GET',
): Route | MethodNotAllowed | undefined {
  return new RouteTable(routes).match(method, host, path, request)
}

function routeLine(route: Route): Line {
  return ['route', nameAndMatch(route)]
}

function nameAndMatch({ name, config }: Route): string {
  return `${name}: ${matchText(shownRoute(config, undefined))}`
}

/** The other routes that match, and why they come later; those that would but for the method. */
function othersLines(
  routes: readonly Route[],
  chosen: Route | undefined,
  request: IncomingMessage,
  exchange: Exchange,
): Line[] {
  return routes
    .filter(route => route !== chosen)
    .flatMap((route): Line[] => {
      const alone = matchIn([route], request, exchange)
      if (alone === undefined) return []
      const name = nameAndMatch(route)
      if (alone instanceof MethodNotAllowed) return [['not', `${name}, which has other methods`]]
      const why = chosen === undefined ? '' : `; ${precedence(chosen.config.match, route.config.match).why}`
      return [['not', `${name}, which matches too${why}`]]
    })
}

/** What was perhaps meant. */
function nearestLines(routes: readonly Route[], { host, path }: Exchange): Line[] {
  const distance = ({ config: { match } }: Route): number =>
    editDistance(path.slice(0, match.path.length), match.path) +
    (match.host === undefined ? 0 : editDistance(host, match.host))
  return routes
    .toSorted((a, b) => distance(a) - distance(b))
    .slice(0, NEAREST)
    .map(route => ['nearest', nameAndMatch(route)])
}

/** What a browser is told that asks whether a page may send a request of this route. */
async function preflightLines(route: RouteConfig, cors: CorsConfig, exchange: Exchange): Promise<Line[]> {
  const refused = await firstRefusal(route.access.map(limitAccess), exchange)
  if (refused !== undefined) return [refusalOf(refused)]
  return [await corsLine(route, cors, exchange), ['answer', '204 to the browser that asks what the page may send']]
}

/** What a request of this route passes, in this order, up to where it is refused. */
async function stageLines(config: GatewayConfig, route: Route, exchange: Exchange): Promise<Line[]> {
  const { access, auth, cors, maintenance, maxBodyBytes, rateLimits, rewrite, webSocket } = route.config
  const notLetIn = await firstRefusal(access.map(limitAccess), exchange)
  if (notLetIn !== undefined) return [refusalOf(notLetIn)]
  const lines: Line[] = cors ? [await corsLine(route.config, cors, exchange)] : []
  if (maintenance) return [...lines, refusal('maintenance')]
  const limits = (policies: readonly RateLimitPolicy[]): Line[] =>
    policies.map(policy => ['limit', limitText(shownLimit(policy))])
  lines.push(...limits(rateLimits.filter(({ key }) => !countsConsumers(key))))
  const upstream = upstreamOf(config, route.config)
  const shown = shownRoute(route.config, upstream)
  if (auth !== undefined && shown.auth) {
    const consumers = new Consumers(config.consumers)
    const { jwt } = auth
    // Only for a token that is shown: nobody is to be asked for what can be said without.
    let keys: OpenKeys | undefined
    const verifier =
      jwt &&
      new TokenVerifier(jwt.tokens, (header, token) => {
        keys ??= openKeys(jwt.tokens.jwks, createLogger('silent').log)
        return keys.find(header, token)
      })
    const authenticate = createAuthenticator({ auth, consumers, verifier, onAuthenticated: () => {} })
    const refused = await firstRefusal([authenticate], exchange)
    keys?.close()
    const who = exchange.consumer === undefined ? '' : `; this is ${exchange.consumer.name}`
    lines.push(['auth', `${authText(shown.auth)}${who}`])
    if (refused !== undefined) return [...lines, refusalOf(refused)]
    lines.push(...limits(rateLimits.filter(({ key }) => countsConsumers(key))))
  }
  const unwanted = await firstRefusal(
    [
      ...(upstream === undefined ? [] : [refuseLoops]),
      ...(webSocket === false ? [refuseWebSockets] : []),
      ...(maxBodyBytes === undefined ? [] : [limitBody(maxBodyBytes)]),
    ],
    exchange,
  )
  if (unwanted !== undefined) return [...lines, refusalOf(unwanted)]
  const overload = overloadText(config.entrypoint.overload)
  const conditions = [...conditionTexts({ ...shown, cors: null }, route.config), ...(overload ? [overload] : [])]
  lines.push(...conditions.map((text): Line => ['and', text]))
  if (upstream === undefined) return [...lines, ['answer', answerText(shown) ?? '']]
  const path = (createPathRewrite(rewrite)?.(exchange.path) ?? exchange.path) + exchange.query
  return [
    ...lines,
    ['forward', `${exchange.request.method} ${path}${exchange.upgrade === undefined ? '' : ' as a WebSocket'}`],
    ['to', `${upstream.name}: ${upstreamText(upstream)}`],
  ]
}

async function corsLine(route: RouteConfig, cors: CorsConfig, exchange: Exchange): Promise<Line> {
  await createCors(cors, route.match.methods).announce(exchange)
  const { origin } = exchange.request.headers
  const mayRead = exchange.corsFields?.includes('Access-Control-Allow-Origin') ?? false
  const verdict = origin === undefined ? '' : `; ${origin} is ${mayRead ? '' : 'not '}one of them`
  const shown = shownRoute(route, undefined).cors
  return ['cors', `${shown ? corsText(shown) : ''}${verdict}`]
}

async function firstRefusal(stages: readonly Stage[], exchange: Exchange): Promise<GatewayError | undefined> {
  for (const stage of stages) {
    const refused = await refusalBy(stage, exchange)
    if (refused !== undefined) return refused
  }
  return undefined
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
