import { checkAnswers } from './answer-checks'
import { problemAt, problemAtKey } from './findings'
import { checkAmbiguity, checkFieldNames, checkNameSets, type UnderstoodMatch } from './match-checks'
import { checkIdentity, policiesOf } from './identity-checks'
import { nearestName } from './nearest-name'
import { entrypointSchema, entrypointTlsSchema } from './entrypoint-schema'
import { matchSchema, policySchema, rewriteSchema, routeSchema } from './schema'
import { tlsSchema } from './upstream-schema'
import { checkTlsFiles } from './tls-check'
import type { ConfigProblem } from './types'
import { asList, asMap, list, read } from './understood'
import { parseName } from './values/name'
import { mistake } from './values/parsed'
import { toFields } from './values/header'
import { segmentsOf } from './values/path-template'
import { parseTarget } from './values/target'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/**
 * What must hold between keys. Works on whatever of the file can be understood, so that one wrong duration does not hide
 * an unknown upstream: every problem in one go.
 *
 * No check for routes that can never be chosen: the most specific route wins whatever the order in the file, so that
 * only an equal one or a reserved path could stand in front of a route, and both are errors of their own.
 */
export function crossChecks(source: YamlSource): ConfigProblem[] {
  const upstreams = Object.keys(asMap(source.valueAt(['upstreams'])))
  const routes = asList(source.valueAt(['routes'])).map((raw, index) => understand(asMap(raw), index))
  return [
    ...checkTimeouts(source),
    ...checkUrlLength(source),
    ...checkUpstreams(upstreams, source),
    ...checkEntrypointTls(source),
    ...checkTls(upstreams, source),
    ...checkRouteNames(routes, source),
    ...checkRouteUpstreams(routes, upstreams, source),
    ...routes.flatMap(({ at }) => checkAnswers(at, source)),
    ...checkAmbiguity(routes, route => label(route, source), source),
    ...checkNameSets(routes, source),
    ...checkFieldNames(routes.flatMap(fieldMapsOf), source),
    ...checkRemovedFields(routes, source),
    ...checkStripPrefixes(routes, source),
    ...checkCredentials(routes, source),
    ...checkCorsFields(routes, source),
    ...checkPolicyNames(routes, source),
    ...checkCosts(routes, source),
    ...checkIdentity(source),
  ]
}

/** The part of a route that could be read; undefined where it could not, or was left out. */
interface UnderstoodRoute {
  readonly at: Path
  readonly name: string | undefined
  readonly upstream: string | undefined
  /** It needs no upstream. */
  readonly answers: boolean
  readonly path: string | undefined
  readonly stripPrefix: string | undefined
  /** Undefined unless all of it is understood. */
  readonly match: UnderstoodMatch | undefined
  readonly policyNames: readonly (string | undefined)[]
}

const ANY_HOST = 'any host'
const ANY_METHOD = 'any method'

function understand(raw: Readonly<Record<string, unknown>>, index: number): UnderstoodRoute {
  const match = asMap(raw.match)
  const path = read(matchSchema.shape.path, match.path)
  return {
    at: ['routes', index],
    name: read(routeSchema.shape.name, raw.name),
    upstream: read(routeSchema.shape.upstream, raw.upstream),
    answers: raw.upstream === undefined && (raw.redirect !== undefined || raw.respond !== undefined),
    path,
    stripPrefix: read(rewriteSchema.shape.stripPrefix, asMap(raw.rewrite).stripPrefix),
    match: understandMatch(raw.match),
    policyNames: asList(raw.rateLimit).map(policy => read(policySchema.shape.name, asMap(policy).name)),
  }
}

function understandMatch(raw: unknown): UnderstoodMatch | undefined {
  const match = read(matchSchema, raw)
  if (match === undefined) return undefined
  const { path, exact, host = ANY_HOST, methods = [ANY_METHOD] } = match
  return { path, exact, host, methods, headers: toFields(match.headers) }
}

const EDITS = ['requestHeaders', 'responseHeaders'] as const

/** Where fields are named in a route. */
function fieldMapsOf({ at }: UnderstoodRoute): Path[] {
  const edits = EDITS.flatMap(key => [
    [...at, key, 'set'],
    [...at, key, 'add'],
  ])
  return [[...at, 'match', 'headers'], [...at, 'respond', 'headers'], ...edits]
}

