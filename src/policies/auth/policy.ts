import type { z } from 'zod'
import type { ConfigFiles } from '../../config/config-files'
import type { Frozen } from '../../config/frozen'
import type { ConfigProblem, TokenConfig } from '../../config/types'
import { asList, list } from '../../config/understood'
import { mistake } from '../../config/values/parsed'
import type { ReuseOrCreate } from '../../runtime/resources'
import type { Logger } from '../../telemetry/logger'
import type { CheckContext } from '../check-context'
import { definePolicy, type FileParts } from '../define-policy'
import { createAuthenticator } from './authenticate'
import { keysIn, openKeys, type OpenKeys } from './open-keys'
import { checkCertificates } from '../certificate-checks'
import { authSchema, type AuthConfig } from './schema'
import { TokenVerifier } from './token-verifier'
import { VerifiedTokens } from './verified-tokens'

type Written = Frozen<z.output<typeof authSchema>> | undefined

/** Authenticates clients by an API key, a token, or one of the two. */
export const auth = definePolicy({
  name: 'auth',
  schema: authSchema.optional(),
  resolve: (written, { tokens }): AuthConfig | undefined => written && withTokens(written, tokens),
  check: (written, context) => [
    ...checkTokens(written, context),
    ...checkAsked(written, context),
    ...checkSomebodyMayPass(written, context),
    ...(written?.certificate ? checkCertificates(context, ['certificate']) : []),
  ],
  create(config, { consumers, files, reuseOrCreate, log, onAuthenticated }) {
    const { jwt } = config
    const verifier = jwt && createVerifier(jwt.tokens, files, reuseOrCreate, log)
    return { onRequest: createAuthenticator({ auth: config, consumers, verifier, onAuthenticated }) }
  },
  refuses: ({ scopes }) => ['unauthenticated', 'bad_request', ...(scopes.length > 0 ? (['forbidden'] as const) : [])],
  describe({ apiKey, jwt, certificate, scopes }) {
    const credentials = [
      ...(apiKey === undefined ? [] : [`API key (header ${apiKey.header})`]),
      ...(jwt === undefined ? [] : [`token (${jwt.tokens.name})`]),
      ...(certificate ? ['client certificate'] : []),
    ]
    const text = `${credentials.join(' or ')}${scopes.length > 0 ? `, ${scopes.length > 1 ? 'scopes' : 'scope'} ${scopes.join(', ')}` : ''}`
    return [{ about: 'clients', text, subject: 'auth' }]
  },
  explain: (_config, { consumer }) => (consumer === undefined ? '' : `; this is ${consumer.name}`),
})

function withTokens({ jwt, ...others }: NonNullable<Written>, tokens: FileParts['tokens']): AuthConfig {
  if (jwt === undefined) return { ...others, jwt }
  const { clockSkew, ...profile } = tokens[jwt.tokens] as FileParts['tokens'][string]
  return { ...others, jwt: { tokens: { ...profile, name: jwt.tokens, clockSkewMs: clockSkew }, forward: jwt.forward } }
}

function checkTokens(written: Written, context: CheckContext): ConfigProblem[] {
  const name = written?.jwt?.tokens
  const tokens = context.names('tokens')
  if (name === undefined || tokens.includes(name)) return []
  const allowed = tokens.length === 0 ? 'the name of an entry of "tokens"' : list(tokens)
  const wrong = mistake('is not among the tokens of this file', allowed, context.nearest(name, tokens))
  return [context.problem(['jwt', 'tokens'], wrong)]
}

/** Checks that `auth` requires a credential: an empty one would admit every client. */
function checkAsked(written: Written, context: CheckContext): ConfigProblem[] {
  if (written === undefined || written.apiKey !== undefined || written.jwt !== undefined || written.certificate)
    return []
  const allowed = 'apiKey, jwt, certificate, or several'
  return [context.problemAtKey([], mistake('does not say which credential is required', allowed))]
}

/** Warns if no consumer can pass. Not an error: a gateway may be deployed before its first consumer. */
function checkSomebodyMayPass(written: Written, context: CheckContext): ConfigProblem[] {
  if (written?.apiKey === undefined || written.jwt !== undefined || written.certificate) return []
  const hasKeys = context
    .names('consumers')
    .some(name => asList(context.inFile('consumers', name, 'apiKeys')).length > 0)
  if (hasKeys) return []
  const nobody = mistake('allows no request: no consumer has an API key', 'consumers with apiKeys')
  return [{ ...context.problemAtKey(['apiKey'], nobody), severity: 'warning' }]
}

function createVerifier(
  tokens: TokenConfig,
  files: ConfigFiles,
  reuseOrCreate: ReuseOrCreate,
  log: Logger,
): TokenVerifier {
  const verified = reuseOrCreate('verified tokens', tokens, () => new VerifiedTokens())
  return new TokenVerifier(tokens, keysOf(tokens, files, reuseOrCreate, log), verified)
}

/**
 * Returns the keys of an issuer, shared by all routes and kept by a reload: keys are not imported again, and fetched keys
 * stay valid while the issuer is unavailable.
 */
function keysOf({ jwks }: TokenConfig, files: ConfigFiles, reuseOrCreate: ReuseOrCreate, log: Logger): OpenKeys {
  if ('url' in jwks) return reuseOrCreate('keys', jwks, () => openKeys(jwks, files, log))
  // By content: the file may be replaced under the same path.
  const text = files.read(jwks.file).toString('utf8')
  return reuseOrCreate('keys', text, () => keysIn(text))
}
