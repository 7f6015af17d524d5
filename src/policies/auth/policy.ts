import type { z } from 'zod'
import type { ConfigFiles } from '../../config/config-files'
import type { Frozen } from '../../config/frozen'
import type { ConfigProblem, TokenConfig } from '../../config/types'
import { asList, asMap, list } from '../../config/understood'
import { durationText } from '../../config/values/duration'
import { mistake } from '../../config/values/parsed'
import type { ReuseOrCreate } from '../../runtime/resources'
import type { Logger } from '../../telemetry/logger'
import type { CheckContext } from '../check-context'
import { definePolicy, defineStep, type FileParts, type PolicyResources } from '../define-policy'
import { createAuthenticator } from './authenticate'
import { addAuthorizerCookies, createExternalCheck } from './external'
import type { ExternalConfig } from './external-schema'
import { createIdentityHook } from './identity-fields'
import { Issuers } from './issuers'
import { keysIn, openKeys, type OpenKeys } from './open-keys'
import { checkCertificates } from '../certificate-checks'
import { authSchema, type AuthConfig } from './schema'
import { TokenVerifier } from './token-verifier'
import { VerifiedTokens } from './verified-tokens'

type Written = Frozen<z.output<typeof authSchema>> | undefined

/** Authenticates clients by an API key, a token or a password, or by one of several of these. */
export const auth = definePolicy({
  name: 'auth',
  schema: authSchema.optional(),
  upstreams: ({ external }) =>
    external?.upstream === undefined ? [] : [{ name: external.upstream, at: ['external', 'upstream'] }],
  resolve: (written, file): AuthConfig | undefined =>
    written && { ...written, jwt: tokensOf(written.jwt, file.tokens), external: externalOf(written.external, file) },
  check: (written, context) => [
    ...checkTokens(written, context),
    ...checkAsked(written, context),
    ...checkPlaces(written, context),
    ...checkExternal(written, context),
    ...checkSomebodyMayPass(written, context),
    ...(written?.certificate ? checkCertificates(context, ['certificate']) : []),
  ],
  create(config, { consumers, files, reuseOrCreate, log, onAuthenticated }) {
    const { apiKey, jwt, external } = config
    // Written by one hook for both positions, because it removes what clients and earlier hooks wrote.
    const onAttempt = createIdentityHook({
      names: [...(jwt?.claimHeaders.map(({ name }) => name) ?? []), ...(external?.upstreamHeaders ?? [])],
      withheldCookies: [
        ...(apiKey?.cookie === undefined || apiKey.forward ? [] : [apiKey.cookie]),
        ...(jwt?.cookie === undefined || jwt.forward === true ? [] : [jwt.cookie]),
      ],
    })
    if (!asksForCredential(config)) return { onAttempt }
    const verifiers = (jwt?.tokens ?? []).map(tokens => {
      return createVerifier(tokens, config, { files, reuseOrCreate, log })
    })
    const [first, ...others] = verifiers
    const issuers = first && new Issuers([first, ...others])
    return { onRequest: createAuthenticator({ auth: config, consumers, issuers, onAuthenticated }), onAttempt }
  },
  refuses: ({ scopes, basic, apiKey, jwt, external }) => [
    'unauthenticated',
    'bad_request',
    ...(scopes.length > 0 || (apiKey?.cookie ?? jwt?.cookie ?? external) !== undefined ? (['forbidden'] as const) : []),
    ...(external === undefined ? [] : (['loop_detected'] as const)),
    ...(basic === undefined ? [] : (['shed'] as const)),
  ],
  describe({ apiKey, jwt, basic, certificate, scopes }) {
    const credentials = [
      ...(apiKey === undefined ? [] : [`API key (${placesText(`header ${apiKey.header}`, apiKey)})`]),
      ...(jwt === undefined ? [] : [tokenText(jwt)]),
      ...(basic === undefined ? [] : ['user and password']),
      ...(certificate ? ['client certificate'] : []),
    ]
    if (credentials.length === 0) return []
    const text = `${credentials.join(' or ')}${scopes.length > 0 ? `, ${scopes.length > 1 ? 'scopes' : 'scope'} ${scopes.join(', ')}` : ''}`
    return [{ about: 'clients', text, subject: 'auth' }]
  },
  explain: (_config, { consumer }) => (consumer === undefined ? '' : `; this is ${consumer.name}`),
})