/** Node refuses to start a server whose whole request must be in before its header section must. */
function checkTimeouts(source: YamlSource): ConfigProblem[] {
  const { headersTimeout, requestTimeout } = asMap(source.valueAt(['entrypoint']))
  const headersMs = read(entrypointSchema.shape.headersTimeout, headersTimeout)
  const requestMs = read(entrypointSchema.shape.requestTimeout, requestTimeout)
  if (headersMs === undefined || requestMs === undefined || requestMs === 0 || requestMs >= headersMs) return []
  const allowed = `at least headersTimeout, which is ${headersMs} ms, or 0s for no bound`
  return [problemAt(['entrypoint', 'requestTimeout'], mistake('is shorter than headersTimeout', allowed), source)]
}

/** The URL is part of the header section: the larger bound would never be met. */
function checkUrlLength(source: YamlSource): ConfigProblem[] {
  const { maxUrlLength, maxHeaderSize } = asMap(source.valueAt(['entrypoint']))
  if (maxUrlLength === undefined) return []
  const urlBytes = read(entrypointSchema.shape.maxUrlLength, maxUrlLength)
  const headerBytes = read(entrypointSchema.shape.maxHeaderSize, maxHeaderSize)
  if (urlBytes === undefined || headerBytes === undefined || urlBytes < headerBytes) return []
  const allowed = `less than maxHeaderSize, which is ${headerBytes}B`
  return [problemAt(['entrypoint', 'maxUrlLength'], mistake('is not less than maxHeaderSize', allowed), source)]
}

function checkUpstreams(upstreams: readonly string[], source: YamlSource): ConfigProblem[] {
  const found = source.valueAt(['upstreams'])
  if (upstreams.length === 0 && found === asMap(found)) {
    return [problemAtKey(['upstreams'], mistake('has nothing in it', 'at least one upstream'), source)]
  }
  return upstreams.flatMap(name => {
    const at: Path = ['upstreams', name]
    const parsed = parseName(name)
    const problems = 'mistake' in parsed ? [problemAtKey(at, parsed.mistake, source)] : []
    const seen = new Set<string>()
    for (const [index, raw] of asList(source.valueAt([...at, 'targets'])).entries()) {
      const target = parseTarget(raw)
      if (!('value' in target)) continue
      const again = mistake('is here a second time', 'each target once')
      if (seen.has(target.value.origin)) problems.push(problemAt([...at, 'targets', index], again, source))
      seen.add(target.value.origin)
    }
    return problems
  })
}

function checkEntrypointTls(source: YamlSource): ConfigProblem[] {
  const at: Path = ['entrypoint', 'tls']
  const { data } = entrypointTlsSchema.safeParse(source.valueAt(at))
  return data === undefined
    ? []
    : checkTlsFiles(data).map(({ key, mistake }) => problemAt([...at, key], mistake, source))
}

function checkTls(upstreams: readonly string[], source: YamlSource): ConfigProblem[] {
  return upstreams.flatMap(name => {
    const at: Path = ['upstreams', name]
    const found = source.valueAt([...at, 'tls'])
    const parsed = tlsSchema.safeParse(found)
    if (found === undefined || !parsed.success) return []
    const targets = asList(source.valueAt([...at, 'targets'])).map(parseTarget)
    const isOfUse = targets.some(target => !('value' in target) || target.value.origin.startsWith('https:'))
    const useless = mistake('is of no use: no target is https', 'https targets, or no "tls"')
    return [
      ...(isOfUse ? [] : [problemAtKey([...at, 'tls'], useless, source)]),
      ...checkTlsFiles(parsed.data).map(({ key, mistake }) => problemAt([...at, 'tls', key], mistake, source)),
    ]
  })
}

function checkRouteNames(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  const first = new Map<string, UnderstoodRoute>()
  return routes.flatMap(route => {
    if (route.name === undefined) return []
    const earlier = first.get(route.name)
    first.set(route.name, earlier ?? route)
    if (earlier === undefined) return []
    const again = mistake(`is the name of ${label(earlier, source)} too`, 'a name of its own for each route')
    return [problemAt([...route.at, 'name'], again, source)]
  })
}

function checkRouteUpstreams(
  routes: readonly UnderstoodRoute[],
  upstreams: readonly string[],
  source: YamlSource,
): ConfigProblem[] {
  const unknown = routes.filter(({ upstream }) => upstream !== undefined && !upstreams.includes(upstream))
  const problems = unknown.map(({ at, upstream = '' }) => {
    const nearest = nearestName(upstream, upstreams)
    return problemAt([...at, 'upstream'], mistake('is not an upstream of this file', list(upstreams), nearest), source)
  })
  // While a route's upstream is not understood, the one it means would be called unused.
  if (unknown.length > 0 || routes.some(({ upstream, answers }) => upstream === undefined && !answers)) return problems
  const used = new Set(routes.map(({ upstream }) => upstream))
  const unused = upstreams.filter(name => !used.has(name))
  return unused.map(name => ({
    ...problemAtKey(['upstreams', name], { problem: 'is used by no route' }, source),
    severity: 'warning' as const,
  }))
}

