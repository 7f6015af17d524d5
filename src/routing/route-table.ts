import { PathPattern } from '../config/values/path-pattern'
import { isMetricsPath } from '../config/values/path-template'
import { Choice, type RequestFields } from './choice'
import type { Route } from './route'

/**
 * Finds the most specific route for a request. Cost depends on the depth of the path, not on the number of routes.
 *
 * Order of specificity: exact host, longer `*.suffix`, any host; then, segment by segment, a literal before a `:param`
 * before the end of the template; then a pattern before none; then `exact` before what also matches below; then more header conditions before fewer;
 * then listed methods before any method. Conditions and methods are part of the match, so a less specific route may serve
 * what a more specific one does not.
 */
export class RouteTable<R extends Pick<Route, 'match'>> {
  readonly #exactHosts = new Map<string, Node<R>>()
  readonly #hostSuffixes = new Map<string, Node<R>>()
  readonly #anyHost: Node<R> = newNode()

  constructor(routes: readonly R[]) {
    for (const route of routes) this.#add(route)
  }

  /**
   * @param host name without port, lower case
   * @param path without query, starting with `/`
   * @returns the route; or the methods allowed there, when only the method does not fit; or undefined
   */
  match(method: string, host: string, path: string, fields: RequestFields): R | MethodNotAllowed | undefined {
    const search: Search<R> = { method, path, fields, allowed: undefined, found: undefined }
    const exact = this.#exactHosts.get(host)
    if (exact && descend(search, exact, 1)) return search.found
    if (this.#hostSuffixes.size > 0) {
      for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
        const suffix = this.#hostSuffixes.get(host.slice(dot))
        if (suffix && descend(search, suffix, 1)) return search.found
      }
    }
    if (descend(search, this.#anyHost, 1)) return search.found
    return search.allowed?.size ? new MethodNotAllowed([...search.allowed]) : undefined
  }

  #add(route: R): void {
    const { host, path, exact, pattern, ignoreCase = false } = route.match
    let node = this.#rootFor(host)
    for (const segment of path === '/' ? [] : path.slice(1).split('/')) {
      if (segment.startsWith(':')) {
        node = node.param ??= newNode()
      } else {
        const children = ignoreCase ? (node.folded ??= new Map<string, Node<R>>()) : node.literals
        const key = ignoreCase ? segment.toLowerCase() : segment
        let child = children.get(key)
        if (!child) children.set(key, (child = newNode()))
        node = child
      }
    }
    if (pattern !== undefined) return patternChoice(node, pattern, ignoreCase).add(route.match, route)
    const choice = exact ? (node.here ??= new Choice()) : (node.hereAndBelow ??= new Choice())
    choice.add(route.match, route)
  }

  #rootFor(host: string | undefined): Node<R> {
    if (host === undefined) return this.#anyHost
    const [hosts, key] = host.startsWith('*.') ? [this.#hostSuffixes, host.slice(1)] : [this.#exactHosts, host]
    let root = hosts.get(key)
    if (!root) hosts.set(key, (root = newNode()))
    return root
  }
}

/** Result of a match where only the method does not fit. */
export class MethodNotAllowed {
  constructor(readonly allowed: readonly string[]) {}
}

interface Node<R> {
  readonly literals: Map<string, Node<R>>
  /** Children by lower-case name, for routes that ignore case. */
  folded: Map<string, Node<R>> | undefined
  param: Node<R> | undefined
  /** Routes that match exactly this path. */
  here: Choice<R> | undefined
  hereAndBelow: Choice<R> | undefined
  /** Routes with a pattern, in the order of the file; at most 16 (`config/match-checks.ts`). */
  patterns: PatternChoice<R>[] | undefined
}

interface PatternChoice<R> {
  readonly key: string
  readonly pattern: PathPattern
  readonly choice: Choice<R>
}

interface Search<R> {
  readonly method: string
  readonly path: string
  readonly fields: RequestFields
  allowed: Set<string> | undefined
  found: R | undefined
}

function newNode<R>(): Node<R> {
  return {
    literals: new Map(),
    folded: undefined,
    param: undefined,
    here: undefined,
    hereAndBelow: undefined,
    patterns: undefined,
  }
}

function patternChoice<R>(node: Node<R>, text: string, ignoreCase: boolean): Choice<R> {
  const key = `${ignoreCase} ${text}`
  const patterns = (node.patterns ??= [])
  let found = patterns.find(other => other.key === key)
  if (!found) patterns.push((found = { key, pattern: new PathPattern(text, ignoreCase), choice: new Choice() }))
  return found.choice
}

/** Tries the deepest template first; `start` is where the next segment begins. True when `search.found` is set. */
function descend<R>(search: Search<R>, node: Node<R>, start: number): boolean {
  const { path } = search
  if (start < path.length) {
    const slash = path.indexOf('/', start)
    const end = slash === -1 ? path.length : slash
    const segment = path.slice(start, end)
    const literal = node.literals.get(segment)
    if (literal && descend(search, literal, end + 1)) return true
    const folded = node.folded?.get(segment.toLowerCase())
    if (folded && descend(search, folded, end + 1)) return true
    // Not for `/metrics`: a route with a `:param` as first segment must not hide the gateway's own metrics.
    const byParameter = node.param && end > start && !(start === 1 && isMetricsPath(path))
    if (byParameter && descend(search, node.param as Node<R>, end + 1)) return true
  }
  if (node.patterns) {
    for (const { pattern, choice } of node.patterns) if (pattern.matches(path) && select(search, choice)) return true
  }
  // `/a/` is below `/a`, not equal to it: upstreams distinguish them.
  const isWhole = start > path.length || path.length === 1
  if (node.here && isWhole && select(search, node.here)) return true
  return node.hereAndBelow !== undefined && select(search, node.hereAndBelow)
}

function select<R>(search: Search<R>, choice: Choice<R>): boolean {
  search.found = choice.find(search.method, search.fields)
  if (search.found) return true
  choice.collectMethods(search.fields, (search.allowed ??= new Set()))
  return false
}
