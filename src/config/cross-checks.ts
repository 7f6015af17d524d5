import { CheckContext } from '../policies/check-context'
import { checkSharedLimits } from '../policies/rate-limit/shared-policy'
import { isRoutePolicy, namesNone, type RegistryEntry } from '../policies/define-policy'
import { answersIn, checkAnswers, choicesIn } from './answer-checks'
import type { ConfigFiles } from './config-files'
import { entrypointSchema, entrypointTlsSchema, responseBufferSchema } from './entrypoint-schema'
import { checkErrorPages } from '../policies/error-page/check'
import { checkFieldNames } from './field-names-check'
import { problemAt, problemAtKey } from './findings'
import { checkGuards } from './guard-checks'
import { checkIdentity } from './identity-checks'
import { checkAmbiguity, checkNameSets, checkPatterns, type UnderstoodMatch } from './match-checks'
import { matchSchema } from './match-schema'
import { nearestName } from './nearest-name'
import { routeNameField, routeUpstreamField } from './schema'
import { checkListenerFiles, checkTlsFiles, type TlsMistake } from './tls-check'
import { checkThresholds } from '../slo/slo-checks'
import type { ConfigProblem } from './types'
import { asList, asMap, list, read } from './understood'
import { tlsSchema } from './upstream-schema'
import { parseName } from './values/name'
import { mistake, type Mistake } from './values/parsed'
import { sizeText } from './values/size'
import type { TargetConfig } from './values/target'
import { isSource, parseTargetOrSource, type TargetSource } from './values/target-source'
import { parseTargetList } from './target-list'
import { quoted } from './quoted'
import { readMistake } from './read-file'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/**
 * Checks rules between keys. It works on the parts of the file that are valid, so that one wrong duration does not hide
 * an unknown upstream: all problems are reported together.
 *
 * There is no check for unreachable routes: the most specific route wins, whatever the order in the file, so only an
 * equal route could hide another one, and that is an error.
 */
export function crossChecks(
  source: YamlSource,
  entries: readonly RegistryEntry[],
  files: ConfigFiles,
): ConfigProblem[] {
  const upstreams = Object.keys(asMap(source.valueAt(['upstreams'])))
  const routes = asList(source.valueAt(['routes'])).map((raw, index) => understand(asMap(raw), index, entries))
  return [
    ...checkTimeouts(source),
    ...checkUrlLength(source),
    ...checkResponseBuffer(source),
    ...checkUpstreams(upstreams, source, files),
    ...checkEntrypointTls(source, files),
    ...checkEntrypointAccess(source),
    ...checkTls(upstreams, source, files),
    ...checkRouteNames(routes, source),
    ...checkRouteUpstreams(routes, upstreams, entries, source),
    ...routes.flatMap(({ at }) => checkAnswers(at, entries, source)),
    ...routes.flatMap(({ at, raw }) => checkPolicies(at, raw, entries, source)),
    ...checkAmbiguity(routes, route => label(route, source), source),
    ...checkNameSets(routes, source),
    ...checkPatterns(routes, source),
    ...checkGuards(routes, route => label(route, source), ANY_HOST, source),
    ...routes.flatMap(({ at }) => checkFieldNames(new CheckContext(source, at, 'match'), 'headers')),
    ...checkSharedLimits(source),
    ...checkIdentity(source, files),
    ...checkThresholds(source),
    ...checkErrorPages(source, files),
  ]
}

/** The valid parts of a route; a field is undefined if it is invalid or missing. */
interface UnderstoodRoute {
  readonly at: Path
  readonly raw: Readonly<Record<string, unknown>>
  readonly name: string | undefined
  readonly upstream: string | undefined
  /** The upstreams that may get its requests: its own, or those of its variants. */
  readonly upstreams: readonly string[]
  /** The route has a policy that answers or that chooses the upstream. */
  readonly answers: boolean
  /** Undefined unless the whole match is valid. */
  readonly match: UnderstoodMatch | undefined
}

const ANY_HOST = 'any host'
const ANY_METHOD = 'any method'

function understand(
  raw: Readonly<Record<string, unknown>>,
  index: number,
  entries: readonly RegistryEntry[],
): UnderstoodRoute {
  const upstream = read(routeUpstreamField, raw['upstream'])
  return {
    at: ['routes', index],
    raw,
    name: read(routeNameField, raw['name']),
    upstream,
    upstreams: upstream === undefined ? chosenUpstreams(raw, entries) : [upstream],
    answers:
      raw['upstream'] === undefined &&
      [...answersIn(entries), ...choicesIn(entries)].some(name => raw[name] !== undefined),
    match: understandMatch(raw['match']),
  }
}

