import { clientCertificateOf } from '../../certificates/client-certificate'
import { GatewayError } from '../../errors/gateway-error'
import type { Consumer, Exchange, Stage } from '../../exchange/exchange'
import { apiKeyChallenge, bearerChallenge, certificateChallenge, type ChallengeError } from './challenges'
import type { Consumers } from './consumers'
import { bearerTokenIn, credentialIn } from './credentials'
import type { AuthConfig } from './schema'
import { InvalidToken, type TokenVerifier } from './token-verifier'
import type { VerifiedToken } from './verified-tokens'

export interface AuthenticateOptions {
  readonly auth: AuthConfig
  readonly consumers: Consumers
  /** Undefined if the route accepts no tokens. */
  readonly verifier: TokenVerifier | undefined
  /** Called when the consumer is known. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

/** Kind of credential. */
type Scheme = 'apiKey' | 'jwt' | 'certificate'

/** Creates the stage that requires a valid credential (else 401) with the scopes of the route (else 403). */
export function createAuthenticator({ auth, consumers, verifier, onAuthenticated }: AuthenticateOptions): Stage {
  const { apiKey, jwt, certificate: takesCertificate, scopes } = auth

  function admitByKey(exchange: Exchange, key: string): void {
    const consumer = consumers.byApiKey(key)
    if (consumer === undefined) throw refusal('unauthenticated', auth, { cause: 'unknown API key' })
    admit(exchange, consumer, 'apiKey')
  }

  function admitByToken(exchange: Exchange, token: string, by: TokenVerifier): void | Promise<void> {
    const verified = by.verify(token)
    if (verified instanceof Promise) return admitWhenVerified(exchange, verified, by)
    admit(exchange, consumers.ofToken(by.tokens, verified), 'jwt')
  }

  async function admitWhenVerified(exchange: Exchange, verified: Promise<VerifiedToken>, by: TokenVerifier) {
    try {
      admit(exchange, consumers.ofToken(by.tokens, await verified), 'jwt')
    } catch (error) {
      if (!(error instanceof InvalidToken)) throw error
      throw refusal('unauthenticated', auth, {
        cause: error,
        scheme: 'jwt',
        error: { error: 'invalid_token', error_description: error.description },
      })
    }
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
    const key = apiKey && credentialIn(request, apiKey.header)
    const token = verifier && bearerTokenIn(request)
    // Refuses two credentials: the upstream could take the client for the owner of the other one.
    if (key !== undefined && token !== undefined) throw new GatewayError('bad_request', { cause: 'two credentials' })
    if (key !== undefined) {
      if (apiKey?.forward === false) exchange.withheldField = apiKey.header
      return admitByKey(exchange, key)
    }
    if (token !== undefined && verifier !== undefined) {
      if (jwt?.forward === false) exchange.withheldField = 'authorization'
      return admitByToken(exchange, token, verifier)
    }
    if (takesCertificate) return admitByCertificate(exchange)
    throw refusal('unauthenticated', auth, { cause: 'no credentials' })
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
  { apiKey, jwt, certificate }: AuthConfig,
  { cause, scheme, error = {} }: RefusalDetails,
): GatewayError {
  const headers: string[] = []
  const of = (kind: Scheme): ChallengeError => (scheme === kind ? error : {})
  if (apiKey !== undefined) headers.push('WWW-Authenticate', apiKeyChallenge(apiKey.header, of('apiKey')))
  if (jwt !== undefined) headers.push('WWW-Authenticate', bearerChallenge(of('jwt')))
  if (certificate) headers.push('WWW-Authenticate', certificateChallenge(of('certificate')))
  return new GatewayError(reason, { cause, headers })
}
