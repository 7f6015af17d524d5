import { clientCertificateOf } from '../../certificates/client-certificate'
import { GatewayError } from '../../errors/gateway-error'
import type { Consumer, Exchange, Stage } from '../../exchange/exchange'
import { basicCredentialsIn } from './basic-credentials'
import {
  apiKeyChallenge,
  basicChallenge,
  bearerChallenge,
  certificateChallenge,
  type ChallengeError,
} from './challenges'
import { fieldsOfClaims } from './claim-headers'
import type { Consumers } from './consumers'
import { bearerTokenIn, credentialIn } from './credentials'
import type { Issuers } from './issuers'
import { cookieCredential, isFromAnotherOrigin, queryParameter, withoutParameter } from './presented'
import type { AuthConfig } from './schema'
import { InvalidToken } from './token-verifier'
import type { VerifiedToken } from './verified-tokens'

export interface AuthenticateOptions {
  readonly auth: AuthConfig
  readonly consumers: Consumers
  /** Undefined if the route accepts no tokens. */
  readonly issuers: Issuers | undefined
  /** Called when the consumer is known. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

/** Kind of credential. */
type Scheme = 'apiKey' | 'jwt' | 'basic' | 'certificate'

/** Creates the stage that requires a valid credential (else 401) with the scopes of the route (else 403). */
export function createAuthenticator({ auth, consumers, issuers, onAuthenticated }: AuthenticateOptions): Stage {
  const { apiKey, jwt, basic, certificate: takesCertificate, scopes } = auth
  const fromQuery = createQueryReader(auth)
  const fromCookie = createCookieReader(auth)

  function admitByKey(exchange: Exchange, key: string): void {
    const consumer = consumers.byApiKey(key)
    if (consumer === undefined) throw refusal('unauthenticated', auth, { cause: 'unknown API key' })
    admit(exchange, consumer, 'apiKey')
  }

  function admitByToken(exchange: Exchange, token: string, by: Issuers): void | Promise<void> {
    const verified = by.verify(token)
    if (verified instanceof Promise) return admitWhenVerified(exchange, verified)
    admitVerified(exchange, verified)
  }

  async function admitWhenVerified(exchange: Exchange, verified: Promise<VerifiedToken>): Promise<void> {
    try {
      admitVerified(exchange, await verified)
    } catch (error) {
      throw asRefusal(error)
    }
  }

  function admitVerified(exchange: Exchange, verified: VerifiedToken): void {
    if (jwt !== undefined && jwt.claimHeaders.length > 0) {
      try {
        exchange.identityFields = fieldsOfClaims(jwt.claimHeaders, verified.claims ?? {})
      } catch (error) {
        throw asRefusal(error)
      }
    }
    admit(exchange, consumers.ofToken(verified.tokens, verified), 'jwt')
  }

  function asRefusal(error: unknown): unknown {
    if (!(error instanceof InvalidToken)) return error
    return refusal('unauthenticated', auth, {
      cause: error,
      scheme: 'jwt',
      error: { error: 'invalid_token', error_description: error.description },
    })
  }

  function admitByPassword(exchange: Exchange, authorization: string): void | Promise<void> {
    const credentials = basicCredentialsIn(authorization)
    if (credentials === 'malformed' || credentials === undefined) {
      throw refusal('unauthenticated', auth, { cause: 'malformed Basic credentials' })
    }
    const found = consumers.byPassword(credentials.user, credentials.password)
    if (found instanceof Promise) return found.then(consumer => admitUser(exchange, consumer))
    return admitUser(exchange, found)
  }

  function admitUser(exchange: Exchange, consumer: Consumer | undefined): void {
    if (consumer === undefined) throw refusal('unauthenticated', auth, { cause: 'unknown user or wrong password' })
    admit(exchange, consumer, 'basic')
  }

  function admitByCertificate(exchange: Exchange): void {
    const found = clientCertificateOf(exchange.request)
    if (found === undefined) throw refusal('unauthenticated', auth, { cause: 'no credentials' })
    if (found.subject === undefined) {
      throw refusal('unauthenticated', auth, { cause: 'the certificate lacks the part that names its client' })
    }
    admit(exchange, consumers.byCertificate(found.subject), 'certificate')
  }

  function admit(exchange: Exchange, consumer: Consumer, scheme: Scheme): void {
    // Set before scopes are checked, so that refusals are recorded with their consumer.
    exchange.consumer = consumer
    onAuthenticated(exchange)
    if (scopes.length === 0) return
    const missing = scopes.filter(scope => !consumer.scopes.includes(scope))
    if (missing.length === 0) return
    throw refusal('forbidden', auth, {
      cause: `scopes are missing: ${missing.join(' ')}`,
      scheme,
      error: { error: 'insufficient_scope', scope: scopes.join(' ') },
    })
  }

  return function authenticate(exchange) {
    const { request } = exchange
    let key = apiKey && credentialIn(request, apiKey.header)
    const isBasic = basic !== undefined && /^basic\b/i.test(request.headers.authorization ?? '')
    const authorization = isBasic ? credentialIn(request, 'authorization') : undefined
    let token = issuers && authorization === undefined ? bearerTokenIn(request) : undefined
    const presented = fromQuery?.(exchange)
    // Refuses two credentials: the upstream could take the client for the owner of the other one.
    const count =
      Number(key !== undefined) +
      Number(authorization !== undefined) +
      Number(token !== undefined) +
      Number(presented?.key !== undefined) +
      Number(presented?.token !== undefined)
    if (count > 1) throw new GatewayError('bad_request', { cause: 'two credentials' })
    // A field names its credential on purpose; browsers send cookies with every request.
    const withCookie = count === 0 ? fromCookie?.(exchange) : undefined
    if (key !== undefined && apiKey?.forward === false) exchange.withheldField = apiKey.header
    if (token !== undefined && jwt?.forward === false) exchange.withheldField = 'authorization'
    key ??= presented?.key ?? withCookie?.key
    token ??= presented?.token ?? withCookie?.token
    if (key !== undefined) return admitByKey(exchange, key)
    if (token !== undefined && issuers !== undefined) return admitByToken(exchange, token, issuers)
    if (authorization !== undefined) {
      if (basic?.forward === false) exchange.withheldField = 'authorization'
      return admitByPassword(exchange, authorization)
    }
    if (takesCertificate) return admitByCertificate(exchange)
    throw refusal('unauthenticated', auth, { cause: 'no credentials' })
  }
}

/** Credentials outside of header fields. */
interface Presented {
  readonly key: string | undefined
  readonly token: string | undefined
}

/** Creates the function that reads credentials from the query and removes those that are not forwarded. */
function createQueryReader({ apiKey, jwt }: AuthConfig): ((exchange: Exchange) => Presented | undefined) | undefined {
  if (apiKey?.query === undefined && jwt?.query === undefined) return undefined
  return function readQuery(exchange) {
    const { query } = exchange
    if (query.length < 2) return undefined
    // Removed before they are judged, so that the values of refused requests are in no log either.
    if (apiKey?.query !== undefined && !apiKey.forward) exchange.query = withoutParameter(exchange.query, apiKey.query)
    if (jwt?.query !== undefined && jwt.forward !== true) exchange.query = withoutParameter(exchange.query, jwt.query)
    return {
      key: apiKey?.query === undefined ? undefined : queryParameter(query, apiKey.query),
      token: jwt?.query === undefined ? undefined : queryParameter(query, jwt.query),
    }
  }
}

/** Creates the function that reads credentials from cookies. */
function createCookieReader({ apiKey, jwt }: AuthConfig): ((exchange: Exchange) => Presented) | undefined {
  if (apiKey?.cookie === undefined && jwt?.cookie === undefined) return undefined
  return function readCookies(exchange) {
    const { request, upgrade } = exchange
    const key = apiKey?.cookie === undefined ? undefined : cookieCredential(request, apiKey.cookie)
    const token = jwt?.cookie === undefined ? undefined : cookieCredential(request, jwt.cookie)
    if (key !== undefined && token !== undefined) throw new GatewayError('bad_request', { cause: 'two credentials' })
    const changes = upgrade !== undefined || (request.method !== 'GET' && request.method !== 'HEAD')
    if ((key ?? token) !== undefined && changes && isFromAnotherOrigin(exchange)) {
      throw new GatewayError('forbidden', { cause: 'a page of another origin sends the cookie' })
    }
    return { key, token }
  }
}

interface RefusalDetails {
  readonly cause: unknown
  /** Kind of the credential that was presented; `error` says why it is not accepted. */
  readonly scheme?: Scheme
  readonly error?: ChallengeError
}

/** Creates the refusal, with a challenge for each accepted kind of credential. */
function refusal(
  reason: 'unauthenticated' | 'forbidden',
  { apiKey, jwt, basic, certificate }: AuthConfig,
  { cause, scheme, error = {} }: RefusalDetails,
): GatewayError {
  const headers: string[] = []
  const of = (kind: Scheme): ChallengeError => (scheme === kind ? error : {})
  if (apiKey !== undefined) headers.push('WWW-Authenticate', apiKeyChallenge(apiKey.header, of('apiKey')))
  if (jwt !== undefined) headers.push('WWW-Authenticate', bearerChallenge(of('jwt')))
  if (basic !== undefined) headers.push('WWW-Authenticate', basicChallenge())
  if (certificate) headers.push('WWW-Authenticate', certificateChallenge(of('certificate')))
  return new GatewayError(reason, { cause, headers })
}
