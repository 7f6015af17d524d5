import { problemAtKey } from './findings'
import type { ConfigProblem } from './types'
import type { HeaderField } from './values/header'
import { mistake } from './values/parsed'
import { pathShape } from './values/path-template'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

/** The match of a route, if all of it is valid. */
export interface UnderstoodMatch {
  readonly path: string
  readonly exact: boolean
  readonly pattern?: string
  readonly ignoreCase?: boolean
  readonly host: string
  readonly methods: readonly string[]
  /** Sorted by name. */
  readonly headers: readonly HeaderField[]
}

interface MatchingRoute {
  readonly at: Path
  readonly match: UnderstoodMatch | undefined
}

/**
 * Maximum sets of header names for one place: they are tried one by one (`routing/choice.ts`), so this bounds the cost
 * of a request.
 */
const MAX_NAME_SETS = 16
/** Maximum patterns of one path, for the same reason. */
const MAX_PATTERNS = 16

/**
 * Reports ambiguous routes. Two routes with the same host, path shape, method and number of header conditions match the
 * same requests, unless their conditions contradict each other: neither is more specific.
 */
export function checkAmbiguity<R extends MatchingRoute>(
  routes: readonly R[],
  label: (route: R) => string,
  source: YamlSource,
): ConfigProblem[] {
  /**
   * Routes by host, path, method and number of conditions, then by the names of the conditions, then by their values.
   */
  const first = new Map<string, Map<string, Map<string, R>>>()
  return routes.flatMap(route => {
    if (route.match === undefined) return []
    const { exact, host, headers } = route.match
    const names = headers.map(({ name }) => name).join()
    const values = headers.map(({ value }) => value).join('\n')
    const shared = new Map<R, string[]>()
    for (const method of new Set(route.match.methods)) {
      const request = `${placeOf(route.match)} ${method} ${headers.length}`
      const byNames = entry(first, request, () => new Map<string, Map<string, R>>())
      const earlier = byNames.get(names)?.get(values) ?? compatible(byNames, names, headers)
      if (earlier) shared.set(earlier, [...(shared.get(earlier) ?? []), method])
      else entry(byNames, names, () => new Map<string, R>()).set(values, route)
    }
    return [...shared].map(([earlier, methods]) => ({
      where: source.where([...route.at, 'match']),
      problem: `the route matches the same requests as ${label(earlier)}: ${methods.join(', ')} on ${source.show([...route.at, 'match', 'path'])}${exact ? ' alone' : ''} at ${host}${withFields(route, earlier)}`,
      allowed: `one route for each host, path and method${headers.length > 0 ? ' and number of conditions, unless they ask for different values of one field' : '; the names of :parameters make no difference'}`,
    }))
  })
}

/** A route with conditions on other fields that can hold together with these. */
function compatible<R extends MatchingRoute>(
  byNames: ReadonlyMap<string, ReadonlyMap<string, R>>,
  names: string,
  headers: readonly HeaderField[],
): R | undefined {
  for (const [others, byValues] of byNames) {
    if (others === names) continue
    for (const route of byValues.values()) if (!contradicts(headers, route.match?.headers ?? [])) return route
  }
  return undefined
}

function contradicts(headers: readonly HeaderField[], others: readonly HeaderField[]): boolean {
  return headers.some(({ name, value }) => others.some(other => other.name === name && other.value !== value))
}

/** Names the fields without their values, which may be secrets from the environment. */
function withFields(...routes: readonly MatchingRoute[]): string {
  const names = new Set(routes.flatMap(({ match }) => match?.headers.map(({ name }) => name) ?? []))
  return names.size === 0 ? '' : ` with ${[...names].join(' and ')}`
}

export function checkNameSets(routes: readonly MatchingRoute[], source: YamlSource): ConfigProblem[] {
  const seen = new Map<string, Set<string>>()
  return routes.flatMap(({ at, match }) => {
    if (match === undefined) return []
    const place = placeOf(match)
    const nameSets = entry(seen, place, () => new Set<string>())
    nameSets.add(match.headers.map(({ name }) => name).join())
    if (nameSets.size <= MAX_NAME_SETS) return []
    const allowed = `conditions about at most ${MAX_NAME_SETS} different sets of fields on one path, with any number of values`
    return [
      problemAtKey(
        [...at, 'match', 'headers'],
        mistake('has too many different sets of header fields on one path', allowed),
        source,
      ),
    ]
  })
}

export function checkPatterns(routes: readonly MatchingRoute[], source: YamlSource): ConfigProblem[] {
  const seen = new Map<string, Set<string>>()
  return routes.flatMap(({ at, match }) => {
    if (match?.pattern === undefined) return []
    const where: Path = [...at, 'match']
    if (match.exact) {
      const useless = mistake('has no effect beside "pattern", which the whole path must match', 'one of the two')
      return [problemAtKey([...where, 'exact'], useless, source)]
    }
    const patterns = entry(seen, `${match.host} ${pathShape(match.path, match.ignoreCase)}`, () => new Set<string>())
    patterns.add(match.pattern)
    if (patterns.size <= MAX_PATTERNS) return []
    const wrong = mistake('exceeds the number of patterns for one path', `at most ${MAX_PATTERNS} patterns on one path`)
    return [problemAtKey([...where, 'pattern'], wrong, source)]
  })
}

/** The host and path of a match; routes of one place differ by methods and header conditions. */
function placeOf({ host, path, exact, pattern = '', ignoreCase }: UnderstoodMatch): string {
  return `${host} ${pathShape(path, ignoreCase)} ${exact} ${pattern}`
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) map.set(key, (value = make()))
  return value
}
