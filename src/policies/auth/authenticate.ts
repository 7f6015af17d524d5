import { GatewayError } from '../../errors/gateway-error'
import type { Consumer, Exchange, Stage } from '../../exchange/exchange'
import { apiKeyChallenge, bearerChallenge, type ChallengeError } from './challenges'
import type { Consumers } from './consumers'
import { bearerTokenIn, credentialIn } from './credentials'
import type { AuthConfig } from './schema'
import { InvalidToken, type TokenVerifier } from './token-verifier'

export interface AuthenticateOptions {
  readonly auth: AuthConfig
  readonly consumers: Consumers
  /** Undefined where the route takes no tokens. */
  readonly verifier: TokenVerifier | undefined
  /** It is known who asks. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

/** How a client shows who it is. */
type Scheme = 'apiKey' | 'jwt'

/** Lets in who shows a credential of a kind the route asks for, and is good for what the route needs: 401, 403. */
export function createAuthenticator({ auth, consumers, verifier, onAuthenticated }: AuthenticateOptions): Stage {
  const { apiKey, jwt, scopes } = auth

  function admitByKey(exchange: Exchange, key: string): void {
    const consumer = consumers.byApiKey(key)
    if (consumer === undefined) throw refusal('unauthenticated', auth, { cause: 'unknown API key' })
    admit(exchange, consumer, 'apiKey')
  }

  async function admitByToken(exchange: Exchange, token: string, by: TokenVerifier): Promise<void> {
    try {
      const { subject, scopes: granted } = await by.verify(token)
      admit(exchange, consumers.bySubject(by.tokens, subject, granted), 'jwt')
    } catch (error) {
      if (!(error instanceof InvalidToken)) throw error
      throw refusal('unauthenticated', auth, {
        cause: error,
        scheme: 'jwt',
        error: { error: 'invalid_token', error_description: error.description },
      })
    }
  }

  function admit(exchange: Exchange, consumer: Consumer, scheme: Scheme): void {
    // Before its scopes are looked at: who was refused is worth knowing too.
    exchange.consumer = consumer
    onAuthenticated(exchange)
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
    // Let in by the one, a client could be somebody else to an upstream that believes the other.
    if (key !== undefined && token !== undefined) throw new GatewayError('bad_request', { cause: 'two credentials' })
    if (key !== undefined) {
      if (apiKey?.forward === false) exchange.withheldField = apiKey.header
      return admitByKey(exchange, key)
    }
    if (token !== undefined && verifier !== undefined) {
      if (jwt?.forward === false) exchange.withheldField = 'authorization'
      return admitByToken(exchange, token, verifier)
    }
    throw refusal('unauthenticated', auth, { cause: 'no credentials' })
  }
}

interface RefusalDetails {
  readonly cause: unknown
  /** Of the credential that was shown, and what is wrong with it. */
  readonly scheme?: Scheme
  readonly error?: ChallengeError
}

/** With one challenge for each kind of credential that would do. */
function refusal(
  reason: 'unauthenticated' | 'forbidden',
  { apiKey, jwt }: AuthConfig,
  { cause, scheme, error = {} }: RefusalDetails,
): GatewayError {
  const headers: string[] = []
  const of = (kind: Scheme): ChallengeError => (scheme === kind ? error : {})
  if (apiKey !== undefined) headers.push('WWW-Authenticate', apiKeyChallenge(apiKey.header, of('apiKey')))
  if (jwt !== undefined) headers.push('WWW-Authenticate', bearerChallenge(of('jwt')))
  return new GatewayError(reason, { cause, headers })
}
