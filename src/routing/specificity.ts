import type { MatchConfig } from '../config/match-schema'

type Match = MatchConfig

/** Precedence of two routes that may match the same request, with the deciding criterion. */
export interface Precedence {
  /** Negative: the first route wins. 0: no request matches both, because another criterion separates them. */
  readonly order: number
  readonly why: string
}

/** Compares two routes in the order of `RouteTable`. Used to display routes, not to match requests. */
export function precedence(a: Match, b: Match): Precedence {
  return (
    decided(hostRank(a) - hostRank(b), 'an exact host comes before *.suffix, and both before any host') ??
    decided((b.host?.length ?? 0) - (a.host?.length ?? 0), 'a longer host comes first') ??
    pathPrecedence(a, b) ??
    decided(
      Number(a.pattern === undefined) - Number(b.pattern === undefined),
      'a path with a pattern comes before one without',
    ) ??
    decided(Number(b.exact) - Number(a.exact), 'an exact path comes before one that also matches below') ??
    decided(b.headers.length - a.headers.length, 'more header conditions come before fewer') ??
    decided(
      Number(a.methods === undefined) - Number(b.methods === undefined),
      'listed methods come before any method',
    ) ?? {
      order: 0,
      why: 'they have different methods, header values, patterns or hosts',
    }
  )
}

function decided(order: number, why: string): Precedence | undefined {
  return order === 0 ? undefined : { order, why }
}

/** Ranks hosts: exact name, suffix, any. */
function hostRank({ host }: Match): number {
  if (host === undefined) return 2
  return host.startsWith('*.') ? 1 : 0
}

function pathPrecedence(a: Match, b: Match): Precedence | undefined {
  const [left, right] = [segmentsOf(a), segmentsOf(b)]
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [mine, other] = [left[i], right[i]]
    if (mine === undefined || other === undefined)
      return { order: mine === undefined ? 1 : -1, why: 'a longer path comes first' }
    const parameters = Number(mine.startsWith(':')) - Number(other.startsWith(':'))
    if (parameters !== 0) return { order: parameters, why: 'a literal segment comes before a :parameter' }
    if (mine.startsWith(':')) continue
    const areAlike = mine.toLowerCase() === other.toLowerCase()
    if (areAlike && a.ignoreCase !== b.ignoreCase) {
      return { order: a.ignoreCase ? 1 : -1, why: 'a path in one case comes before one that ignores case' }
    }
    // Different literals: no path matches both.
    if (mine !== other && !(areAlike && a.ignoreCase))
      return { order: mine < other ? -1 : 1, why: 'the paths are different' }
  }
  return undefined
}

function segmentsOf({ path }: Match): string[] {
  return path === '/' ? [] : path.slice(1).split('/')
}
