import { problemAt } from './findings'
import type { UnderstoodMatch } from './match-checks'
import type { ConfigProblem } from './types'
import { asList, asMap } from './understood'
import { segmentsOf } from './values/path-template'
import type { Path } from './variables'
import type { YamlSource } from './yaml-source'

interface GuardedRoute {
  readonly at: Path
  readonly raw: Readonly<Record<string, unknown>>
  /** The upstreams that may get its requests. */
  readonly upstreams: readonly string[]
  readonly match: UnderstoodMatch | undefined
}

/**
 * Warns if another spelling of a guarded path matches a less guarded route to the same upstream. The gateway treats
 * `/admin`, `/Admin` and `/admin;x` as different paths; whether the upstream does is unknown here.
 */
export function checkGuards<R extends GuardedRoute>(
  routes: readonly R[],
  label: (route: R) => string,
  anyHost: string,
  source: YamlSource,
): ConfigProblem[] {
  const guardedRoutes = routes.filter(({ raw }) => raw['access'] !== undefined || raw['auth'] !== undefined)
  return routes.flatMap(open => {
    for (const guarded of guardedRoutes) {
      if (guarded === open || !open.upstreams.some(name => guarded.upstreams.includes(name))) continue
      if (open.match === undefined || guarded.match === undefined) continue
      const guards = guardsMissing(open.raw, guarded.raw)
      if (guards.length === 0 || !mayShareHost(open.match, guarded.match, anyHost)) continue
      const spellings = spellingsLetThrough(open, open.match, guarded.match)
      if (spellings.length === 0) continue
      return {
        ...problemAt(
          [...open.at, 'match', 'path'],
          {
            problem: `takes ${spellings.join(' and ')} to the upstream of ${label(guarded)}, without its ${guards.join(' and ')}`,
            allowed: `where the upstream reads them as ${guarded.match.path}: match.ignoreCase there, and here ${open.raw['rawPath'] === true ? 'no rawPath and ' : ''}semicolons: refuse`,
          },
          source,
        ),
        severity: 'warning' as const,
      }
    }
    return []
  })
}

function guardsMissing(open: GuardedRoute['raw'], guarded: GuardedRoute['raw']): string[] {
  const missing = ['access', 'auth'].filter(key => guarded[key] !== undefined && open[key] === undefined)
  const scopes = asList(asMap(open['auth'])['scopes'])
  const others = asList(asMap(guarded['auth'])['scopes']).filter(scope => !scopes.includes(scope))
  return open['auth'] !== undefined && others.length > 0 ? [...missing, 'auth.scopes'] : missing
}

function mayShareHost(one: UnderstoodMatch, other: UnderstoodMatch, anyHost: string): boolean {
  return one.host === other.host || one.host === anyHost || other.host === anyHost
}

/**
 * Spellings of the guarded path that the open route matches, because it has a parameter instead of a literal, or is a
 * shorter prefix.
 */
function spellingsLetThrough({ raw }: GuardedRoute, open: UnderstoodMatch, guarded: UnderstoodMatch): string[] {
  const [mine, others] = [segments(open.path), segments(guarded.path)]
  if (mine.length > others.length || (open.exact && mine.length < others.length)) return []
  const isAbove = mine.every((segment, i) => segment.startsWith(':') || segment === others[i])
  const at = others.findIndex((segment, i) => !segment.startsWith(':') && mine[i] !== segment)
  if (!isAbove || at === -1) return []
  const spelled = (segment: string): string => `/${others.with(at, segment).join('/')}`
  const literal = others[at] as string
  const upper = literal.toUpperCase()
  return [
    ...(guarded.ignoreCase || upper === literal ? [] : [spelled(upper)]),
    ...(raw['semicolons'] === 'refuse' ? [] : [spelled(`${literal};x`)]),
    ...(raw['rawPath'] === true ? joinedSpelling(mine, others) : []),
  ]
}

/** A spelling with an escaped slash, which the open route matches by a parameter or as a prefix. */
function joinedSpelling(mine: readonly string[], others: readonly string[]): string[] {
  const kept = mine.at(-1)?.startsWith(':') ? mine.length - 1 : mine.length
  const rest = others.slice(kept)
  return rest.length < 2 ? [] : [`/${[...others.slice(0, kept), rest.join('%2F')].join('/')}`]
}

function segments(path: string): string[] {
  return path === '/' ? [] : segmentsOf(path)
}