function checkRemovedFields(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at }) =>
    EDITS.flatMap(key => {
      const { set, remove } = asMap(source.valueAt([...at, key]))
      const names = new Set(Object.keys(asMap(set)).map(name => name.toLowerCase()))
      return asList(remove).flatMap((name, index) => {
        const both = mistake('is also set, which replaces what is there', 'each field either in "set" or in "remove"')
        const isBoth = typeof name === 'string' && names.has(name.toLowerCase())
        return isBoth ? [problemAt([...at, key, 'remove', index], both, source)] : []
      })
    }),
  )
}

function checkStripPrefixes(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at, path, stripPrefix }) => {
    if (path === undefined || stripPrefix === undefined || `${path}/`.startsWith(`${stripPrefix}/`)) return []
    const prefixes = literalPrefixes(path)
    const allowed = prefixes.length > 0 ? list(prefixes) : 'nothing: the path begins with a parameter'
    const wrong = mistake(`is not how the route's path begins`, allowed, nearestName(stripPrefix, prefixes))
    return [problemAt([...at, 'rewrite', 'stripPrefix'], wrong, source)]
  })
}

/** `/a/b/:c` → `/a`, `/a/b` */
function literalPrefixes(path: string): string[] {
  const segments = segmentsOf(path)
  const end = segments.findIndex(segment => segment.startsWith(':'))
  const literals = end === -1 ? segments : segments.slice(0, end)
  return literals.map((_, index) => `/${literals.slice(0, index + 1).join('/')}`)
}

/** Browsers refuse it, and a gateway that named each origin instead would lend everybody's cookies to every page. */
function checkCredentials(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at }) => {
    const cors = asMap(source.valueAt([...at, 'cors']))
    if (cors.credentials !== true || !asList(cors.origins).includes('*')) return []
    const wrong = mistake('does not go with "*" in origins', 'credentials for origins that are named')
    return [problemAt([...at, 'cors', 'credentials'], wrong, source)]
  })
}

/** A browser that finds two values of one of them takes neither, and no page could read an answer. */
function checkCorsFields(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  const twice = mistake('is said by "cors" already: browsers refuse an answer that has it twice', 'only one of the two')
  return routes.flatMap(({ at }) => {
    if (source.valueAt([...at, 'cors']) === undefined) return []
    const maps: Path[] = [
      [...at, 'responseHeaders', 'set'],
      [...at, 'responseHeaders', 'add'],
      [...at, 'respond', 'headers'],
    ]
    return maps.flatMap(path =>
      Object.keys(asMap(source.valueAt(path)))
        .filter(name => /^access-control-/i.test(name))
        .map(name => problemAtKey([...path, name], twice, source)),
    )
  })
}

function checkPolicyNames(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at, policyNames }) =>
    policyNames.flatMap((name, index) => {
      if (name === undefined || policyNames.indexOf(name) === index) return []
      const again = mistake('is the name of an earlier policy of this route', 'a name of its own for each policy')
      return [problemAt([...at, 'rateLimit', index, 'name'], again, source)]
    }),
  )
}

/** A request that counts for more than the whole limit would never pass. */
function checkCosts(routes: readonly UnderstoodRoute[], source: YamlSource): ConfigProblem[] {
  return routes.flatMap(({ at }) => {
    return policiesOf(at, source).flatMap(path => {
      const policy = asMap(source.valueAt(path))
      const limit = read(policySchema.shape.limit, policy.limit)
      const cost = policy.cost === undefined ? undefined : read(policySchema.shape.cost, policy.cost)
      if (limit === undefined || cost === undefined) return []
      const tiers = policy.tiers === undefined ? {} : (read(policySchema.shape.tiers, policy.tiers) ?? {})
      const smallest = Math.min(limit, ...Object.values(tiers))
      if (Math.max(cost.standard, ...Object.values(cost.methods)) <= smallest) return []
      const allowed =
        smallest === limit ? `at most limit, which is ${limit}` : `at most ${smallest}, the limit of a tier`
      const never = mistake('is more than the limit: such a request would never pass', allowed)
      return [problemAt([...path, 'cost'], never, source)]
    })
  })
}

function label({ at, name }: UnderstoodRoute, source: YamlSource): string {
  return `routes[${String(at[1])}]${name === undefined ? '' : ` "${name}"`} (line ${source.line(at)})`
}
