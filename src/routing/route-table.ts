import { Choice, type RequestFields } from './choice'
import type { Route } from './route'

/**
 * Finds the most specific route for a request. Cost depends on the depth of the path, not on the number of routes.
 *
 * Order of specificity: exact host, longer `*.suffix`, any host; then, segment by segment, a literal before a `:param`
 * before the end of the template; then `exact` before what also matches below; then more header conditions before fewer;
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
    const { host, path, exact } = route.match
    let node = this.#rootFor(host)
    for (const segment of path === '/' ? [] : path.slice(1).split('/')) {
      if (segment.startsWith(':')) {
        node = node.param ??= newNode()
      } else {
        let child = node.literals.get(segment)
        if (!child) node.literals.set(segment, (child = newNode()))
        node = child
      }
    }
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

/** The path is known, the method is not. */
export class MethodNotAllowed {
  constructor(readonly allowed: readonly string[]) {}
}

interface Node<R> {
  readonly literals: Map<string, Node<R>>
  param: Node<R> | undefined
  /** Of exactly this path. */
  here: Choice<R> | undefined
  hereAndBelow: Choice<R> | undefined
}

interface Search<R> {
  readonly method: string
  readonly path: string
  readonly fields: RequestFields
  allowed: Set<string> | undefined
  found: R | undefined
}

function newNode<R>(): Node<R> {
  return { literals: new Map(), param: undefined, here: undefined, hereAndBelow: undefined }
}

/** Tries the deepest template first; `start` is where the next segment begins. True when `search.found` is set. */
function descend<R>(search: Search<R>, node: Node<R>, start: number): boolean {
  const { path } = search
  if (start < path.length) {
    const slash = path.indexOf('/', start)
    const end = slash === -1 ? path.length : slash
    const literal = node.literals.get(path.slice(start, end))
    if (literal && descend(search, literal, end + 1)) return true
    if (node.param && end > start && descend(search, node.param, end + 1)) return true
  }
  // `/a/` is below `/a`, if only just: upstreams tell them apart.
  if (node.here && start > path.length && select(search, node.here)) return true
  return node.hereAndBelow !== undefined && select(search, node.hereAndBelow)
}

function select<R>(search: Search<R>, choice: Choice<R>): boolean {
  search.found = choice.find(search.method, search.fields)
  if (search.found) return true
  choice.collectMethods(search.fields, (search.allowed ??= new Set()))
  return false
}
