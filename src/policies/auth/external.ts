import { trace, type Attributes, type Counter } from '@opentelemetry/api'
import { GatewayError } from '../../errors/gateway-error'
import type { Reason } from '../../errors/reasons'
import { ANSWERED, type Answered, type Exchange, type ResponseHook, type Stage } from '../../exchange/exchange'
import { sendLocalReply } from '../../exchange/local-reply'
import { refuseLoops } from '../../exchange/loops'
import { gatewayMeter } from '../../telemetry/scope'
import { ATTR_EXTERNAL_AUTH_RESULT, ATTR_HTTP_ROUTE, METRIC_EXTERNAL_AUTH_REQUESTS } from '../../telemetry/semconv'
import type { SideAnswer, SideCallOptions } from '../../upstream/side-call'
import type { PolicyResources } from '../define-policy'
import { PermissionCache, type Permission } from './external-cache'
import { askedUrl, checkHeaders, type AskedUrl } from './external-request'
import type { ExternalConfig } from './external-schema'
import { fillSignIn } from './external-values'

type Resources = Pick<
  PolicyResources,
  'route' | 'consumers' | 'findUpstream' | 'callAside' | 'log' | 'forwardsRawPath' | 'onAuthenticated'
>

/** `failed`: refused because the check failed; `failed_open`: let in nevertheless; `overloaded`: too many checks at once. */
type CheckResult = 'allowed' | 'denied' | 'cached' | 'failed' | 'failed_open' | 'overloaded'
const RESULTS: readonly CheckResult[] = ['allowed', 'denied', 'cached', 'failed', 'failed_open', 'overloaded']

/** Longest name of a consumer. */
const LONGEST_NAME = 256

/** Creates the stage that asks an external authorizer whether a request may pass. */
export function createExternalCheck(config: ExternalConfig, resources: Resources): Stage {
  const { upstreamHeaders, clientHeaders, consumerHeader, failureMode, maxConcurrent, signIn } = config
  const { route, consumers, callAside, forwardsRawPath, log, onAuthenticated } = resources
  const chosen = new Set(config.requestHeaders)
  const toUpstream = new Set(upstreamHeaders)
  const toClient = new Set(clientHeaders)
  const cache = config.cache && new PermissionCache(config.cache, config.requestHeaders)
  const count = createCount(route.template)
  const call: SideCallOptions = {
    upstream: resources.findUpstream(config.upstream),
    path: config.path,
    timeoutMs: config.timeout,
    maxBodyBytes: config.maxBody,
    headersOf: exchange => checkHeaders(exchange, askedUrl(exchange, forwardsRawPath), chosen),
  }
  let open = 0
  /** Whether the last check failed, so that an outage is two log lines. */
  let isFailing = false

  async function check(exchange: Exchange, asked: AskedUrl, key: string | undefined): Promise<void | Answered> {
    open++
    let answer: SideAnswer | undefined
    try {
      answer = await callAside(exchange, call)
      if (answer !== undefined && (answer.statusCode >= 500 || answer.statusCode === 304)) {
        throw new GatewayError('bad_response', { cause: new Error(`the authorizer answered ${answer.statusCode}`) })
      }
    } catch (error) {
      return failed(exchange, error)
    } finally {
      open--
    }
    // The client has left.
    if (answer === undefined) return ANSWERED
    if (isFailing) log.info({ event: 'external_auth', route: route.name }, 'external authorization works again')
    isFailing = false
    if (answer.statusCode >= 300) {
      count(exchange, 'denied')
      return refuse(exchange, answer, asked)
    }
    const permission = permissionIn(answer)
    count(exchange, 'allowed')
    letIn(exchange, permission)
    const cookies = toClient.has('set-cookie') ? valuesOf(answer, 'set-cookie') : []
    if (cookies.length > 0) exchange.authorizerCookies = cookies
    else if (key !== undefined && valuesOf(answer, 'set-cookie').length === 0) cache?.add(key, permission)
  }

  function permissionIn(answer: SideAnswer): Permission {
    const name = consumerHeader && valuesOf(answer, consumerHeader)[0]
    return {
      consumer: name ? consumers.bySubject('external', name.slice(0, LONGEST_NAME), []) : undefined,
      identityFields: fieldsOf(answer, toUpstream),
    }
  }

  function letIn(exchange: Exchange, { consumer, identityFields }: Permission): void {
    if (identityFields.length > 0) {
      exchange.identityFields = exchange.identityFields
        ? [...exchange.identityFields, ...identityFields]
        : identityFields
    }
    if (consumer === undefined) return
    exchange.consumer = consumer
    onAuthenticated(exchange)
  }

  function failed(exchange: Exchange, error: unknown): void {
    if (!(error instanceof GatewayError)) throw error
    if (error.reason === 'overloaded') {
      count(exchange, 'overloaded')
      throw unavailable('too many checks wait for a connection')
    }
    if (!isFailing) {
      const line = { event: 'external_auth', route: route.name, failure: describe(error), failure_mode: failureMode }
      log.warn(line, 'external authorization fails')
    }
    isFailing = true
    if (failureMode === 'allow') {
      exchange.authorizerFailed = true
      return count(exchange, 'failed_open')
    }
    count(exchange, 'failed')
    throw unavailable(describe(error))
  }

  function refuse(exchange: Exchange, answer: SideAnswer, asked: AskedUrl): Answered {
    const { statusCode: status, body = Buffer.alloc(0) } = answer
    exchange.conclude('refusal', reasonOf(status), new Error(`the authorizer answered ${status}`))
    if (status === 401 && signIn !== undefined && isNavigation(exchange)) {
      const location = fillSignIn(signIn, `${asked.scheme}://${asked.host}${asked.uri}`, asked.uri)
      const fields = ['Location', location, 'Cache-Control', 'no-store', 'Content-Length', '0']
      for (const cookie of toClient.has('set-cookie') ? valuesOf(answer, 'set-cookie') : [])
        fields.push('Set-Cookie', cookie)
      sendLocalReply(exchange, { status: 302, fields, body: undefined })
      return ANSWERED
    }
    const fields = fieldsOf(answer, toClient).map((text, i) => (i % 2 === 0 ? (SPELLINGS[text] ?? text) : text))
    sendLocalReply(exchange, { status, fields: [...fields, 'Content-Length', String(body.length)], body })
    return ANSWERED
  }

  return function checkExternally(exchange) {
    // The client may have left while an earlier stage waited; its 'close' event has already fired.
    if (exchange.response.destroyed) return ANSWERED
    refuseLoops(exchange)
    const asked = askedUrl(exchange, forwardsRawPath)
    const key = cache?.keyOf(exchange, JSON.stringify([exchange.request.method, asked]))
    const known = key === undefined ? undefined : cache?.get(key)
    if (known !== undefined) {
      count(exchange, 'cached')
      return letIn(exchange, known)
    }
    // Not open with `failureMode: allow`: a client could fill the places on purpose.
    if (open >= maxConcurrent) {
      count(exchange, 'overloaded')
      throw unavailable(`${maxConcurrent} checks are open`)
    }
    return check(exchange, asked, key)
  }
}