/** The upstreams that a policy chooses from. */
function chosenUpstreams(raw: UnderstoodRoute['raw'], entries: readonly RegistryEntry[]): string[] {
  const choosing = entries.filter(isRoutePolicy).filter(policy => policy.choosesUpstream)
  return choosing.flatMap(policy => {
    const written = raw[policy.name] === undefined ? undefined : read(policy.schema, raw[policy.name])
    return written === undefined ? [] : policy.upstreams(written).map(({ name }) => name)
  })
}

function understandMatch(raw: unknown): UnderstoodMatch | undefined {
  const match = read(matchSchema, raw)
  if (match === undefined) return undefined
  const { host = ANY_HOST, methods = [ANY_METHOD] } = match
  return { ...match, host, methods }
}

/** Runs each policy's own check of its key. */
function checkPolicies(
  at: Path,
  raw: Readonly<Record<string, unknown>>,
  entries: readonly RegistryEntry[],
  source: YamlSource,
): ConfigProblem[] {
  return entries.filter(isRoutePolicy).flatMap(policy => {
    const written = raw[policy.name]
    const understood = written === undefined ? undefined : read(policy.schema, written)
    return policy.check(understood, new CheckContext(source, at, policy.name))
  })
}

/** Checks that the request timeout is not below the headers timeout: Node refuses to start such a server. */
function checkTimeouts(source: YamlSource): ConfigProblem[] {
  const { headersTimeout, requestTimeout } = asMap(source.valueAt(['entrypoint']))
  const headersMs = read(entrypointSchema.shape.headersTimeout, headersTimeout)
  const requestMs = read(entrypointSchema.shape.requestTimeout, requestTimeout)
  if (headersMs === undefined || requestMs === undefined || requestMs === 0 || requestMs >= headersMs) return []
  const allowed = `at least headersTimeout, which is ${headersMs} ms, or 0s for no bound`
  return [problemAt(['entrypoint', 'requestTimeout'], mistake('is shorter than headersTimeout', allowed), source)]
}

/**
 * Checks the URL limit against the header limit: the URL is part of the header section, so a larger limit has no
 * effect.
 */
function checkUrlLength(source: YamlSource): ConfigProblem[] {
  const { maxUrlLength, maxHeaderSize } = asMap(source.valueAt(['entrypoint']))
  if (maxUrlLength === undefined) return []
  const urlBytes = read(entrypointSchema.shape.maxUrlLength, maxUrlLength)
  const headerBytes = read(entrypointSchema.shape.maxHeaderSize, maxHeaderSize)
  if (urlBytes === undefined || headerBytes === undefined || urlBytes < headerBytes) return []
  const allowed = `less than maxHeaderSize, which is ${headerBytes}B`
  return [problemAt(['entrypoint', 'maxUrlLength'], mistake('is not less than maxHeaderSize', allowed), source)]
}

/** Checks that the limit per response is not above the total: one response could never use it. */
function checkResponseBuffer(source: YamlSource): ConfigProblem[] {
  const at: Path = ['entrypoint', 'responseBuffer']
  const found = asMap(source.valueAt(at))
  const shape = responseBufferSchema.shape
  const perResponse = read(shape.perResponse, found['perResponse'])
  const total = read(shape.total, found['total'])
  if (perResponse === undefined || total === undefined || perResponse <= total) return []
  // The key that is in the file.
  const wrong =
    found['perResponse'] === undefined
      ? mistake('is less than perResponse', `at least perResponse, which is ${sizeText(perResponse)}`)
      : mistake('is more than total', `at most total, which is ${sizeText(total)}`)
  return [problemAt([...at, found['perResponse'] === undefined ? 'total' : 'perResponse'], wrong, source)]
}