/** Asks an external authorizer, after the other credentials, so that it gets the consumer and is not asked for nothing. */
export const externalAuth = defineStep({
  name: 'externalAuth',
  of: auth,
  hasSideEffects: true,
  create({ external }, resources) {
    if (external === undefined) return {}
    return {
      onRequest: createExternalCheck(external, resources),
      onResponse: external.clientHeaders.includes('set-cookie') ? addAuthorizerCookies : undefined,
    }
  },
  describe({ external }) {
    if (external === undefined) return []
    const { upstream, path, timeout, failureMode, cache } = external
    const where =
      typeof upstream === 'string' ? `upstream ${upstream}, ${path}` : (upstream.targets[0]?.origin ?? '') + path
    const notes = [
      `within ${durationText(timeout)}`,
      ...(failureMode === 'allow' ? ['requests pass if it fails'] : []),
      ...(cache === undefined ? [] : [`answers kept ${durationText(cache.ttl)}`]),
    ]
    return [{ about: 'clients', text: `external authorization by ${where} (${notes.join(', ')})`, subject: 'auth' }]
  },
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

/** Adds the tokens that a route names. */
function tokensOf(jwt: NonNullable<Written>['jwt'], tokens: FileParts['tokens']): AuthConfig['jwt'] {
  if (jwt === undefined) return undefined
  const profiles = jwt.tokens.map(name => {
    const { clockSkew, ...profile } = tokens[name] as FileParts['tokens'][string]
    return { ...profile, name, clockSkewMs: clockSkew }
  })
  return { ...jwt, tokens: profiles }
}

/** Finds the upstream that a URL stands for. Its name cannot be that of an upstream of the file. */
function externalOf(written: NonNullable<Written>['external'], { upstreamAt }: FileParts): ExternalConfig | undefined {
  if (written === undefined) return undefined
  const { url, upstream, ...others } = written
  if (url === undefined) return { ...others, upstream: upstream ?? '' }
  return { ...others, upstream: upstreamAt(`external-auth/${new URL(url.origin).host}`, url.origin), path: url.path }
}

function checkExternal(written: Written, context: CheckContext): ConfigProblem[] {
  const { external, scopes = [] } = written ?? {}
  if (external === undefined) return []
  const { upstream, url, consumerHeader } = external
  const problems: ConfigProblem[] = []
  if (upstream === undefined && url === undefined) {
    problems.push(context.problemAtKey(['external'], mistake('does not say who is asked', 'upstream or url')))
  }
  if (url !== undefined && (upstream !== undefined || context.valueAt('external', 'path') !== undefined)) {
    const key = upstream === undefined ? 'path' : 'upstream'
    problems.push(
      context.problemAtKey(['external', key], mistake('says again what "url" says', 'upstream and path, or url')),
    )
  }
  const hasOwn = written !== undefined && asksForCredential(written)
  if (consumerHeader !== undefined && hasOwn) {
    const other = mistake('names a consumer, and the credential of this route does so already', 'no consumerHeader')
    problems.push(context.problem(['external', 'consumerHeader'], other))
  }
  if (scopes.length > 0 && !hasOwn) {
    const useless = mistake(
      'are of credentials, and the external authorizer decides itself',
      'apiKey, jwt or basic too',
    )
    problems.push(context.problemAtKey(['scopes'], useless))
  }
  if (url?.origin.startsWith('http:') && !/^http:\/\/(?:localhost|127\.[\d.]+|\[::1\])(?::|$)/.test(url.origin)) {
    const open = mistake('is asked without TLS: anyone on the network path can let requests in', 'https')
    problems.push({ ...context.problem(['external', 'url'], open), severity: 'warning' })
  }
  return problems
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
  if (written === undefined || asksForCredential(written) || written.external !== undefined) return []
  const allowed = 'apiKey, jwt, basic, certificate, external, or several'
  return [context.problemAtKey([], mistake('does not say which credential is required', allowed))]
}

type Asked = Partial<Record<'apiKey' | 'jwt' | 'basic' | 'certificate', unknown>>

function asksForCredential({ apiKey, jwt, basic, certificate }: Asked): boolean {
  return (apiKey ?? jwt ?? basic) !== undefined || certificate === true
}

/** Warns if no consumer can pass. Not an error: a gateway may be deployed before its first consumer. */
function checkSomebodyMayPass(written: Written, context: CheckContext): ConfigProblem[] {
  const { apiKey, jwt, basic } = written ?? {}
  if (jwt !== undefined || written?.certificate) return []
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

type VerifierResources = Pick<PolicyResources, 'files' | 'reuseOrCreate' | 'log'>

function createVerifier(tokens: TokenConfig, { jwt }: AuthConfig, resources: VerifierResources): TokenVerifier {
  const { files, reuseOrCreate, log } = resources
  const keepsClaims = (jwt?.claimHeaders.length ?? 0) > 0
  const verified = reuseOrCreate('verified tokens', [tokens, keepsClaims], () => new VerifiedTokens())
  return new TokenVerifier(tokens, keysOf(tokens, files, reuseOrCreate, log), verified, keepsClaims)
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
