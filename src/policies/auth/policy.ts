import type { z } from 'zod'
import type { ConfigFiles } from '../../config/config-files'
import type { Frozen } from '../../config/frozen'
import type { ConfigProblem, TokenConfig } from '../../config/types'
import { asList, asMap, list } from '../../config/understood'
import { mistake } from '../../config/values/parsed'
import type { ReuseOrCreate } from '../../runtime/resources'
import type { Logger } from '../../telemetry/logger'
import type { CheckContext } from '../check-context'
import { definePolicy, type FileParts } from '../define-policy'
import { createAuthenticator } from './authenticate'
import { createIdentityHook } from './identity-fields'
import { Issuers } from './issuers'
import { keysIn, openKeys, type OpenKeys } from './open-keys'
import { authSchema, type AuthConfig } from './schema'
import { TokenVerifier } from './token-verifier'

type Written = Frozen<z.output<typeof authSchema>> | undefined

/** Authenticates clients by an API key, a token, or one of the two. */
export const auth = definePolicy({
  name: 'auth',
  schema: authSchema.optional(),
  resolve: (written, { tokens }): AuthConfig | undefined => written && withTokens(written, tokens),
  check: (written, context) => [
    ...checkTokens(written, context),
    ...checkAsked(written, context),
    ...checkPlaces(written, context),
    ...checkSomebodyMayPass(written, context),
  ],
  create(config, { consumers, files, reuseOrCreate, log, onAuthenticated }) {
    const { apiKey, jwt } = config
    const verifiers = (jwt?.tokens ?? []).map(tokens => {
      return new TokenVerifier(tokens, keysOf(tokens, files, reuseOrCreate, log))
    })
    const [first, ...others] = verifiers
    const issuers = first && new Issuers([first, ...others])
    return {
      onRequest: createAuthenticator({ auth: config, consumers, issuers, onAuthenticated }),
      onAttempt: createIdentityHook({
        names: jwt?.claimHeaders.map(({ name }) => name) ?? [],
        withheldCookies: [
          ...(apiKey?.cookie === undefined || apiKey.forward ? [] : [apiKey.cookie]),
          ...(jwt?.cookie === undefined || jwt.forward === true ? [] : [jwt.cookie]),
        ],
      }),
    }
  },
  refuses: ({ scopes, basic, apiKey, jwt }) => [
    'unauthenticated',
    'bad_request',
    ...(scopes.length > 0 || (apiKey?.cookie ?? jwt?.cookie) !== undefined ? (['forbidden'] as const) : []),
    ...(basic === undefined ? [] : (['shed'] as const)),
  ],
  describe({ apiKey, jwt, basic, scopes }) {
    const credentials = [
      ...(apiKey === undefined ? [] : [`API key (${placesText(`header ${apiKey.header}`, apiKey)})`]),
      ...(jwt === undefined ? [] : [tokenText(jwt)]),
      ...(basic === undefined ? [] : ['user and password']),
    ]
    const text = `${credentials.join(' or ')}${scopes.length > 0 ? `, ${scopes.length > 1 ? 'scopes' : 'scope'} ${scopes.join(', ')}` : ''}`
    return [{ about: 'clients', text, subject: 'auth' }]
  },
  explain: (_config, { consumer }) => (consumer === undefined ? '' : `; this is ${consumer.name}`),
})

interface Places {
  readonly query?: string | undefined
  readonly cookie?: string | undefined
}

function placesText(first: string, { query, cookie }: Places): string {
  return [
    first,
    ...(query === undefined ? [] : [`query parameter ${query}`]),
    ...(cookie === undefined ? [] : [`cookie ${cookie}`]),
  ].join(', ')
}

function tokenText({ tokens, claimHeaders, ...places }: NonNullable<AuthConfig['jwt']>): string {
  const names = placesText(tokens.map(({ name }) => name).join(' or '), places)
  const fields = claimHeaders.length === 0 ? '' : `, claims to ${claimHeaders.map(({ name }) => name).join(', ')}`
  return `token (${names}${fields})`
}

function withTokens({ jwt, ...others }: NonNullable<Written>, tokens: FileParts['tokens']): AuthConfig {
  if (jwt === undefined) return { ...others, jwt }
  const profiles = jwt.tokens.map(name => {
    const { clockSkew, ...profile } = tokens[name] as FileParts['tokens'][string]
    return { ...profile, name, clockSkewMs: clockSkew }
  })
  return { ...others, jwt: { ...jwt, tokens: profiles } }
}

function checkTokens(written: Written, context: CheckContext): ConfigProblem[] {
  const tokens = context.names('tokens')
  const isList = Array.isArray(context.valueAt('jwt', 'tokens'))
  return (written?.jwt?.tokens ?? []).flatMap((name, index) => {
    if (tokens.includes(name)) return []
    const allowed = tokens.length === 0 ? 'the name of an entry of "tokens"' : list(tokens)
    const wrong = mistake('is not among the tokens of this file', allowed, context.nearest(name, tokens))
    return [context.problem(['jwt', 'tokens', ...(isList ? [index] : [])], wrong)]
  })
}

/** Checks that a query parameter or cookie carries one kind of credential. */
function checkPlaces(written: Written, context: CheckContext): ConfigProblem[] {
  const { apiKey, jwt } = written ?? {}
  return (['query', 'cookie'] as const).flatMap(place => {
    if (apiKey?.[place] === undefined || apiKey[place] !== jwt?.[place]) return []
    return [context.problem(['jwt', place], mistake('is where API keys are too', 'another name for each'))]
  })
}

/** Checks that `auth` requires a credential: an empty one would admit every client. */
function checkAsked(written: Written, context: CheckContext): ConfigProblem[] {
  if (written === undefined || asksForCredential(written)) return []
  return [
    context.problemAtKey([], mistake('does not say which credential is required', 'apiKey, jwt, basic, or several')),
  ]
}

function asksForCredential({ apiKey, jwt, basic }: NonNullable<Written>): boolean {
  return (apiKey ?? jwt ?? basic) !== undefined
}

/** Warns if no consumer can pass. Not an error: a gateway may be deployed before its first consumer. */
function checkSomebodyMayPass(written: Written, context: CheckContext): ConfigProblem[] {
  const { apiKey, jwt, basic } = written ?? {}
  if (jwt !== undefined) return []
  const names = context.names('consumers')
  const hasKeys = names.some(name => asList(context.inFile('consumers', name, 'apiKeys')).length > 0)
  const hasUsers = names.some(name => Object.keys(asMap(context.inFile('consumers', name, 'users'))).length > 0)
  const warnings: ConfigProblem[] = []
  if (apiKey !== undefined && !hasKeys && !(basic !== undefined && hasUsers)) {
    const none = mistake('allows no request: no consumer has an API key', 'consumers with apiKeys')
    warnings.push({ ...context.problemAtKey(['apiKey'], none), severity: 'warning' })
  }
  if (basic !== undefined && !hasUsers && !(apiKey !== undefined && hasKeys)) {
    const none = mistake('allows no request: no consumer has users', 'consumers with users')
    warnings.push({ ...context.problemAtKey(['basic'], none), severity: 'warning' })
  }
  return warnings
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