function checkUpstreams(upstreams: readonly string[], source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  const found = source.valueAt(['upstreams'])
  if (upstreams.length === 0 && found === asMap(found)) {
    return [problemAtKey(['upstreams'], mistake('has nothing in it', 'at least one upstream'), source)]
  }
  return upstreams.flatMap(name => {
    const at: Path = ['upstreams', name]
    const parsed = parseName(name)
    const problems = 'mistake' in parsed ? [problemAtKey(at, parsed.mistake, source)] : []
    const { circuitBreaker, ejection, protocol, http2, healthCheck } = asMap(source.valueAt(at))
    if (circuitBreaker !== undefined && ejection !== undefined) {
      const useless = mistake('has no effect beside "circuitBreaker", which is stricter', 'one of the two')
      problems.push(problemAtKey([...at, 'ejection'], useless, source))
    }
    const seen = new Set<string>()
    for (const [index, raw] of asList(source.valueAt([...at, 'targets'])).entries()) {
      const target = parseTargetOrSource(raw)
      if (!('value' in target)) continue
      const again = mistake('appears twice', 'each target once')
      const key = isSource(target.value) ? JSON.stringify(target.value) : target.value.origin
      if (seen.has(key)) problems.push(problemAt([...at, 'targets', index], again, source))
      seen.add(key)
      const origin = originIn(target.value)
      const wrongScheme = origin === undefined ? undefined : schemeMistake(protocol, origin)
      if (wrongScheme !== undefined) problems.push(problemAt([...at, 'targets', index], wrongScheme, source))
      const unusable = isSource(target.value) ? listMistake(target.value, files) : undefined
      if (unusable !== undefined) problems.push(problemAt([...at, 'targets', index], unusable, source))
    }
    problems.push(...checkHealthCheck(at, asMap(healthCheck), healthCheck !== undefined, protocol, source))
    if (http2 !== undefined && (protocol === undefined || protocol === 'http1')) {
      const useless = mistake('has no effect: the protocol is HTTP/1.1', '"protocol: h2c", h2 or auto, or no "http2"')
      problems.push(problemAtKey([...at, 'http2'], useless, source))
    }
    return problems
  })
}

/** Checks that a health check has a path or is one of gRPC, which needs HTTP/2. */
function checkHealthCheck(
  at: Path,
  { path, grpc }: Readonly<Record<string, unknown>>,
  isPresent: boolean,
  protocol: unknown,
  source: YamlSource,
): ConfigProblem[] {
  if (!isPresent) return []
  const where = [...at, 'healthCheck']
  if (path === undefined && grpc === undefined) {
    return [problemAt([...where, 'path'], mistake('is missing', 'a path, or "grpc"'), source)]
  }
  if (grpc === undefined) return []
  const problems: ConfigProblem[] = []
  if (path !== undefined) {
    const both = mistake('has no effect beside "grpc"', 'one of the two')
    problems.push(problemAtKey([...where, 'path'], both, source))
  }
  if (protocol === undefined || protocol === 'http1') {
    const wrong = mistake('needs HTTP/2', '"protocol: h2c", h2 or auto for this upstream')
    problems.push(problemAtKey([...where, 'grpc'], wrong, source))
  }
  return problems
}

/** Checks that the scheme of a target fits the protocol: only `h2` and `auto` use TLS. */
function schemeMistake(protocol: unknown, origin: string): Mistake | undefined {
  const isSecure = origin.startsWith('https:')
  if (protocol === 'h2' && !isSecure) return mistake('has no TLS, which "protocol: h2" needs', 'https, or protocol h2c')
  if (protocol === 'h2c' && isSecure) return mistake('uses TLS, which "protocol: h2c" does not', 'http, or protocol h2')
  return undefined
}

/** Why a file of targets cannot be used. Once the gateway runs, such content keeps the targets before. */
function listMistake(source: TargetSource, files: ConfigFiles): Mistake | undefined {
  if (source.kind !== 'file') return undefined
  const about = ({ problem, ...hints }: Mistake): Mistake => ({
    problem: `names ${quoted(source.path)}, which ${problem}`,
    ...hints,
  })
  try {
    const list = parseTargetList(files.read(source.path).toString('utf8'))
    return Array.isArray(list) ? undefined : about(list)
  } catch (error) {
    return about(readMistake(error, 'a file with a list of targets'))
  }
}

function checkEntrypointTls(source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  const at: Path = ['entrypoint', 'tls']
  const { data } = entrypointTlsSchema.safeParse(source.valueAt(at))
  if (data === undefined) return []
  return checkListenerFiles(data, files).map(({ below, ...found }) => tlsProblem([...at, ...below], found, source))
}

/** Checks that clients are asked for the certificates that `access` names. */
function checkEntrypointAccess(source: YamlSource): ConfigProblem[] {
  const { access, tls } = asMap(source.valueAt(['entrypoint']))
  if (asList(asMap(access)['certificates']).length === 0 || asMap(tls)['clientCertificates'] !== undefined) return []
  const never = mistake('has no effect: clients are not asked for certificates', 'entrypoint.tls.clientCertificates')
  return [problemAtKey(['entrypoint', 'access', 'certificates'], never, source)]
}

