import type { IncomingMessage } from 'node:http'
import { createAuthenticator } from '../admission/identity/authenticate'
import { Consumers } from '../admission/identity/consumers'
import { openKeys } from '../admission/identity/open-keys'
import { TokenVerifier } from '../admission/identity/token-verifier'
import { limitAccess } from '../admission/limit-access'
import { countsConsumers } from '../admission/rate-limit/rate-limit-key'
import { editDistance } from '../config/nearest-name'
import type { GatewayConfig, RateLimitPolicy } from '../config/types'
import { RESERVED_PATHS } from '../config/values/path-template'
import { GatewayError } from '../errors/gateway-error'
import { REASONS, type Reason } from '../errors/reasons'
import type { Exchange, Stage } from '../exchange'
import { toRoute, type Route } from '../routing/route'
import { MethodNotAllowed, RouteTable } from '../routing/route-table'
import { precedence } from '../routing/specificity'
import { createPathRewrite } from '../upstream/path-rewrite'
import { createLogger } from '../telemetry/logger'
import type { Arrival, TypedRequest } from './simulated-request'
import { authText, conditionTexts, destinationText, limitText, matchText, upstreamOf, upstreamText } from './wording'

/** What is said about a request: a subject and what there is to say of it. */
export type Line = readonly [subject: string, text: string]

const NEAREST = 3

/** Says what the gateway would do with a request, and why. */
export async function explain(config: GatewayConfig, typed: TypedRequest, arrival: Arrival): Promise<Line[]> {
  if ('neverARequest' in arrival) return [refusal(arrival.neverARequest, 'it is not read as a request at all')]
  const { exchange, refusal: refused, request } = arrival
  if (refused !== undefined) return [refusal(refused.reason, causeOf(refused))]
  const received = receivedLines(typed, exchange)
  if (RESERVED_PATHS.includes(exchange.path))
    return [...received, ['answer', `the gateway answers ${exchange.path} itself`]]
  const routes = config.routes.map(toRoute)
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
    ['route', `${route.name}: ${matchText(route.config.match)}`],
    ...othersLines(routes, route, request, exchange),
    ...(await stageLines(config, route, exchange)),
  ]
}

function refusal(reason: Reason, why?: string): Line {
  const { status, title } = REASONS[reason]
  return ['answer', `${status} ${title} (${reason})${why === undefined ? '' : `: ${why}`}`]
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
): Route | MethodNotAllowed | undefined {
  return new RouteTable(routes).match(request.method ?? 'GET', host, path, request)
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
      const name = `${route.name}: ${matchText(route.config.match)}`
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
    .map(route => ['nearest', `${route.name}: ${matchText(route.config.match)}`])
}

/** What a request of this route passes, in this order, up to where it is refused. */
async function stageLines(config: GatewayConfig, route: Route, exchange: Exchange): Promise<Line[]> {
  const { access, auth, maintenance, rateLimits, rewrite } = route.config
  for (const list of access) {
    const refused = await refusalBy(limitAccess(list), exchange)
    if (refused !== undefined) return [refusal(refused.reason, causeOf(refused))]
  }
  if (maintenance) return [refusal('maintenance')]
  const limits = (policies: readonly RateLimitPolicy[]): Line[] => policies.map(policy => ['limit', limitText(policy)])
  const lines = limits(rateLimits.filter(({ key }) => !countsConsumers(key)))
  if (auth !== undefined) {
    const consumers = new Consumers(config.consumers)
    const keys = auth.jwt && openKeys(auth.jwt.tokens.jwks, createLogger('silent').log)
    const verifier = auth.jwt && keys && new TokenVerifier(auth.jwt.tokens, keys.find)
    const authenticate = createAuthenticator({ auth, consumers, verifier, onAuthenticated: () => {} })
    const refused = await refusalBy(authenticate, exchange)
    keys?.close()
    lines.push([
      'auth',
      `${authText(auth)}${exchange.consumer === undefined ? '' : `; this is ${exchange.consumer.name}`}`,
    ])
    if (refused !== undefined) return [...lines, refusal(refused.reason, causeOf(refused))]
    lines.push(...limits(rateLimits.filter(({ key }) => countsConsumers(key))))
  }
  const conditions = conditionTexts(route.config).map((text): Line => ['and', text])
  const upstream = upstreamOf(config, route.config)
  if (upstream === undefined) return [...lines, ...conditions, ['answer', destinationText(route.config)]]
  const path = (createPathRewrite(rewrite)?.(exchange.path) ?? exchange.path) + exchange.query
  return [
    ...lines,
    ...conditions,
    ['forward', `${exchange.request.method} ${path}`],
    ['to', `${upstream.name}: ${upstreamText(upstream)}`],
  ]
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
