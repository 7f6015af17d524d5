import type { AuthConfig } from '../../config/types'
import { GatewayError } from '../../errors/gateway-error'
import type { Consumer, Exchange, Stage } from '../../exchange'
import { apiKeyChallenge } from './challenges'
import type { Consumers } from './consumers'
import { credentialIn } from './credentials'

export interface AuthenticateOptions {
  readonly auth: AuthConfig
  readonly consumers: Consumers
  /** It is known who asks. */
  readonly onAuthenticated: (exchange: Exchange) => void
}

/** Lets in who shows a credential of the kind the route asks for, and is good for what the route needs: 401, 403. */
export function createAuthenticator({ auth, consumers, onAuthenticated }: AuthenticateOptions): Stage {
  const { apiKey, scopes } = auth

  function admit(exchange: Exchange, consumer: Consumer): void {
    // Before its scopes are looked at: who was refused is worth knowing too.
    exchange.consumer = consumer
    onAuthenticated(exchange)
    const missing = scopes.filter(scope => !consumer.scopes.includes(scope))
    if (missing.length > 0) throw forbidden(missing)
  }

  function unauthenticated(cause: string): GatewayError {
    return new GatewayError('unauthenticated', { cause, headers: challengesOf(auth) })
  }

  function forbidden(missing: readonly string[]): GatewayError {
    const cause = `scopes are missing: ${missing.join(' ')}`
    const error = { error: 'insufficient_scope', scope: scopes.join(' ') }
    return new GatewayError('forbidden', { cause, headers: challengesOf(auth, error) })
  }

  return function authenticate(exchange) {
    const { request } = exchange
    if (apiKey === undefined) throw unauthenticated('no credentials')
    if (!apiKey.forward) exchange.withheldField = apiKey.header
    const key = credentialIn(request, apiKey.header)
    if (key === undefined) throw unauthenticated('no credentials')
    const consumer = consumers.byApiKey(key)
    if (consumer === undefined) throw unauthenticated('unknown API key')
    admit(exchange, consumer)
  }
}

/** One line for each kind of credential that would do, as flat name, value pairs. */
function challengesOf({ apiKey }: AuthConfig, error: Readonly<Record<string, string>> = {}): string[] {
  return apiKey === undefined ? [] : ['WWW-Authenticate', apiKeyChallenge(apiKey.header, error)]
}