function tlsProblem(at: Path, { key, mistake: found, severity }: TlsMistake, source: YamlSource): ConfigProblem {
  return { ...problemAt([...at, key], found, source), ...(severity && { severity }) }
}

function checkTls(upstreams: readonly string[], source: YamlSource, files: ConfigFiles): ConfigProblem[] {
  return upstreams.flatMap(name => {
    const at: Path = ['upstreams', name]
    const found = source.valueAt([...at, 'tls'])
    const parsed = tlsSchema.safeParse(found)
    if (found === undefined || !parsed.success) return []
    const targets = asList(source.valueAt([...at, 'targets'])).map(parseTargetOrSource)
    const isOfUse = targets.some(target => !('value' in target) || mayUseHttps(target.value))
    const useless = mistake('has no effect: no target uses https', 'https targets, or no "tls"')
    return [
      ...(isOfUse ? [] : [problemAtKey([...at, 'tls'], useless, source)]),
      ...checkTlsFiles(parsed.data, files).map(found => tlsProblem([...at, 'tls'], found, source)),
    ]
  })
}

function mayUseHttps(target: TargetConfig | TargetSource): boolean {
  return originIn(target)?.startsWith('https:') !== false
}

/** The origin of a target, or one with the scheme of a source; undefined for a file, whose entries say theirs. */
function originIn(target: TargetConfig | TargetSource): string | undefined {
  if (!isSource(target)) return target.origin
  if (target.kind === 'file') return undefined
  if (target.kind === 'dns') return target.origin
  return `${target.scheme}://${target.kind === 'srv' ? target.name : target.service}`
}

function checkRouteNames(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  const first = new Map<string, UnderstoodRoute>()
  return routes.flatMap(route => {
    if (route.name === undefined) return []
    const earlier = first.get(route.name)
    first.set(route.name, earlier ?? route)
    if (earlier === undefined) return []
    const again = mistake(`is the name of ${label(earlier, source)} too`, 'a unique name for each route')
    return [problemAt([...route.at, 'name'], again, source)]
  })
}

function checkRouteUpstreams(
  routes: readonly UnderstoodRoute[],
  upstreams: readonly string[],
  entries: readonly RegistryEntry[],
  source: YamlSource,
): ConfigProblem[] {
  const named = routes.flatMap(route => upstreamsNamed(route, entries))
  const unknown = named.filter(({ name }) => !upstreams.includes(name))
  const problems = unknown.map(({ at, name }) => {
    const nearest = nearestName(name, upstreams)
    return problemAt(at, mistake('is not an upstream of this file', list(upstreams), nearest), source)
  })
  // While a route's upstream is invalid, the upstream it means would be reported as unused.
  if (unknown.length > 0 || routes.some(({ upstream, answers }) => upstream === undefined && !answers)) return problems
  // The same while a policy that names upstreams is invalid.
  if (routes.some(({ raw }) => hasUnreadUpstreams(raw, entries))) return problems
  const used = new Set(named.map(({ name }) => name))
  const unused = upstreams.filter(name => !used.has(name))
  return unused.map(name => ({
    ...problemAtKey(['upstreams', name], { problem: 'is used by no route' }, source),
    severity: 'warning' as const,
  }))
}

/** The upstreams that a route and its valid policies name. */
function upstreamsNamed(
  { at, raw, upstream }: UnderstoodRoute,
  entries: readonly RegistryEntry[],
): { readonly name: string; readonly at: Path }[] {
  const own = upstream === undefined ? [] : [{ name: upstream, at: [...at, 'upstream'] }]
  const ofPolicies = entries.filter(isRoutePolicy).flatMap(policy => {
    const written = raw[policy.name] === undefined ? undefined : read(policy.schema, raw[policy.name])
    if (written === undefined || written === null) return []
    return policy.upstreams(written).map(({ name, at: below }) => ({ name, at: [...at, policy.name, ...below] }))
  })
  return [...own, ...ofPolicies]
}

/** Whether a policy that names upstreams is invalid, so that it is unknown which. */
function hasUnreadUpstreams(raw: UnderstoodRoute['raw'], entries: readonly RegistryEntry[]): boolean {
  return entries.some(
    entry =>
      isRoutePolicy(entry) &&
      entry.upstreams !== namesNone &&
      raw[entry.name] !== undefined &&
      read(entry.schema, raw[entry.name]) === undefined,
  )
}

function label({ at, name }: UnderstoodRoute, source: YamlSource): string {
  return `routes[${String(at[1])}]${name === undefined ? '' : ` "${name}"`} (${source.line(at)})`
}