/** Adds the cookies of an allowing answer to the response. */
export const addAuthorizerCookies: ResponseHook = function addAuthorizerCookies({ authorizerCookies }, { fields }) {
  if (authorizerCookies === undefined) return
  for (const cookie of authorizerCookies) fields.push('Set-Cookie', cookie)
}

function unavailable(why: string): GatewayError {
  return new GatewayError('authorizer_unavailable', { headers: ['Retry-After', '1'], cause: new Error(why) })
}

function describe({ reason, cause }: GatewayError): string {
  return cause instanceof Error && cause.message !== '' ? `${reason}: ${cause.message}` : reason
}

function reasonOf(status: number): Reason {
  if (status === 429) return 'limited'
  return status === 401 || status < 400 ? 'unauthenticated' : 'forbidden'
}

/** Returns whether a browser opens a page, which a redirect to a form can serve. */
function isNavigation({ request, upgrade }: Exchange): boolean {
  if (upgrade !== undefined || (request.method !== 'GET' && request.method !== 'HEAD')) return false
  return request.headers.accept?.includes('text/html') === true
}

function fieldsOf({ fields }: SideAnswer, names: ReadonlySet<string>): string[] {
  const chosen: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (names.has(fields[i] as string)) chosen.push(fields[i] as string, fields[i + 1] as string)
  }
  return chosen
}

function valuesOf({ fields }: SideAnswer, name: string): string[] {
  return fields.filter((_, i) => i % 2 === 1 && fields[i - 1] === name)
}

const SPELLINGS: Readonly<Record<string, string>> = {
  location: 'Location',
  'set-cookie': 'Set-Cookie',
  'www-authenticate': 'WWW-Authenticate',
  'content-type': 'Content-Type',
  'cache-control': 'Cache-Control',
  'retry-after': 'Retry-After',
}

let counter: Counter | undefined

function createCount(template: string): (exchange: Exchange, result: CheckResult) => void {
  counter ??= gatewayMeter().createCounter(METRIC_EXTERNAL_AUTH_REQUESTS, {
    description: 'Decisions of external authorizers',
    unit: '{request}',
  })
  const requests = counter
  const attributes = new Map<CheckResult, Attributes>()
  for (const result of RESULTS) {
    const labels = Object.freeze({ [ATTR_HTTP_ROUTE]: template, [ATTR_EXTERNAL_AUTH_RESULT]: result })
    attributes.set(result, labels)
    // Present with 0 from the start, so that `rate()` sees the first failures of a fresh process.
    requests.add(0, labels)
  }
  return function countCheck({ context }, result) {
    requests.add(1, attributes.get(result), context)
    trace.getSpan(context)?.setAttribute(ATTR_EXTERNAL_AUTH_RESULT, result)
  }
}
