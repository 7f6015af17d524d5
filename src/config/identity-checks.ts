import type { z } from 'zod'
import type { ConfigFiles } from './config-files'
import { problemAt, problemAtKey } from './findings'
import { authSchema } from '../policies/auth/schema'
import { tokenSchema } from './identity-schema'
import { readMistake } from './read-file'
import type { ConfigProblem } from './types'
import { asList, asMap, list, read } from './understood'
import { parseApiKeyHash } from './values/api-key-hash'
import { parseKeySet } from './values/key-set'
import { parseName } from './values/name'
import { EXTERNAL, qualified } from './subjects'
import { mistake, type Mistake } from './values/parsed'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** Checks consumers, their credentials, and the routes that require them. */
export function checkIdentity(source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  const consumers = Object.keys(asMap(source.valueAt(['consumers'])))
  const tokens = Object.keys(asMap(source.valueAt(['tokens'])))
  const routes = asList(source.valueAt(['routes'])).map((raw, index): RouteAuth => {
    return { at: ['routes', index], auth: read(authSchema, asMap(raw).auth) }
  })
  return [
    ...checkNames('consumers', consumers, source),
    ...checkNames('tokens', tokens, source),
    ...checkSubjects(consumers, tokens, source),
    ...checkUnusedTokens(routes, tokens, source),
    ...tokens.flatMap(name => checkKeySource(name, source, files)),
    ...checkKeys(consumers, source),
    ...checkUsers(consumers, source),
    ...checkCertificates(consumers, source),
  ]
}

interface RouteAuth {
  readonly at: Path
  /** Undefined if it is missing or invalid. */
  readonly auth: z.output<typeof authSchema> | undefined
}

function checkNames(key: 'consumers' | 'tokens', names: readonly string[], source: YamlSource): ConfigProblem[] {
  return names.flatMap(name => {
    const parsed = parseName(name)
    if (key === 'tokens' && name === EXTERNAL) {
      const taken = mistake('is what subjects named by external authorizers begin with', 'another name')
      return [problemAtKey([key, name], taken, source)]
    }
    return 'mistake' in parsed ? [problemAtKey([key, name], parsed.mistake, source)] : []
  })
}

/** Checks that each API key belongs to one consumer. */
function checkKeys(consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  const owners = new Map<string, string>()
  return consumers.flatMap(name => {
    const at: Path = ['consumers', name, 'apiKeys']
    return asList(source.valueAt(at)).flatMap((raw, index) => {
      const parsed = parseApiKeyHash(raw)
      if (!('value' in parsed)) return []
      const owner = owners.get(parsed.value)
      owners.set(parsed.value, owner ?? name)
      if (owner === undefined) return []
      return [problemAt([...at, index], mistake(`is already a key of ${owner}`, 'each key once'), source)]
    })
  })
}

/** Checks that each user belongs to one consumer. */
function checkUsers(consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  const owners = new Map<string, string>()
  return consumers.flatMap(name => {
    const at: Path = ['consumers', name, 'users']
    return Object.keys(asMap(source.valueAt(at))).flatMap(user => {
      const owner = owners.get(user)
      owners.set(user, owner ?? name)
      if (owner === undefined) return []
      return [problemAtKey([...at, user], mistake(`is a user of ${owner} already`, 'each user once'), source)]
    })
  })
}

/** Checks that each subject of a certificate belongs to one consumer, and that clients are asked for certificates. */
function checkCertificates(consumers: readonly string[], source: YamlSource): ConfigProblem[] {
  const isAsked = source.valueAt(['entrypoint', 'tls', 'clientCertificates']) !== undefined
  const owners = new Map<unknown, string>()
  return consumers.flatMap(name => {
    const at: Path = ['consumers', name, 'certificates']
    const subjects = asList(source.valueAt(at))
    const never = mistake('has no effect: clients are not asked for certificates', 'entrypoint.tls.clientCertificates')
    if (subjects.length > 0 && !isAsked) return [problemAtKey(at, never, source)]
    return subjects.flatMap((subject, index) => {
      const owner = owners.get(subject)
      owners.set(subject, owner ?? name)
      if (owner === undefined) return []
      return [problemAt([...at, index], mistake(`is a certificate of ${owner} already`, 'each subject once'), source)]
    })
  })
}

/** Checks that each subject belongs to one consumer and that its issuer is unambiguous. */
function checkSubjects(consumers: readonly string[], tokens: readonly string[], source: YamlSource): ConfigProblem[] {
  const owners = new Map<string, string>()
  return consumers.flatMap(name => {
    const at: Path = ['consumers', name, 'subjects']
    return asList(source.valueAt(at)).flatMap((subject, index) => {
      if (typeof subject !== 'string') return []
      const whole = qualified(subject, tokens)
      if (whole === undefined) {
        const forms = tokens.map(token => `${token}/${subject}`)
        const unclear =
          forms.length === 0
            ? mistake('cannot be in a token: this file has no "tokens"', 'tokens, or no subjects')
            : mistake('does not say to which "tokens" it belongs', list(forms))
        return [problemAt([...at, index], unclear, source)]
      }
      const owner = owners.get(whole)
      owners.set(whole, owner ?? name)
      if (owner === undefined) return []
      return [problemAt([...at, index], mistake(`is already a subject of ${owner}`, 'each subject once'), source)]
    })
  })
}

function checkUnusedTokens(
  routes: readonly RouteAuth[],
  tokens: readonly string[],
  source: YamlSource,
): ConfigProblem[] {
  const named = routes.flatMap(({ at, auth }) => auth?.jwt?.tokens.map(name => ({ at, name })) ?? [])
  const unknown = named.filter(({ name }) => !tokens.includes(name))
  // While a route is invalid, the tokens it means would be reported as unused.
  if (unknown.length > 0 || routes.some(({ at, auth }) => auth === undefined && source.valueAt([...at, 'auth'])))
    return []
  const unused = tokens.filter(token => !named.some(({ name }) => name === token))
  return unused.map(name => ({
    ...problemAtKey(['tokens', name], { problem: 'is used by no route' }, source),
    severity: 'warning' as const,
  }))
}

/**
 * Checks where keys come from: a file is read now, as the gateway will read it; a URL is requested only at run time.
 */
function checkKeySource(name: string, source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  const at: Path = ['tokens', name, 'jwks']
  const keys = read(tokenSchema.shape.jwks, source.valueAt(at))
  if (keys === undefined) return []
  if ('file' in keys) {
    const found = keySetMistake(keys.file, files)
    return found === undefined ? [] : [problemAt(at, found, source)]
  }
  const { protocol, hostname } = new URL(keys.url)
  if (protocol === 'https:' || /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(hostname)) return []
  const open = mistake('is fetched without TLS: anyone on the network path can forge tokens', 'https')
  return [{ ...problemAt(at, open, source), severity: 'warning' as const }]
}

function keySetMistake(path: string, files: ConfigFiles): Mistake | undefined {
  const wanted = 'a key set (JWKS) with public keys: {"keys":[…]}'
  let text: string
  try {
    text = files.read(path).toString('utf8')
  } catch (error) {
    return readMistake(error, `${wanted}, or a URL`)
  }
  try {
    parseKeySet(text)
    return undefined
  } catch {
    return mistake('contains no key set', wanted)
  }
}
